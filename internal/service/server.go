package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ingot/internal/plan"
)

// Limits of the interface.
const (
	maxBody    = 1 << 20
	maxHeader  = 16 << 10
	maxStreams = 64
	mostLines  = 1000 // of a log at a time
)

// Problem is an error of the interface: RFC 9457 with a code for programs and
// what can be done about it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Fix    string `json:"fix,omitempty"`
}

func (p *Problem) Error() string { return p.Title }

// server makes the HTTP server; the kernel tells it who is at the other end of
// each connection.
func (s *Service) server(group int) *http.Server {
	return &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			p, err := peer(c)
			if err != nil {
				s.log.Error("nobody knows who has connected", "error", err)
				return ctx
			}
			p.admit(self(), group)
			if p.Role == None {
				s.log.Warn("a connection was refused", "uid", p.UID, "pid", p.PID)
			}
			return withPeer(ctx, p)
		},
	}
}

// reply is what a handler gives: it becomes JSON.
type reply func(*http.Request) (any, error)

// handler has all routes, each with the role it needs.
func (s *Service) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range []struct {
		pattern string
		need    Role
		do      reply
	}{
		{"GET /v1/status", See, s.getStatus},
		{"GET /v1/session", See, getSession},
		{"POST /v1/session/{verb}", See, s.postSession},
		{"POST /v1/unlock", Own, s.postUnlock},
		{"GET /v1/jobs", See, s.getJobs},
		{"GET /v1/jobs/{id}", See, s.getJob},
		{"POST /v1/jobs/{verb}", Act, s.postJob},
		{"POST /v1/queue/{verb}", Act, s.postQueue},
		{"POST /v1/errands", Own, s.postErrand},
		{"GET /v1/runs", See, s.getRuns},
		{"GET /v1/runs/{id}", See, s.getRun},
		{"GET /v1/runs/{id}/log", See, s.getLog},
		{"GET /v1/definitions", See, s.getDefinitions},
		{"GET /v1/definitions/{name}", See, s.getDefinition},
		{"POST /v1/definitions/{verb}", Act, s.postDefinition},
		{"GET /v1/definitions/{name}/xml", Own, s.getDocument},
		{"PUT /v1/definitions/{name}", Own, s.putDocument},
		{"DELETE /v1/definitions/{name}", Own, s.deleteDocument},
	} {
		mux.Handle(r.pattern, s.guarded(r.need, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			v, err := r.do(req)
			answer(w, v, err)
		})))
	}
	mux.Handle("GET /v1/events", s.guarded(See, http.HandlerFunc(s.getEvents)))
	mux.Handle("GET /metrics", s.guarded(See, http.HandlerFunc(s.getMetrics)))
	mux.Handle("/", s.guarded(See, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer(w, nil, &Problem{Title: req.Method + " " + req.URL.Path + " is not known", Status: http.StatusNotFound, Code: "unknown"})
	})))
	return mux
}

// guarded lets only those in who have the role.
func (s *Service) guarded(need Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p := peerOf(req.Context())
		role, until := s.grants.role(p)
		p.Role, p.Until, p.Lent = role, until, !until.IsZero()
		req = req.WithContext(withPeer(req.Context(), p))
		if !p.Role.May(need) || p.Role == None {
			answer(w, nil, &Problem{
				Title: p.Name + " may not do this", Status: http.StatusForbidden, Code: "forbidden",
				Fix: "ask as the administrator (sudo), or have the administrator put you into the group of the service",
			})
			return
		}
		if req.Method != http.MethodGet {
			s.log.Info("asked for", "uid", p.UID, "role", p.Role, "method", req.Method, "path", req.URL.Path)
		}
		req.Body = http.MaxBytesReader(w, req.Body, maxBody)
		next.ServeHTTP(w, req)
	})
}

// answer writes what a handler gave.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Cache-Control", "no-store")
	status, kind := http.StatusOK, "application/json"
	if err != nil {
		p := problem(err)
		v, status, kind = p, p.Status, "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// problem turns an error into one of the interface.
func problem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, errUnknown):
		return &Problem{err.Error(), http.StatusNotFound, "no-definition", "'ingot status' lists the definitions and why some are refused"}
	case errors.Is(err, errNoRun), errors.Is(err, fs.ErrNotExist):
		return &Problem{err.Error(), http.StatusNotFound, "no-run", "'ingot queue' and 'ingot history' list the runs"}
	}
	return &Problem{err.Error(), http.StatusInternalServerError, "failed", ""}
}

func badRequest(format string, args ...any) error {
	return &Problem{fmt.Sprintf(format, args...), http.StatusBadRequest, "bad-request", ""}
}

func (s *Service) getStatus(*http.Request) (any, error) { return s.status() }

// Session says who asks and what they may do.
type Session struct {
	Who  string `json:"who"`
	Role Role   `json:"role"`
	// Until is when the role falls back, if it is lent.
	Until time.Time `json:"until,omitzero"`
}

func getSession(req *http.Request) (any, error) {
	p := peerOf(req.Context())
	return Session{p.Name, p.Role, p.Until}, nil
}

func (s *Service) getJobs(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return struct {
		Paused bool  `json:"paused"`
		Jobs   []Job `json:"jobs"`
	}{s.eng.paused, s.jobs()}, nil
}

