package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"ingot/internal/disk"
	"ingot/internal/hook"
	"ingot/internal/job"
	"ingot/internal/machine"
	"ingot/internal/notify"
	"ingot/internal/plan"
)

// Request is one image that an Imager is to take.
type Request struct {
	Source Found
	Folder string
	Type   plan.Type // "" continues the newest set of the same partitions, or begins one
	Def    *plan.Definition
	Last   bool // there is no other destination to try
	// Password gives that of the definition; nil when it has none.
	Password func(context.Context) ([]byte, error)
}

// Imaging is an image that was looked at and not yet begun. Close it.
type Imaging interface {
	Type() plan.Type // that it is going to have
	Bytes() int64    // that will be read
	Free(context.Context) (int64, error)
	Run(context.Context, *job.Log) (*job.Image, error)
	Close() error
}

// Imager prepares images.
type Imager func(context.Context, *Request) (Imaging, error)

// Env is what a run asks of the program and the machine around it.
type Env struct {
	Machine Machine
	Image   Imager
	// Holds says whether the disk or file source holds path.
	Holds func(source, path string) (bool, error)
	// Judge gives the exit code of an error, and what can be done about it.
	Judge func(error) (code int, hint string)
	// Trust says why the program of a hook is not to be trusted.
	Trust func(argv []string) error

	Supply   func() (machine.Supply, error)
	Metered  func(context.Context) (bool, error)
	Share    func(*disk.Place) bool // says whether a place is on another machine
	Priority func(cpu, io plan.Priority) error
	Awake    func(ctx context.Context, why string) (release func(), err error)
	Detach   func(ctx context.Context, path string) (said string, err error)

	Now   func() time.Time
	Built time.Time // when this program was; zero when nobody knows
	Host  string
	Fstab string // path of the list of mounts
	Logs  string // folder of the logs of runs; "" keeps none
	Tell  func(job.Event)
}

// Options are those of one run.
type Options struct {
	Type      plan.Type     // "" leaves it to the plan
	Scheduled bool          // nobody asked for it: Conditions hold
	Run       string        // its name; "" makes one
	Wait      time.Duration // for the lock of another run
}

// run is one run under way.
type run struct {
	*Env
	def    *plan.Definition
	opts   Options
	log    *job.Log
	script *transcript
	report job.Report
	folder string // of the destination in use
	told   []notify.Channel
	// unread is what could not be read of sources whose images are complete.
	unread error
}

var (
	// ErrBattery says that a run was given up as there is no mains power.
	ErrBattery = errors.New("the machine runs on battery")
	// ErrMetered says that a run was not begun as the network costs.
	ErrMetered = errors.New("the network is paid by volume")
	// ErrLimit says that a run took longer than its definition allows.
	ErrLimit = errors.New("it took longer than the definition allows")
)

// Run runs a definition, which was checked. The report is never nil; the error
// says what failed, if anything did.
func Run(ctx context.Context, d *plan.Definition, o Options, env *Env) (*job.Report, error) {
	r := &run{Env: env, def: d, opts: o}
	r.begin()
	err := r.skip(ctx)
	if err != nil {
		r.report.Status = job.Skipped
		r.log.Note("skipped: %v", err)
		r.gather()
		r.end()
		return &r.report, nil
	}
	r.told = Channels(r.def)
	r.tell(ctx, notify.Start)
	if err = r.guarded(ctx); err == nil {
		err = r.unread
	}
	r.judge(ctx, err)
	r.after(ctx)
	r.tell(ctx, notify.Of(r.report.Status))
	r.end()
	return &r.report, err
}

