package vhd

import (
	"errors"
	"fmt"
	"path/filepath"

	"ingot/internal/diskchain"
)

// openParents opens the chain below d, one file after the other.
func (d *Disk) openParents(open diskchain.Opener) error {
	seen := map[string]bool{filepath.Clean(d.path): true}
	for child, depth := d, 1; child.foot.kind == typeDifferencing; child, depth = child.parent, depth+1 {
		if depth >= diskchain.MaxDepth {
			return fmt.Errorf("more than %d files stand on each other", diskchain.MaxDepth)
		}
		if open == nil {
			return fmt.Errorf("the disk is the difference to %q, which cannot be opened here", child.head.name)
		}
		p, err := child.openParent(open)
		if err != nil {
			return fmt.Errorf("open the parent of %s: %w", child.name(), err)
		}
		child.parent = p
		if seen[filepath.Clean(p.path)] {
			return fmt.Errorf("%s is its own ancestor", p.name())
		}
		seen[filepath.Clean(p.path)] = true
	}
	return nil
}

// name is what a file is called in messages.
func (d *Disk) name() string {
	if d.path == "" {
		return "the disk"
	}
	return d.path
}

// openParent takes the first of the places that hold a disk with the right
// identity.
func (d *Disk) openParent(open diskchain.Opener) (*Disk, error) {
	relative, err := d.head.path(d.r, relativePath)
	if err != nil {
		return nil, err
	}
	absolute, err := d.head.path(d.r, absolutePath)
	if err != nil {
		return nil, err
	}
	places := diskchain.Places(d.path, relative, absolute, d.head.name)
	if len(places) == 0 {
		return nil, errors.New("it names none that may be opened")
	}
	var errs []error
	for _, path := range places {
		p, err := d.tryParent(open, path)
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// tryParent opens a file that must have the identity that d names as its
// parent's (specification, "Parent Unique ID").
func (d *Disk) tryParent(open diskchain.Opener, path string) (*Disk, error) {
	r, size, c, err := open(path)
	if err != nil {
		return nil, err
	}
	p, err := openFile(r, size, path)
	if err == nil && p.foot.id != d.head.parent {
		err = fmt.Errorf("its identity is %x, and %s stands on %x", p.foot.id, d.name(), d.head.parent)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
		if c != nil {
			err = errors.Join(err, c.Close())
		}
		return nil, err
	}
	p.closer = c
	return p, nil
}
