package browse

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
)

// item copies an item into a folder. An error ends the run; what concerns the
// item alone was told.
func (c *copier) item(t *target, it Item, depth int) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if it.Info.IsDir() {
		return c.fail(it, c.folder(t, it, depth))
	}
	if err := checkName(it.Name); err != nil {
		return c.fail(it, err)
	}
	err := c.single(t, it)
	if err == nil {
		c.done(it.Info)
	}
	return c.fail(it, err)
}

// folder copies a folder: its files side by side, then the folders in it, and
// last what is known of itself, since that would change again.
func (c *copier) folder(t *target, it Item, depth int) error {
	if it.Name == "." {
		return c.entries(t, it, depth)
	}
	if err := checkName(it.Name); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("more than %d folders in each other", maxDepth)
	}
	if err := t.root.Mkdir(it.Name, 0o700); err != nil && !(c.o.Force && errors.Is(err, fs.ErrExist)) {
		return err
	}
	sub, err := t.folder(it.Name)
	if err != nil {
		return err
	}
	defer sub.close()
	c.done(it.Info)
	if err := c.entries(sub, it, depth); err != nil {
		return err
	}
	if err := c.streams(t, it, sub.dir); err != nil {
		return err
	}
	c.keep(it, sub.dir)
	return nil
}

// entries copies what lies in a folder.
func (c *copier) entries(sub *target, it Item, depth int) error {
	list, err := it.Volume.Files.ReadDir(it.Path)
	if err := c.fail(it, err); err != nil {
		return err
	}
	var folders []Item
	side := sideBySide{c: c}
	for _, e := range list {
		if err = side.failed(); err != nil {
			break
		}
		one, bad := child(it, e)
		switch {
		case bad != nil:
			err = c.fail(one, bad)
		case one.Info.IsDir():
			folders = append(folders, one)
		case one.small():
			side.start(func() error { return c.item(sub, one, depth+1) })
		default:
			err = c.item(sub, one, depth+1)
		}
		if err != nil {
			break
		}
	}
	if failed := side.wait(); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	for _, f := range folders {
		if err := c.item(sub, f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// child is an entry of a folder as an item.
func child(folder Item, e fs.DirEntry) (one Item, err error) {
	one = Item{Volume: folder.Volume, Path: folder.Path, Name: e.Name()}
	p, err := join(folder.Path, e.Name())
	if err != nil {
		return one, err
	}
	one.Path = p
	one.Info, err = e.Info()
	return one, err
}

// small says whether an item is copied beside others: a file that is no large
// one, and has no other names, which might come at the same time.
func (it *Item) small() bool {
	n := it.node()
	return it.Info.Mode().IsRegular() && it.Info.Size() < largeFile && (n == nil || n.Links() == 1)
}

// sideBySide runs copies of small files, some at a time.
type sideBySide struct {
	c   *copier
	all sync.WaitGroup
	mu  sync.Mutex
	err error
}

func (s *sideBySide) start(f func() error) {
	s.c.turns <- struct{}{}
	s.all.Go(func() {
		defer func() { <-s.c.turns }()
		if err := f(); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.err == nil {
				s.err = err
			}
		}
	})
}

func (s *sideBySide) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sideBySide) wait() error {
	s.all.Wait()
	return s.err
}

// single copies what is no folder.
func (c *copier) single(t *target, it Item) error {
	n := it.node()
	if n == nil || n.Links() <= 1 || it.Info.IsDir() {
		return c.place(t, it)
	}
	key := linkKey{it.Volume, n.ID()}
	c.mu.Lock()
	first, ok := c.linked[key]
	c.mu.Unlock()
	if ok {
		tmp := temporary()
		if err := c.top.root.Link(first, path.Join(t.rel, tmp)); err == nil {
			c.meter.Add(it.Info.Size())
			return c.commit(t, tmp, it.Name)
		}
		// A file system without links, or at its most: a copy, then.
	}
	err := c.place(t, it)
	if err == nil {
		c.mu.Lock()
		c.linked[key] = path.Join(t.rel, it.Name)
		c.mu.Unlock()
	}
	return err
}

// place makes a file, link or special file of its own.
func (c *copier) place(t *target, it Item) error {
	switch m := it.Info.Mode(); {
	case m.IsRegular():
		return c.file(t, it)
	case m&fs.ModeSymlink != 0:
		return c.link(t, it)
	default:
		return c.special(t, it)
	}
}

// link makes a symbolic link. What it leads to is never looked at.
func (c *copier) link(t *target, it Item) error {
	to, err := it.Volume.Files.ReadLink(it.Path)
	if err != nil {
		return err
	}
	tmp := temporary()
	if err := t.root.Symlink(it.Volume.localTarget(to), tmp); err != nil {
		return err
	}
	c.keepAt(it, t, tmp)
	return c.commit(t, tmp, it.Name)
}

// special makes a pipe, socket or device file.
func (c *copier) special(t *target, it Item) error {
	if it.Info.Mode()&fs.ModeDevice != 0 && !c.host.owners {
		return errors.New("a device file is made by root only, and with its owner")
	}
	tmp := temporary()
	if err := makeNode(t, tmp, it.Info); err != nil {
		return err
	}
	c.keepAt(it, t, tmp)
	return c.commit(t, tmp, it.Name)
}

// commit gives what was made under a temporary name its own. Should that fail,
// nothing is left.
func (c *copier) commit(t *target, tmp, name string) error {
	var err error
	if c.o.Force {
		err = t.root.Rename(tmp, name)
	} else {
		err = renameNew(t, tmp, name)
	}
	if err != nil {
		_ = t.root.Remove(tmp)
	}
	return err
}
