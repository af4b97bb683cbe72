package runner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/secret"
)

// ErrNowhere is wrapped by the error for a run none of whose destinations can be
// used.
var ErrNowhere = errors.New("no destination can be used")

// images takes an image of each disk.
func (r *run) images(ctx context.Context) error {
	matched, usable, err := r.settle(ctx)
	if err != nil {
		return err
	}
	left := matched.Disks
	var errs []error
	for i := range usable {
		p := &usable[i]
		r.folder, r.report.Folder = p.Path, p.Path
		var full error
		left, full, err = r.imagesTo(ctx, p, left, i == len(usable)-1)
		errs = append(errs, err)
		if full == nil || ctx.Err() != nil {
			break
		}
		r.log.Warn("%s: %v; the next destination is tried", p.Path, full)
	}
	return errors.Join(errs...)
}

// settle finds the disks, and the destinations that can be used in the order
// they are to be tried in.
func (r *run) settle(ctx context.Context) (*Matched, []Place, error) {
	all := places(r.def.Destinations, r.Fstab)
	var taken []string
	for _, p := range all {
		if p.On != nil {
			for _, d := range p.On.Disks {
				taken = append(taken, d.Path)
			}
		}
	}
	m, err := Match(r.def.Sources, r.Machine, taken)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range m.Notes {
		r.log.Note("%s", n)
	}
	for _, w := range m.Warnings {
		r.log.Warn("%s", w)
	}
	for i := range all {
		if all[i].Err == nil {
			all[i].Err = r.notOnSource(m.Disks, all[i].Path)
		}
	}
	if r.def.Rotate {
		rotate(all, func(path string) time.Time { return r.newestIn(ctx, path, m.Disks) })
	}
	usable, err := r.usable(all)
	return m, usable, err
}

func (r *run) notOnSource(disks []Found, path string) error {
	for i := range disks {
		held, err := r.Holds(disks[i].Info.Path, path)
		if err != nil {
			return err
		}
		if held {
			return fmt.Errorf("%w, %s", errSource, disks[i].name())
		}
	}
	return nil
}

// newestIn is the time of the newest backup of the disks in a folder.
func (r *run) newestIn(ctx context.Context, path string, disks []Found) (t time.Time) {
	for i := range disks {
		have, err := points(ctx, path, disks[i].Layout.ID)
		if err != nil {
			r.log.Warn("%v", err)
		}
		if n := newest(have); n.After(t) {
			t = n
		}
	}
	return t
}

// usable are the places that can be used. Of drives that are exchanged for each
// other most are not there, as it should be; of alternatives each one counts.
func (r *run) usable(all []Place) (out []Place, err error) {
	var why []string
	for _, p := range all {
		switch {
		case p.Err == nil:
			out = append(out, p)
			continue
		case r.def.Rotate && errors.Is(p.Err, errAbsent):
			r.log.Note("%s is not used: %v", p.Path, p.Err)
		case len(all) > 1:
			r.log.Warn("%s is not used: %v", p.Path, p.Err)
		}
		why = append(why, fmt.Sprintf("%s: %v", p.Path, p.Err))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNowhere, strings.Join(why, "; "))
	}
	return out, nil
}

