package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ingot/internal/job"
	"ingot/internal/notify"
	"ingot/internal/plan"
)

// ErrRunning says that another service has the socket or the history.
var ErrRunning = errors.New("a service is running already")

// Options are what a service is made of. Program, Definitions and State must be
// given.
type Options struct {
	// Program is the command line each run begins with; "run FILE --json" and
	// what else it is to know follow.
	Program     []string
	Definitions string // folder of the definition files
	State       string // folder of the history and the logs; made when it is not there
	Socket      string // "" is DefaultSocket
	// Group is that whose members may look on, start and cancel runs; "" is
	// nobody's.
	Group string
	Load  Loader
	// CheckHistory looks at the database in a process of its own: damage of the
	// worst kind ends the process that looks. Nil leaves that out.
	CheckHistory func(path string) error
	// Tell gives word to the owner of a definition of what its runs cannot say
	// themselves; nil tells nobody.
	Tell func(context.Context, *plan.Definition, *notify.Message) []error

	Clock    Clock         // nil is WallClock
	Parallel int           // runs at a time; 0 is 1: backups share the disks and the processors
	Grace    time.Duration // that a run has to stop when asked to; 0 is 30 s
	Scan     time.Duration // between two looks at the definitions; 0 is 3 s
	KeepRuns int           // of the history; 0 is DefaultKeepRuns
	KeepDays int           // 0 is DefaultKeepDays
	Log      *slog.Logger  // nil is silent
	Version  string
}

