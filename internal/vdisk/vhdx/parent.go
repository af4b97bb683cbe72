package vhdx

import (
	"errors"
	"fmt"
	"path/filepath"

	"ingot/internal/diskchain"
)

// Keys of a parent locator ([MS-VHDX] 2.6.2.6.3).
const (
	keyLinkage  = "parent_linkage"
	keyLinkage2 = "parent_linkage2"
	keyRelative = "relative_path"
	keyVolume   = "volume_path"
	keyAbsolute = "absolute_win32_path"
)

// openParents opens the chain below d, one file after the other.
func (d *Disk) openParents(open diskchain.Opener) error {
	seen := map[string]bool{clean(d.path): true}
	for child, depth := d, 1; child.meta.hasParent; child, depth = child.parent, depth+1 {
		if depth >= diskchain.MaxDepth {
			return fmt.Errorf("more than %d files stand on each other", diskchain.MaxDepth)
		}
		if open == nil {
			return fmt.Errorf("the disk is the difference to %s, which cannot be opened here", child.parentName())
		}
		p, err := child.openParent(open)
		if err != nil {
			return fmt.Errorf("open the parent of %s: %w", child.name(), err)
		}
		child.parent = p
		if seen[clean(p.path)] {
			return fmt.Errorf("%s is its own ancestor", p.name())
		}
		seen[clean(p.path)] = true
	}
	return nil
}

func clean(path string) string { return filepath.Clean(path) }

// name is what a file is called in messages.
func (d *Disk) name() string {
	if d.path == "" {
		return "the disk"
	}
	return d.path
}

// parentName is what the file calls its parent.
func (d *Disk) parentName() string {
	for _, key := range []string{keyRelative, keyAbsolute, keyVolume} {
		if v := d.meta.locator[key]; v != "" {
			return fmt.Sprintf("%q", v)
		}
	}
	return "a parent it does not name"
}

// openParent takes the first of the places that hold a disk with the right
// identity.
func (d *Disk) openParent(open diskchain.Opener) (*Disk, error) {
	places := diskchain.Places(d.path, d.meta.locator[keyRelative], d.meta.locator[keyAbsolute], d.meta.locator[keyVolume])
	if len(places) == 0 {
		return nil, fmt.Errorf("it names none that may be opened (%s)", d.parentName())
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

func (d *Disk) tryParent(open diskchain.Opener, path string) (*Disk, error) {
	r, size, c, err := open(path)
	if err != nil {
		return nil, err
	}
	p, err := openFile(r, size, path)
	if err == nil {
		err = d.isChildOf(p)
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

// isChildOf fails unless the locator of d names the present state of p
// ([MS-VHDX] 2.6.2.6.3): a parent that was written to since is another disk.
func (d *Disk) isChildOf(p *Disk) error {
	one, two := d.meta.locator[keyLinkage], d.meta.locator[keyLinkage2]
	if one != "" && p.head.dataWrite.names(one) || two != "" && p.head.dataWrite.names(two) {
		return nil
	}
	return fmt.Errorf("it is not the parent, or it was written to since: its state is %v, and %s stands on %q", p.head.dataWrite, d.name(), one)
}
