package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"ingot/internal/mount"
)

// What the verbs take here.
const (
	mountArgs = 2
	mountUse  = "mount IMAGE[@TIME] DIR"
	umountUse = "umount DIR"
)

// systemFlags are the flags of ingot mount that are for one system only.
type systemFlags struct{}

func (systemFlags) add(*pflag.FlagSet) {}

func (fl *mountFlags) check() error {
	if fl.background && fl.save {
		return usageError{errors.New("--save and --background: choose one; how saving went is told at the end")}
	}
	return fl.writeFlags.check()
}

// mountpoint is the folder that something is mounted on.
type mountpoint struct {
	path string // absolute, without links
	made bool
}

// openMountpoint makes the folder ready: what a killed program has left on it goes,
// and it has to be empty.
func openMountpoint(dir string) (*mountpoint, error) {
	path, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	if mount.Dead(path) {
		if err := endDead(path); err != nil {
			return nil, err
		}
	}
	switch list, err := os.ReadDir(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(path, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder to mount on: %w", err)
		}
		return &mountpoint{path, true}, nil
	case err != nil:
		return nil, fmt.Errorf("look into the folder to mount on: %w", err)
	case len(list) > 0:
		return nil, refuse("%s is not empty: name an empty folder, or one that is not there yet", path)
	}
	return &mountpoint{path, false}, nil
}

// resolve gives a path without links; of the last element only the folder it lies
// in is looked at, since it may be a mount whose program has gone.
func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil && !mount.Dead(abs) {
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			return real, nil
		}
	}
	if err == nil {
		var parent string
		parent, err = filepath.EvalSymlinks(filepath.Dir(abs))
		abs = filepath.Join(parent, filepath.Base(abs))
	}
	if err != nil {
		return "", fmt.Errorf("find the folder %s: %w", dir, err)
	}
	return abs, nil
}

// endDead unmounts what a program that was killed has left, if it was this one.
func endDead(path string) error {
	typ, err := mount.At(path)
	if err != nil {
		return err
	}
	if typ != mount.Type {
		return refuse("%s is a mount (%s) whose program has ended: unmount it with 'umount %s'", path, typ, path)
	}
	return mount.Unmount(path, true)
}

func (m *mountpoint) remove() {
	if m.made {
		_ = os.Remove(m.path)
	}
}

func (c *console) mount(ctx context.Context, a []string, fl *mountFlags) error {
	ref, dir := a[0], a[1]
	err := fl.check()
	switch {
	case err != nil:
		return err
	case fl.child:
		return c.mountChild(ctx, ref, dir, fl)
	case fl.background:
		return c.mountBackground(ctx, ref)
	}
	return c.mountHere(ctx, ref, dir, fl, func(r *mountReport) error { return c.tellMount(r, false) })
}

// mountHere mounts, calls ready, and stays until it is unmounted or interrupted.
func (c *console) mountHere(ctx context.Context, ref, dir string, fl *mountFlags, ready func(*mountReport) error) error {
	s, err := c.openServed(ctx, ref, &fl.writeFlags)
	if err != nil {
		return err
	}
	defer s.Close()
	at, err := openMountpoint(dir)
	if err != nil {
		return err
	}
	defer at.remove()
	root, shown := mountRoot(s)
	troubles := &troubles{c: c}
	srv, err := mount.Mount(at.path, root, mount.Options{Source: filepath.Base(s.path), AllowOther: fl.allowOther, Log: troubles.tell})
	if err != nil {
		return mountFailed(err, fl)
	}
	if err := ready(&mountReport{Status: "mounted", Image: s.path, Folder: at.path, Write: fl.write, Shown: shown}); err != nil {
		return errors.Join(err, mount.Unmount(at.path, true))
	}
	// Ctrl-C is how it ends; a second one ends what follows.
	select {
	case <-srv.Done():
	case <-ctx.Done():
	}
	after, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.unmountAt(after, srv, at.path, s.saver != nil); err != nil {
		return err
	}
	return c.finish(after, s)
}

// mountFailed adds what can be done about it.
func mountFailed(err error, fl *mountFlags) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w (is the kernel's FUSE there, and the package fuse3 installed?)", err)
	case fl.allowOther && os.Geteuid() != 0:
		return fmt.Errorf("%w (--allow-other needs the line user_allow_other in /etc/fuse.conf)", err)
	}
	return err
}

// mountRoot is what is shown of a point in time.
func mountRoot(s *served) (*mount.Root, []string) {
	root := &mount.Root{Time: s.time}
	var shown []string
	file := func(f mount.File) {
		root.Files = append(root.Files, f)
		shown = append(shown, f.Name)
	}
	for _, d := range s.disks {
		f := mount.File{Name: d.name + ".raw", Reader: d.view, Used: d.used}
		if d.over != nil {
			f.Writer = d.over
		}
		file(f)
		for _, p := range d.parts {
			f := mount.File{Name: p.name + ".raw", Reader: p.view, Used: p.used}
			if p.over != nil {
				f.Writer = partWriter{p.over, p.off}
			}
			file(f)
		}
		for _, p := range d.parts {
			if p.folder == "" {
				continue
			}
			open := p.files
			root.Folders = append(root.Folders, mount.Folder{Name: p.folder, Open: func() (mount.Tree, error) { return open() }})
			shown = append(shown, p.folder+"/")
		}
	}
	return root, shown
}

// unmountAt unmounts what is still mounted. What is in use goes out of sight, and
// loses what somebody still has open when the program ends; but when all that was
// written is to be saved it waits for that, until the next interrupt.
func (c *console) unmountAt(ctx context.Context, srv *mount.Server, path string, wait bool) error {
	told := false
	for {
		select {
		case <-srv.Done():
			return nil
		default:
		}
		err := mount.Unmount(path, false)
		switch {
		case err == nil:
			<-srv.Done()
			return nil
		case !errors.Is(err, mount.ErrBusy):
			return err
		case !wait:
			fmt.Fprintf(c.errs, "Warning: %v\n", err)
			return mount.Unmount(path, true)
		}
		if !told {
			fmt.Fprintf(c.errs, "%v. What was written is saved when that has ended; interrupt once more to drop it.\n", err)
			told = true
		}
		select {
		case <-srv.Done():
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(errInterrupted, errors.New("what was written is dropped"), mount.Unmount(path, true))
		}
	}
}

func (c *console) umount(dir string, lazy bool) error {
	path, err := resolve(dir)
	if err != nil {
		return err
	}
	typ, err := mount.At(path)
	switch {
	case err != nil:
		return err
	case typ == "":
		return refuse("nothing is mounted on %s", path)
	case typ != mount.Type:
		return refuse("what is mounted on %s is not of this program (%s): use umount", path, typ)
	}
	err = mount.Unmount(path, lazy || mount.Dead(path))
	if errors.Is(err, mount.ErrBusy) {
		return refuse("%w", err)
	}
	return err
}

// mountReport is what ingot mount tells when all can be seen.
type mountReport struct {
	Status string   `json:"status"` // mounted
	Image  string   `json:"image"`
	Folder string   `json:"folder"`
	Write  bool     `json:"write"`
	Shown  []string `json:"shown"` // names in the folder
}

func (c *console) tellMount(r *mountReport, background bool) error {
	if c.json {
		return c.emit(r)
	}
	c.note("%s shows %s:", r.Folder, r.Image)
	for _, name := range r.Shown {
		c.note("  %s", name)
	}
	if background {
		c.note("End it with 'ingot umount %s'.", r.Folder)
	} else {
		c.note("Until Ctrl-C, or 'ingot umount %s'.", r.Folder)
	}
	return nil
}