func (r *run) begin() {
	now := r.Now()
	r.report = job.Report{
		Run: r.opts.Run, Definition: r.def.Name, Host: r.Host, Began: now,
		Images: []job.Image{}, Warnings: []string{}, Notes: []string{},
	}
	if r.report.Run == "" {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		r.report.Run = now.UTC().Format("20060102T150405Z-") + hex.EncodeToString(b[:])
	}
	var err error
	r.script, err = newTranscript(r.Logs, r.def.Name, r.report.Run)
	r.report.Log = r.script.path
	r.log = job.NewLog(func(e job.Event) {
		r.script.add(e)
		if r.Tell != nil {
			r.Tell(e)
		}
	})
	if err != nil {
		r.log.Warn("no log of this run is kept: %v", err)
	}
}

// skip says why a scheduled run is not to begin. What nobody can tell is no
// reason.
func (r *run) skip(ctx context.Context) error {
	if !r.opts.Scheduled {
		return nil
	}
	battery, err := r.onBattery()
	if err != nil {
		r.log.Warn("nobody knows whether the machine runs on battery: %v", err)
	}
	metered, err := r.metered(ctx)
	if err != nil {
		r.log.Warn("nobody knows whether the network is paid by volume: %v", err)
	}
	return cmp.Or(battery, metered)
}

// metered says that the network is paid by volume, when it is and the destination
// is behind it.
func (r *run) metered(ctx context.Context) (why, err error) {
	if !r.def.Conditions.SkipOnMetered {
		return nil, nil
	}
	all := places(r.def.Destinations, r.Fstab)
	i := slices.IndexFunc(all, func(p Place) bool { return p.Err == nil })
	if i < 0 || !r.Share(all[i].On) {
		return nil, nil
	}
	if paid, err := r.Metered(ctx); err != nil || !paid {
		return nil, err
	}
	return ErrMetered, nil
}

// onBattery says that the machine runs on battery, when it does and that counts.
func (r *run) onBattery() (why, err error) {
	c := &r.def.Conditions
	if !c.SkipOnBattery {
		return nil, nil
	}
	s, err := r.Supply()
	if err != nil {
		return nil, err
	}
	if !s.Battery || c.MinBattery > 0 && s.Percent > c.MinBattery {
		return nil, nil
	}
	if s.Percent >= 0 {
		return fmt.Errorf("%w, with %d%% left", ErrBattery, s.Percent), nil
	}
	return ErrBattery, nil
}

