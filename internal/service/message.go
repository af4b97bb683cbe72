package service

import (
	"context"
	"net/http"
	"net/url"
	"os"

	"ingot/internal/job"
	"ingot/internal/notify"
)

// Tested is what became of a test message.
type Tested struct {
	// Problems are of those ways that could not pass it on, which are named.
	Problems []string `json:"problems"`
}

// test sends a message to the owner of a definition, to see whether it arrives.
func (s *Service) test(ctx context.Context, name string) (any, error) {
	e, err := s.usable(name)
	if err != nil {
		return nil, err
	}
	if s.opts.Tell == nil {
		return nil, &Problem{"this service tells nobody anything", http.StatusConflict, "silent", ""}
	}
	host, _ := os.Hostname()
	now := s.opts.Clock.Now()
	out := Tested{Problems: []string{}}
	for _, err := range s.opts.Tell(ctx, e.Def, &notify.Message{Event: notify.Test, Report: job.Report{Definition: name, Host: host, Began: now, Ended: now}}) {
		out.Problems = append(out.Problems, err.Error())
	}
	return out, nil
}

// Test has a message sent to the owner of a definition.
func (c *Client) Test(ctx context.Context, name string) (t Tested, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/definitions/"+url.PathEscape(name)+":test", nil, &t)
	return t, err
}