func (o Options) filled() Options {
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	if o.Clock == nil {
		o.Clock = WallClock{}
	}
	for _, d := range []struct {
		of   *time.Duration
		zero time.Duration
	}{{&o.Grace, 30 * time.Second}, {&o.Scan, 3 * time.Second}} {
		if *d.of <= 0 {
			*d.of = d.zero
		}
	}
	if o.KeepRuns <= 0 {
		o.KeepRuns = DefaultKeepRuns
	}
	if o.KeepDays <= 0 {
		o.KeepDays = DefaultKeepDays
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Service is a service under way.
type Service struct {
	opts    Options
	log     *slog.Logger
	record  *recorder
	logs    logs
	bus     bus
	started time.Time
	kick    chan struct{}      // has something when there may be work
	changed chan chan struct{} // a definition was changed from here; closed when it is known
	editing sync.Mutex         // one change of a definition at a time
	grants  grants
	streams chan struct{} // a place for each stream of events

	mu    sync.Mutex
	eng   *engine
	shelf shelf
	live  map[uint64]*live // runs under way
	count counters
	wg    sync.WaitGroup // of runs and messages
	stop  context.Context
}

// live is what is known of a run under way beside its record.
type live struct {
	cancel context.CancelCauseFunc
	event  *job.Event // the last progress
	stage  string
	said   time.Time
}

// Serve is the service: it comes back when ctx ends, after its runs have stopped,
// or when it cannot begin.
func Serve(ctx context.Context, opts Options) error {
	s, err := newService(ctx, opts)
	if err != nil {
		return err
	}
	l, group, err := listen(s.opts.Socket, s.opts.Group)
	if err != nil {
		return errors.Join(err, s.record.close())
	}
	srv := s.server(group)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	s.log.Info("the service has started", "socket", s.opts.Socket, "definitions", s.opts.Definitions, "state", s.opts.State)
	s.loop(ctx)
	s.shutdown()
	_ = srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("the socket was closed", "error", err)
	}
	s.log.Info("the service has ended")
	return s.record.close()
}

func newService(ctx context.Context, opts Options) (*Service, error) {
	s := &Service{opts: opts.filled(), kick: make(chan struct{}, 1), changed: make(chan chan struct{}), streams: make(chan struct{}, maxStreams), live: map[uint64]*live{}, stop: ctx, grants: grants{now: time.Now}}
	s.log, s.started = s.opts.Log, s.opts.Clock.Now()
	s.logs = logs{filepath.Join(s.opts.State, "logs")}
	if err := os.MkdirAll(s.logs.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the history: %w", err)
	}
	record, m, err := newRecorder(filepath.Join(s.opts.State, "history.db"), s.opts.CheckHistory, s.log, s.opts.Clock.Now)
	if err != nil {
		return nil, err
	}
	s.record = record
	m.last = max(m.last, s.logs.last())
	s.eng = newEngine(m, s.opts.Parallel, record.store, func(name string, r *Run) { s.bus.send("job", name, r) })
	host, _ := os.Hostname()
	s.eng.machine = Machine{Host: host, Boot: bootID(), BootTime: s.started}
	s.shelf = shelf{dir: s.opts.Definitions, load: s.opts.Load}
	s.look()
	s.recover(m.unfinished)
	return s, nil
}

// recover takes up what the service before this one left.
func (s *Service) recover(unfinished []Run) {
	for i := range unfinished {
		r := &unfinished[i]
		if r.State == Running && r.Process != nil && endOrphan(*r.Process, s.opts.Grace) {
			s.log.Warn("a run of the service before this one was still at work and was ended", "run", r.ID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.eng.recover(unfinished, s.opts.Clock.Now()) {
		s.log.Warn("a run was interrupted", "run", r.ID, "definition", r.Definition)
		_ = s.logs.create(r.ID, s.opts.Clock.Now).end(&Outcome{State: r.State, Error: r.Error})
		s.report(&r)
	}
}

// nap is the longest the loop sleeps: so often it looks whether the clock was
// set or the machine slept.
const nap = 15 * time.Second

// loop is the work of the service until ctx ends.
func (s *Service) loop(ctx context.Context) {
	var aside sync.WaitGroup
	defer aside.Wait()
	aside.Go(func() { s.watchPlugs(ctx) })
	aside.Go(func() { s.watchIdle(ctx) })
	scan := time.NewTicker(s.opts.Scan)
	defer scan.Stop()
	var w watch
	began, tidied := time.Now(), time.Time{}
	for ctx.Err() == nil {
		if d := w.jump(time.Now().Round(0), time.Since(began)); d != 0 {
			s.log.Info("the clock and the machine went apart: a suspend, or the clock was set", "by", d.String())
		}
		s.turn(ctx)
		if time.Since(tidied) > time.Hour {
			tidied = time.Now()
			s.tidy()
		}
		timer := time.NewTimer(s.sleep())
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.kick:
		case <-scan.C:
			s.look()
		case seen := <-s.changed:
			s.look()
			close(seen)
		}
		timer.Stop()
	}
}

// sleep is how long there is nothing to do.
func (s *Service) sleep() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock.Now()
	at, some := s.eng.wake(now)
	if !some {
		return nap
	}
	return min(nap, max(s.opts.Clock.Real(at.Sub(now)), time.Millisecond))
}

// wake has the loop look for work at once.
func (s *Service) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// turn starts what is due and says what is overdue.
func (s *Service) turn(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock.Now()
	for _, r := range s.eng.step(now) {
		s.start(ctx, r)
	}
	for name, since := range s.eng.overdue(now) {
		s.alarm(name, since, now)
	}
}

// look reads the definitions anew.
func (s *Service) look() {
	next, changed := s.shelf.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock.Now()
	// What an old schedule had due is queued before a new one counts.
	s.eng.dueNow(now)
	s.shelf = next
	items, present := next.items()
	s.eng.know(items, present, now)
	for _, name := range changed {
		s.tellChange(name)
	}
}

// tellChange says what became of a definition file.
func (s *Service) tellChange(name string) {
	e := s.shelf.entries[name]
	switch {
	case e == nil:
		s.log.Info("a definition is gone", "definition", name)
	case e.Problem != nil:
		s.log.Error("a definition is refused", "definition", name, "reason", e.Problem)
	default:
		s.log.Info("a definition was read", "definition", name)
	}
	s.bus.send("definition", "definition.changed", map[string]string{"name": name})
}

// watchPlugs keeps up with the volumes of the machine.
func (s *Service) watchPlugs(ctx context.Context) {
	var m mounts
	err := watchMounts(ctx, func(table map[string]string) {
		s.mu.Lock()
		more := m.update(table, s.opts.Clock.Now())
		s.eng.machine.Volumes = m.at
		s.mu.Unlock()
		if more {
			s.wake()
		}
	})
	if err != nil {
		s.log.Error("volumes that are plugged in are not noticed", "error", err)
	}
}

// watchIdle keeps up with how long nobody has used the machine.
func (s *Service) watchIdle(ctx context.Context) {
	tick := time.NewTicker(nap)
	defer tick.Stop()
	var idle idleness
	for {
		l, err := readLoad()
		if err != nil {
			s.log.Error("nobody can tell whether the machine is idle", "error", err)
			return
		}
		s.mu.Lock()
		s.eng.machine.Idle = idle.look(l, len(s.eng.running) > 0, time.Now())
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tidy keeps history and logs bounded.
func (s *Service) tidy() {
	oldest := s.opts.Clock.Now().AddDate(0, 0, -s.opts.KeepDays)
	var lowest uint64
	err := s.record.with(func(h *history) (err error) {
		lowest, err = h.trim(s.opts.KeepRuns, oldest)
		return err
	})
	if err = errors.Join(err, s.logs.trim(lowest, maxLogFolder)); err != nil {
		s.log.Error("history and logs could not be tidied", "error", err)
	}
}

// shutdown has all runs stop and waits for them: no longer than twice the grace.
func (s *Service) shutdown() {
	s.mu.Lock()
	s.eng.stopping = true
	for _, l := range s.live {
		l.cancel(errShutdown)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2*s.opts.Grace + drain):
		s.log.Error("not all runs have ended in time")
	}
}