// guarded does the work of the run with what protects the machine from it and it
// from the machine.
func (r *run) guarded(ctx context.Context) error {
	o := &r.def.Options
	if err := r.Priority(o.CPU, o.IO); err != nil {
		r.log.Warn("the run keeps its usual priority: %v", err)
	}
	if !o.AllowSleep {
		release, err := r.Awake(ctx, "backup "+r.def.Name)
		switch {
		case errors.Is(err, machine.ErrNoInhibitor):
			r.log.Note("%v", err)
		case err != nil:
			r.log.Warn("the machine may go to sleep while the backup runs: %v", err)
		default:
			defer release()
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if limit := r.def.Limits.Duration; limit > 0 {
		t := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w: %s", ErrLimit, limit)) })
		defer t.Stop()
	}
	stop := r.watchBattery(cancel)
	defer stop()
	err := r.work(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause // why it was interrupted, rather than where
	}
	return err
}

// batteryPoll is how often a run looks whether there still is mains power.
const batteryPoll = 30 * time.Second

// watchBattery ends a scheduled run when the power goes.
func (r *run) watchBattery(cancel context.CancelCauseFunc) (stop func()) {
	if !r.opts.Scheduled || !r.def.Conditions.SkipOnBattery {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(batteryPoll)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				if why, _ := r.onBattery(); why != nil {
					cancel(why)
					return
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// work is the hooks around the images, and these. What a hook before has done is
// undone by the one after, whatever happens between.
func (r *run) work(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, r.hooks(context.WithoutCancel(ctx), plan.AfterSnapshot))
	}()
	if err := r.hooks(ctx, plan.BeforeSnapshot); err != nil {
		return err
	}
	return r.images(ctx)
}

// hooks runs those of a point. The error is that of one that the run may not go
// on without.
func (r *run) hooks(ctx context.Context, at plan.HookPoint) error {
	var errs []error
	for i := range r.def.Hooks {
		h := &r.def.Hooks[i]
		if h.At != at {
			continue
		}
		err := r.hook(ctx, h)
		switch {
		case err == nil:
		case h.Stop && (at == plan.BeforeSnapshot || at == plan.AfterSnapshot):
			errs = append(errs, fmt.Errorf("the hook %s: %w", at, err))
			if at == plan.BeforeSnapshot {
				return errs[0]
			}
		default:
			r.log.Warn("the hook %s: %v", at, err)
		}
	}
	return errors.Join(errs...)
}

func (r *run) hook(ctx context.Context, h *plan.Hook) error {
	if err := r.Trust(h.Command); err != nil {
		return err
	}
	limit := h.Timeout
	if limit <= 0 {
		limit = plan.DefaultHookTimeout
	}
	r.log.Note("hook %s: %s", h.At, h.Command[0])
	out, err := hook.Run(ctx, hook.Command{Path: h.Command[0], Args: h.Command[1:], Dir: h.Dir, Limit: limit, Env: r.environment(h.At)})
	for line := range lines(out) {
		r.log.Note("hook %s: %s", h.At, line)
	}
	return err
}

// judge says how the run ended.
func (r *run) judge(ctx context.Context, err error) {
	rep := &r.report
	r.gather()
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, ErrBattery):
		rep.Status = job.Stopped
	case err == r.unread:
		// The images are there, and a warning was told.
	default:
		rep.Status = job.Failed
	}
	if err != nil {
		rep.Error = err.Error()
		rep.ExitCode, rep.Hint = r.Judge(err)
	}
	rep.Ended = r.Now()
}

// Unreadable marks an error of Imaging.Run, which gave an image all the same, as
// one that says that some of the source could not be read.
func Unreadable(err error) error { return &unreadableError{err} }

type unreadableError struct{ error }

func (e *unreadableError) Unwrap() error { return e.error }

// gather takes the warnings there are by now, and the status they make while
// nothing failed.
func (r *run) gather() {
	rep := &r.report
	rep.Warnings = append([]string{}, r.log.Warnings()...)
	if rep.Status == "" || rep.Status == job.Success {
		rep.Status = job.Success
		if len(rep.Warnings) > 0 {
			rep.Status = job.Warned
		}
	}
}

var afterPoints = map[job.Status]plan.HookPoint{
	job.Success: plan.AfterSuccess, job.Warned: plan.AfterWarning, job.Failed: plan.AfterFailure, job.Stopped: plan.AfterFailure,
}

// after does what follows a run, whatever became of it.
func (r *run) after(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	_ = r.hooks(ctx, afterPoints[r.report.Status]) // these are warnings
	if r.def.After.Detach && r.folder != "" {
		said, err := r.Detach(ctx, r.folder)
		if err != nil {
			r.log.Warn("%v", err)
		} else {
			r.log.Note("%s", said)
		}
	}
	r.gather()
}

// tell tells the owner.
func (r *run) tell(ctx context.Context, e notify.Event) {
	if e == 0 {
		return
	}
	for _, err := range notify.Tell(ctx, r.told, &notify.Message{Event: e, Report: r.report, Log: r.script.text()}) {
		r.log.Warn("%v", err)
	}
	if e != notify.Start {
		r.gather()
	}
}

func (r *run) end() {
	r.report.Ended = r.Now()
	r.report.Notes = append(r.report.Notes, r.script.notes...)
	if err := r.script.close(&r.report); err != nil && r.Tell != nil {
		r.Tell(job.Event{Time: r.Now(), Kind: job.Warning, Text: err.Error()})
	}
}

// PowerAfter is what is to become of the machine after a run that ended so.
func PowerAfter(a *plan.After, s job.Status) plan.PowerAction {
	if s.Good() || s == job.Failed && a.EvenIfFailed {
		return a.Power
	}
	return plan.PowerNothing
}
