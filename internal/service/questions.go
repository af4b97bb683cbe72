package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"ingot/internal/query"
	"ingot/internal/result"
)

// Limits of the questions about disks and images. Each is a process that reads
// what may be damaged, or lie far away.
const (
	maxQuestions = 2                // under way at a time
	questionTime = 30 * time.Second // for one
	disksLast    = 5 * time.Second  // that a list of the disks is good for
	mostDays     = 400              // of a preview
	defaultDays  = 60
)

// questions are what the service asks the program for others.
type questions struct {
	tools query.Tools
	free  chan struct{} // has room for those that may be asked now

	mu    sync.Mutex // held while the disks are listed: once for all who ask
	disks []result.Disk
	err   error
	until time.Time
}

func newQuestions(program []string) *questions {
	return &questions{tools: query.Tools{Program: program, Timeout: questionTime}, free: make(chan struct{}, maxQuestions)}
}

// enter takes a place among those who ask; leave gives it back.
func (q *questions) enter() error {
	select {
	case q.free <- struct{}{}:
		return nil
	default:
		return &Problem{
			Title: "others are asking about disks and images", Status: http.StatusTooManyRequests, Code: "too-many",
			Fix: "ask again in a moment",
		}
	}
}

func (q *questions) leave() { <-q.free }

// listDisks gives the disks of the machine, as of a few seconds ago.
func (q *questions) listDisks(ctx context.Context) ([]result.Disk, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Now().Before(q.until) {
		return q.disks, q.err
	}
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	q.disks, q.err = q.tools.Disks(ctx)
	q.until = time.Now().Add(disksLast)
	return q.disks, q.err
}

// asked turns the failure of a question into one of the interface.
func asked(err error) error {
	var e *query.Error
	if !errors.As(err, &e) {
		return err
	}
	status := http.StatusBadGateway
	if e.Code == query.CodeRefused {
		status = http.StatusConflict
	}
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusGatewayTimeout
	}
	return &Problem{Title: e.Text, Status: status, Code: "question-failed", Fix: e.Hint}
}

// Disks are the disks of the machine.
type Disks struct {
	Disks []result.Disk `json:"disks"`
}

// getDisks answers by the service's context and not by that of the request:
// others may wait for the same answer.
func (s *Service) getDisks(*http.Request) (any, error) {
	all, err := s.questions.listDisks(s.stop)
	return Disks{append([]result.Disk{}, all...)}, asked(err)
}

// PlaceSets is what there is in a place of a definition.
type PlaceSets struct {
	Place string         `json:"place"`
	Found *result.Folder `json:"found,omitempty"`
	Error string         `json:"error,omitempty"` // why nothing was found: it is not there
	Fix   string         `json:"fix,omitempty"`
}

// Sets are the backup sets in the places of a definition, in their order.
type Sets struct {
	Places []PlaceSets `json:"places"`
}

// usable gives a copy of what is known of a definition that is not refused.
func (s *Service) usable(name string) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.shelf.entries[name]
	switch {
	case e == nil:
		return Entry{}, fmt.Errorf("%q: %w", name, errUnknown)
	case e.Problem != nil:
		return Entry{}, &Problem{fmt.Sprintf("%s is refused: %v", name, e.Problem), http.StatusConflict, "refused", ""}
	}
	return *e, nil
}

func (s *Service) getSets(req *http.Request) (any, error) {
	e, err := s.usable(req.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := s.questions.enter(); err != nil {
		return nil, err
	}
	defer s.questions.leave()
	out := Sets{Places: []PlaceSets{}}
	for _, place := range places(e.Def) {
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		out.Places = append(out.Places, s.questions.sets(req.Context(), place))
	}
	return out, nil
}

func (q *questions) sets(ctx context.Context, place string) PlaceSets {
	p := PlaceSets{Place: place}
	f, err := q.tools.Sets(ctx, place)
	var e *query.Error
	switch {
	case err == nil:
		p.Found = &f
	case errors.As(err, &e):
		p.Error, p.Fix = e.Text, e.Hint
	default:
		p.Error = err.Error()
	}
	return p
}

func (s *Service) getPreview(req *http.Request) (any, error) {
	days := defaultDays
	if v := req.URL.Query().Get("days"); v != "" {
		var err error
		if days, err = strconv.Atoi(v); err != nil || days < 1 || days > mostDays {
			return nil, badRequest("days %q is no number from 1 to %d", v, mostDays)
		}
	}
	e, err := s.usable(req.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := s.questions.enter(); err != nil {
		return nil, err
	}
	defer s.questions.leave()
	file, err := filepath.Abs(e.File)
	if err != nil {
		return nil, err
	}
	v, err := s.questions.tools.Preview(req.Context(), file, days)
	return v, asked(err)
}

// Disks lists the disks of the machine, as the service sees them.
func (c *Client) Disks(ctx context.Context) ([]result.Disk, error) {
	var out Disks
	err := c.do(ctx, http.MethodGet, "/v1/disks", nil, &out)
	return out.Disks, err
}

// Sets lists the backup sets in the places of a definition. A place that is not
// there says so and is no error.
func (c *Client) Sets(ctx context.Context, name string) ([]PlaceSets, error) {
	var out Sets
	err := c.do(ctx, http.MethodGet, "/v1/definitions/"+url.PathEscape(name)+"/sets", nil, &out)
	return out.Places, err
}

// Preview is the calendar of a definition for 1 to 400 days; 0 is 60.
func (c *Client) Preview(ctx context.Context, name string, days int) (v result.Preview, err error) {
	path := "/v1/definitions/" + url.PathEscape(name) + "/preview"
	if days != 0 {
		path += "?days=" + strconv.Itoa(days)
	}
	err = c.do(ctx, http.MethodGet, path, nil, &v)
	return v, err
}