// imagesTo takes images to one destination until all are taken, or there is no
// room: then it gives those that are left, and what was full. On the last
// destination lack of room is an error like any other.
func (r *run) imagesTo(ctx context.Context, p *Place, disks []Found, last bool) (left []Found, full, err error) {
	var errs []error
	for i := range disks {
		err := r.image(ctx, p, &disks[i], last)
		if !last && (errors.Is(err, errFull) || errors.Is(err, syscall.ENOSPC)) {
			return disks[i:], err, errors.Join(errs...)
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, errors.Join(errs...)
}

// image takes the image of one disk to one destination.
func (r *run) image(ctx context.Context, p *Place, f *Found, last bool) (err error) {
	store, err := folder.New(p.Path)
	if err != nil {
		return err
	}
	lock, err := store.TakeLock(ctx, f.Key(), folder.Owner{Host: r.Host, PID: os.Getpid(), Since: r.Now(), What: "ingot run " + r.def.Name}, r.opts.Wait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if lock.Left != nil {
		r.log.Note("an earlier run was cut short: %s", lock.Left)
	}
	have, err := points(ctx, p.Path, f.Layout.ID)
	if err != nil {
		return err
	}
	for _, w := range clockWarnings(r.Now(), r.Built, have) {
		r.log.Warn("%s", w)
	}
	im, err := r.Image(ctx, r.request(f, p.Path, have, last))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	if err := r.room(ctx, p, im, have, last); err != nil {
		return err
	}
	return r.take(ctx, im, f)
}

func (r *run) request(f *Found, path string, have []Point, last bool) *Request {
	q := &Request{Source: *f, Folder: path, Type: r.opts.Type, Def: r.def, Last: last}
	if q.Type == "" {
		q.Type = typeDue(r.def, have, r.Now())
	}
	if r.def.Options.Password.Given() {
		q.Password = func(ctx context.Context) ([]byte, error) {
			return secret.Resolve(ctx, r.def.Options.Password)
		}
	}
	return q
}

// take takes an image and puts it into the report.
func (r *run) take(ctx context.Context, im Imaging, f *Found) error {
	r.report.Type = string(im.Type())
	img, err := im.Run(ctx, r.log)
	if img != nil {
		img.Disk = f.Info.Path
		r.report.Images = append(r.report.Images, *img)
		if img.Bad > 0 {
			r.log.Warn("%d bytes of %s could not be read and are zeros in %s", img.Bad, f.Info.Path, img.File)
		}
	}
	var u *unreadableError
	if errors.As(err, &u) && img != nil {
		r.unread, err = u, nil
	}
	return err
}

// room says when an image will hardly find room. With another destination to try
// that is an error; on the last one it is tried all the same, since it is an
// estimate. Where the rules of retention make room, they do.
func (r *run) room(ctx context.Context, p *Place, im Imaging, have []Point, last bool) error {
	free, err := im.Free(ctx)
	if err != nil || free < 0 || r.def.Retention.MinFree > 0 {
		return err
	}
	n := need(im.Type(), im.Bytes(), r.def.Options.Compression != "none", have)
	if free >= n {
		return nil
	}
	err = fmt.Errorf("%w: %d MiB are free, about %d MiB are needed", errFull, free>>20, n>>20)
	if last {
		r.log.Warn("%s: %v", p.Path, err)
		return nil
	}
	return err
}

// environment is what a hook learns of the run.
func (r *run) environment(at plan.HookPoint) []string {
	var image string
	var all []string
	for _, im := range r.report.Images {
		image = filepath.Join(r.report.Folder, im.File)
		all = append(all, image)
	}
	env := []string{
		"INGOT_DEFINITION=" + r.def.Name, "INGOT_RUN=" + r.report.Run, "INGOT_POINT=" + string(at),
		"INGOT_TYPE=" + r.report.Type, "INGOT_DESTINATION=" + r.report.Folder,
		"INGOT_IMAGE=" + image, "INGOT_IMAGES=" + strings.Join(all, "\n"),
		"INGOT_STATUS=" + string(r.report.Status), "INGOT_ERROR=" + r.report.Error,
	}
	for i, e := range env {
		env[i] = strings.ReplaceAll(e, "\x00", "")
	}
	return env
}

// lines are those of a text that are not empty.
func lines(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for l := range strings.Lines(s) {
			if l = strings.TrimRight(l, "\r\n"); l != "" && !yield(l) {
				return
			}
		}
	}
}

// Preview is what a run would do.
type Preview struct {
	Folder string    // that would be used
	Found  []Found   // what would be imaged
	Images []Imaging // of each; Close closes them
}

// Close closes all images.
func (p *Preview) Close() error {
	var errs []error
	for _, im := range p.Images {
		errs = append(errs, im.Close())
	}
	return errors.Join(errs...)
}

// DryRun finds out what a run would do and changes nothing but for a file that
// comes and goes at each destination; what it has to say is told to env.Tell.
func DryRun(ctx context.Context, d *plan.Definition, o Options, env *Env) (*Preview, error) {
	r := &run{Env: env, def: d, opts: o, log: job.NewLog(env.Tell)}
	m, usable, err := r.settle(ctx)
	if err != nil {
		return nil, err
	}
	p := &Preview{Folder: usable[0].Path, Found: m.Disks}
	for i := range m.Disks {
		have, err := points(ctx, p.Folder, m.Disks[i].Layout.ID)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		im, err := r.Image(ctx, r.request(&m.Disks[i], p.Folder, have, true))
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.Images = append(p.Images, im)
	}
	return p, nil
}