func (s *Service) getJob(req *http.Request) (any, error) {
	id, err := number(req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs() {
		if j.ID == id {
			return j, nil
		}
	}
	return nil, fmt.Errorf("run %d: %w", id, errNoRun)
}

// postJob does ID:cancel.
func (s *Service) postJob(req *http.Request) (any, error) {
	digits, verb, _ := strings.Cut(req.PathValue("verb"), ":")
	id, err := number(digits)
	if err != nil {
		return nil, err
	}
	if verb != "cancel" {
		return nil, badRequest("%q is nothing that can be done with a job", verb)
	}
	return done{}, s.cancel(id, peerOf(req.Context()).Name)
}

// done is the answer when there is nothing more to say.
type done struct{}

func (s *Service) cancel(id uint64, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	running, err := s.eng.cancel(id, by, s.opts.Clock.Now())
	if running {
		s.live[id].cancel(fmt.Errorf("%w by %s", errCancelled, by))
	}
	return err
}

// postQueue does pause and resume.
func (s *Service) postQueue(req *http.Request) (any, error) {
	on, err := pausing(req.PathValue("verb"))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.eng.pause(on)
	s.mu.Unlock()
	s.bus.send("service", "service.state", map[string]bool{"paused": on})
	s.wake()
	return done{}, nil
}

func pausing(verb string) (bool, error) {
	switch verb {
	case "pause":
		return true, nil
	case "resume":
		return false, nil
	}
	return false, badRequest("%q is neither pause nor resume", verb)
}

func (s *Service) getRuns(req *http.Request) (any, error) {
	q := req.URL.Query()
	f := Filter{Definition: q.Get("definition"), State: State(q.Get("state"))}
	var err error
	if v := q.Get("before"); v != "" {
		if f.Before, err = number(v); err != nil {
			return nil, err
		}
	}
	if v := q.Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 {
			return nil, badRequest("limit %q is no number of runs", v)
		}
	}
	var runs []Run
	err = s.record.with(func(h *history) (err error) { runs, err = h.runs(f); return err })
	return struct {
		Runs []Run `json:"runs"`
	}{runs}, err
}

func (s *Service) getRun(req *http.Request) (any, error) {
	id, err := number(req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var r Run
	var found bool
	err = s.record.with(func(h *history) (err error) { r, found, err = h.run(id); return err })
	if err == nil && !found {
		err = fmt.Errorf("run %d: %w", id, errNoRun)
	}
	return r, err
}

// Lines are a part of the log of a run.
type Lines struct {
	Lines []Line `json:"lines"`
	Next  int    `json:"next"` // from where to go on
	More  bool   `json:"more"` // more lines are there, or may come
}

func (s *Service) getLog(req *http.Request) (any, error) {
	id, err := number(req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	from := 0
	if v := req.URL.Query().Get("from"); v != "" {
		if from, err = strconv.Atoi(v); err != nil || from < 0 {
			return nil, badRequest("from %q is no number of a line", v)
		}
	}
	s.mu.Lock()
	live := s.live[id] != nil
	s.mu.Unlock()
	lines, next, err := s.logs.read(id, from, mostLines)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("run %d has no log: it has not begun, or the log was deleted because of its age: %w", id, errNoRun)
	}
	return Lines{lines, next, live || len(lines) == mostLines}, err
}

func (s *Service) getDefinitions(req *http.Request) (any, error) {
	st, err := s.status()
	return struct {
		Definitions []DefinitionStatus `json:"definitions"`
	}{st.Definitions}, err
}

func (s *Service) getDefinition(req *http.Request) (any, error) {
	st, err := s.status()
	for _, d := range st.Definitions {
		if d.Name == req.PathValue("name") {
			return d, err
		}
	}
	return nil, errors.Join(err, fmt.Errorf("%q: %w", req.PathValue("name"), errUnknown))
}

// RunRequest asks for a run.
type RunRequest struct {
	Type plan.Type `json:"type,omitempty"` // "" leaves it to the plan
}

// postDefinition does NAME:run, NAME:pause, NAME:resume and NAME:test.
func (s *Service) postDefinition(req *http.Request) (any, error) {
	name, verb, _ := strings.Cut(req.PathValue("verb"), ":")
	switch verb {
	case "run":
		return s.ask(req, name)
	case "test":
		return s.test(req.Context(), name)
	}
	on, err := pausing(verb)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	err = s.eng.pauseOne(name, on, s.opts.Clock.Now())
	s.mu.Unlock()
	s.bus.send("definition", "definition.changed", map[string]string{"name": name})
	s.wake()
	return done{}, err
}

func (s *Service) ask(req *http.Request, name string) (any, error) {
	var body RunRequest
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		return nil, badRequest("the request: %v", err)
	}
	if _, ok := typeFlags[body.Type]; !ok && body.Type != "" {
		return nil, badRequest("%q is no type of backup", body.Type)
	}
	s.mu.Lock()
	if e := s.shelf.entries[name]; e != nil && e.Problem != nil {
		s.mu.Unlock()
		return nil, &Problem{fmt.Sprintf("%s is refused: %v", name, e.Problem), http.StatusConflict, "refused", ""}
	}
	r, err := s.eng.ask(Run{Definition: name, Type: body.Type, Cause: ByUser, By: peerOf(req.Context()).Name}, s.opts.Clock.Now())
	s.mu.Unlock()
	s.wake()
	return r, err
}

func number(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, badRequest("%q is no number of a run", s)
	}
	return id, nil
}
