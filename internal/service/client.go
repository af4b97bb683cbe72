package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"ingot/internal/plan"
)

// Errors of a client.
var (
	ErrNotRunning = errors.New("the service does not answer: scheduled backups are not running")
	ErrForbidden  = errors.New("the service refuses this user")
)

// Client speaks with a service over its socket.
type Client struct {
	socket string
	http   http.Client
}

// NewClient makes a client of the service at socket; "" is DefaultSocket.
func NewClient(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	c := &Client{socket: socket}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) },
	}
	return c
}

// do sends a request and reads the answer into out.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	return decode(resp, out)
}

// decode reads an answer into out.
func decode(resp *http.Response, out any) error {
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("answer of the service to %s %s: %w", resp.Request.Method, resp.Request.URL.Path, err)
	}
	return nil
}

// send sends a request; an answer that is an error becomes one.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://ingot"+path, body)
	if err != nil {
		return nil, err
	}
	return c.ask(req)
}

// ask sends a request as it is.
func (c *Client) ask(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	resp, err := c.http.Do(req)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s may not be opened", ErrForbidden, c.socket)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK):
		return nil, fmt.Errorf("%w (%s)", ErrNotRunning, c.socket)
	case err != nil:
		return nil, fmt.Errorf("ask the service: %w", err)
	case resp.StatusCode < 300:
		return resp, nil
	}
	defer resp.Body.Close()
	p := &Problem{Title: resp.Status, Status: resp.StatusCode}
	_ = json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(p)
	if p.Status == http.StatusForbidden {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, p)
	}
	return nil, p
}

// Status gives the state of the service.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/status", nil, &st)
	return st, err
}

// Queue is what waits and what is under way.
type Queue struct {
	Paused bool  `json:"paused"`
	Jobs   []Job `json:"jobs"`
}

// Queue gives the runs under way and those that wait.
func (c *Client) Queue(ctx context.Context) (q Queue, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/jobs", nil, &q)
	return q, err
}

// Runs gives runs of the history, newest first.
func (c *Client) Runs(ctx context.Context, f Filter) (runs []Run, err error) {
	q := url.Values{}
	for k, v := range map[string]string{"definition": f.Definition, "state": string(f.State)} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if f.Before > 0 {
		q.Set("before", runName(f.Before))
	}
	if f.Limit > 0 {
		q.Set("limit", fmt.Sprint(f.Limit))
	}
	var out struct {
		Runs []Run `json:"runs"`
	}
	err = c.do(ctx, http.MethodGet, "/v1/runs?"+q.Encode(), nil, &out)
	return out.Runs, err
}

// Run gives one run.
func (c *Client) Run(ctx context.Context, id uint64) (r Run, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/runs/"+runName(id), nil, &r)
	return r, err
}

// Log gives a part of the log of a run, from a line on.
func (c *Client) Log(ctx context.Context, id uint64, from int) (l Lines, err error) {
	err = c.do(ctx, http.MethodGet, fmt.Sprintf("/v1/runs/%d/log?from=%d", id, from), nil, &l)
	return l, err
}

// Cancel ends a run, or takes it out of the queue.
func (c *Client) Cancel(ctx context.Context, id uint64) error {
	return c.do(ctx, http.MethodPost, "/v1/jobs/"+runName(id)+":cancel", nil, nil)
}

// Start queues a run.
func (c *Client) Start(ctx context.Context, name string, t plan.Type) (r Run, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/definitions/"+url.PathEscape(name)+":run", RunRequest{t}, &r)
	return r, err
}

// Pause holds the queue, or with a name the schedules of one definition; on
// false has it go on.
func (c *Client) Pause(ctx context.Context, name string, on bool) error {
	verb := map[bool]string{true: "pause", false: "resume"}[on]
	if name == "" {
		return c.do(ctx, http.MethodPost, "/v1/queue/"+verb, nil, nil)
	}
	return c.do(ctx, http.MethodPost, "/v1/definitions/"+url.PathEscape(name)+":"+verb, nil, nil)
}

// Events calls fn with each event from now on, until ctx or the service ends or
// fn gives an error.
func (c *Client) Events(ctx context.Context, fn func(Event) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var e Event
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 2*maxLine)
	for s.Scan() {
		key, value, _ := strings.Cut(s.Text(), ": ")
		switch key {
		case "id":
			e = Event{}
			_, _ = fmt.Sscan(value, &e.Seq)
		case "event":
			e.Name = value
		case "data":
			e.Data = json.RawMessage(value)
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return s.Err()
}
