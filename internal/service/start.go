package service

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"ingot/internal/job"
	"ingot/internal/notify"
	"ingot/internal/plan"
)

// typeFlags are the options of the run verb for the types of backup.
var typeFlags = map[plan.Type]string{plan.Full: "--full", plan.Differential: "--diff", plan.Incremental: "--inc"}

// start starts the process of a run. It is called with s.mu held.
func (s *Service) start(ctx context.Context, r Run) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s.live[r.ID] = &live{cancel: cancel}
	t := &task{
		argv: s.commandLine(&r), grace: s.opts.Grace,
		began: func(p Process) { s.began(r.ID, p) },
		tell:  func(e job.Event) { s.heard(r.ID, e) },
		log:   s.logs.create(r.ID, s.opts.Clock.Now),
	}
	s.log.Info("a run starts", "run", r.ID, "of", r.Title(), "type", r.Type, "cause", r.Cause)
	s.wg.Go(func() {
		o := t.run(ctx)
		o = s.settled(ctx, o)
		cancel(nil)
		if err := t.log.end(&o); err != nil {
			s.log.Error("the log of a run is not whole", "run", r.ID, "error", err)
		}
		s.finished(r.ID, o)
	})
}

// lockWait is how long a run waits for one that the service has not begun, by
// hand or of another machine, and that writes to the same set.
const lockWait = "1h"

// commandLine is that of a run. The definition is named by its file, which need
// not be in the folder the program looks into by itself.
func (s *Service) commandLine(r *Run) []string {
	argv := append([]string{}, s.opts.Program...)
	if r.Errand != nil {
		return append(argv, r.Errand.arguments()...)
	}
	argv = append(argv, "run", s.shelf.entries[r.Definition].File, "--json", "--run-id", runName(r.ID), "--log-folder", filepath.Join(s.opts.State, "runs"), "--wait", lockWait)
	if flag, ok := typeFlags[r.Type]; ok {
		argv = append(argv, flag)
	}
	if r.Cause != ByUser {
		argv = append(argv, "--scheduled")
	}
	return argv
}

// settled waits a moment when a run was stopped by somebody else: when the whole
// system goes down the service hears of it only then, and the run is to be
// resumed.
func (s *Service) settled(ctx context.Context, o Outcome) Outcome {
	if o.State != Stopped || ctx.Err() != nil {
		return o
	}
	select {
	case <-s.stop.Done():
		o.State, o.Error = Interrupted, errShutdown.Error()
	case <-time.After(2 * time.Second):
	}
	return o
}

func (s *Service) began(id uint64, p Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eng.began(id, p)
}

// heard passes on what a run tells.
func (s *Service) heard(id uint64, e job.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live[id]
	if l == nil {
		return
	}
	name := "job." + string(e.Kind)
	switch e.Kind {
	case job.Stage:
		l.stage, l.event = e.Stage, nil
	case job.Progress:
		l.stage, l.event = e.Stage, &e
		if e.Done < e.Total && time.Since(l.said) < progressEvery {
			return
		}
		l.said = time.Now()
	}
	s.bus.send("job", name, progressEvent{id, e})
}

// progressEvery is the least time between two words of progress of a run.
const progressEvery = 250 * time.Millisecond

// progressEvent is an event of a run, with its number.
type progressEvent struct {
	Run uint64 `json:"run"`
	job.Event
}

// finished notes the end of a run.
func (s *Service) finished(id uint64, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, id)
	r, ok := s.eng.finish(id, o, s.opts.Clock.Now())
	if !ok {
		return
	}
	s.log.Info("a run has ended", "run", r.ID, "of", r.Title(), "state", r.State, "error", r.Error)
	s.count.add(&r)
	if o.Report == nil {
		s.report(&r)
	}
	s.wake()
}

// report tells the owner of a run that could not do so itself: its process
// crashed, was killed, or ended with the machine. It is called with s.mu held.
func (s *Service) report(r *Run) {
	if r.State != Failed {
		return
	}
	m := &notify.Message{Event: notify.Failure, Report: s.reportOf(r)}
	m.Log, _ = os.ReadFile(s.logs.path(r.ID))
	s.say(r.Definition, m)
}

func (s *Service) reportOf(r *Run) job.Report {
	host, _ := os.Hostname()
	return job.Report{
		Run: runName(r.ID), Definition: r.Definition, Host: host, Status: job.Status(r.State), ExitCode: r.ExitCode, Error: r.Error, Hint: r.Hint,
		Type: string(r.Type), Began: r.Began, Ended: r.Ended, Log: s.logs.path(r.ID), Images: []job.Image{}, Warnings: []string{}, Notes: []string{},
	}
}

// alarm tells that a definition has had no good backup for too long.
func (s *Service) alarm(name string, since, now time.Time) {
	s.log.Error("no successful backup for too long", "definition", name, "since", since)
	s.bus.send("alert", "alert.raised", map[string]any{"definition": name, "since": since})
	s.count.alarms++
	host, _ := os.Hostname()
	s.say(name, &notify.Message{Event: notify.Overdue, Since: since, Report: job.Report{Definition: name, Host: host, Status: job.Failed, Began: now, Ended: now}})
}

// say gives a message to the owner of a definition. It is called with s.mu held.
func (s *Service) say(name string, m *notify.Message) {
	e := s.shelf.entries[name]
	if s.opts.Tell == nil || e == nil || e.Def == nil {
		return
	}
	def := e.Def
	s.wg.Go(func() {
		for _, err := range s.opts.Tell(context.WithoutCancel(s.stop), def, m) {
			s.log.Error("nobody could be told", "definition", name, "error", err)
		}
	})
}
