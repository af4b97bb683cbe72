// Package folder keeps image files in a folder of a file system: a local disk,
// a USB drive, a mounted share.
//
// A file is written as ".NAME.<random>.partial" beside the place it is to have,
// synced, linked or renamed to its name, and the folder is synced. What a crash
// leaves behind is thus a partial file, never an image; one that can be gone on
// with is called ".unfinished". Names with a path
// separator are refused. It does not guard against two programs that write the same name
// on a network share whose server gives no exclusive creation.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/internal/dest"
)

const (
	partialPrefix = "."
	partialSuffix = ".partial"
)

// Store is a folder. Make one with New.
type Store struct{ path string }

// New gives the folder at path, which must exist.
func New(path string) (*Store, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open destination folder: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("open destination folder: %s is not a folder", path)
	}
	return &Store{path}, nil
}

// Path is the folder's path.
func (s *Store) Path() string { return s.path }

// Create implements dest.Store.
func (s *Store) Create(_ context.Context, name string) (dest.Pending, error) {
	p, err := s.create(name, partialSuffix)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Store) create(name, suffix string) (*pending, error) {
	final, err := s.join(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(final); err == nil {
		return nil, fmt.Errorf("create %s: %w", final, dest.ErrExist)
	}
	s.sweep()
	f, err := os.CreateTemp(s.path, partialPrefix+name+".*"+suffix)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", final, err)
	}
	hold(f)
	return &pending{f: f, folder: s.path, final: final, out: newOutput(f), keep: suffix == keptSuffix}, nil
}

// stale is how long nobody has written to a partial file that is taken for the
// remains of a run that was killed, if nobody holds it either. It covers the
// moment before a new one is held, and hosts whose locks do not reach this one. A
// file that can be gone on with stays longer.
const (
	stale     = 10 * time.Minute
	staleKept = 7 * 24 * time.Hour
)

// sweep deletes what runs that were killed have left; without it their space
// would never come back. It does what it can: a file that stays does no harm.
func (s *Store) sweep() {
	names, err := os.ReadDir(s.path)
	if err != nil {
		return
	}
	for _, n := range names {
		info, err := n.Info()
		age := stale
		if strings.HasSuffix(n.Name(), keptSuffix) {
			age = staleKept
		}
		if err != nil || !isPartial(n.Name()) || !n.Type().IsRegular() || time.Since(info.ModTime()) < age {
			continue
		}
		path := filepath.Join(s.path, n.Name())
		if abandoned(path) {
			_ = os.Remove(path)
		}
	}
}

// Open implements dest.Store.
func (s *Store) Open(_ context.Context, name string) (dest.Blob, error) {
	path, err := s.join(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open image file: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open image file: %w", err), f.Close())
	}
	return blob{f, st.Size()}, nil
}

// List implements dest.Store.
func (s *Store) List(context.Context) ([]dest.Entry, error) {
	names, err := os.ReadDir(s.path)
	if err != nil {
		return nil, fmt.Errorf("list destination folder: %w", err)
	}
	var out []dest.Entry
	for _, n := range names {
		if !n.Type().IsRegular() || isPartial(n.Name()) {
			continue
		}
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since the folder was read
		}
		if err != nil {
			return nil, fmt.Errorf("list destination folder: %w", err)
		}
		out = append(out, dest.Entry{Name: n.Name(), Size: info.Size()})
	}
	return out, nil
}

// Remove implements dest.Store.
func (s *Store) Remove(_ context.Context, name string) error {
	path, err := s.join(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("delete image file: %w", err)
	}
	return syncFolder(s.path)
}

// Rename implements dest.Store.
func (s *Store) Rename(_ context.Context, from, to string) error {
	old, err := s.join(from)
	if err != nil {
		return err
	}
	path, err := s.join(to)
	if err != nil {
		return err
	}
	if err := os.Rename(old, path); err != nil {
		return fmt.Errorf("put an image file in the place of another: %w", err)
	}
	return syncFolder(s.path)
}

// Free implements dest.Store.
func (s *Store) Free(context.Context) (int64, error) {
	n, err := freeBytes(s.path)
	if err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", s.path, err)
	}
	return n, nil
}

// fatFile is the most that FAT can say of the length of a file.
const fatFile = 1<<32 - 1

// MaxFile is how large a file of the folder may become in bytes, 0 when there is
// no limit that is known.
func (s *Store) MaxFile() (int64, error) {
	n, err := maxFile(s.path)
	if err != nil {
		return 0, fmt.Errorf("ask for the file system of %s: %w", s.path, err)
	}
	return n, nil
}

// join is the path of a file of the store; only plain names are taken.
func (s *Store) join(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || isPartial(name) {
		return "", fmt.Errorf("%q cannot be the name of an image file", name)
	}
	return filepath.Join(s.path, name), nil
}

func isPartial(name string) bool {
	return strings.HasPrefix(name, partialPrefix) && (strings.HasSuffix(name, partialSuffix) || strings.HasSuffix(name, keptSuffix))
}

type blob struct {
	*os.File
	size int64
}

func (b blob) Size() int64 { return b.size }

type pending struct {
	f      *os.File // nil when committed or aborted
	folder string
	final  string
	out    *output
	keep   bool // it stays when it cannot be finished
}

func (p *pending) Write(b []byte) (int, error) {
	n, err := p.out.Write(b)
	if err != nil {
		return n, fmt.Errorf("write image file: %w", err)
	}
	return n, nil
}

// Flush implements dest.Flusher.
func (p *pending) Flush() error {
	if err := p.out.flush(); err != nil {
		return fmt.Errorf("write image file: %w", err)
	}
	return nil
}

// CopyFrom implements dest.Copier.
func (p *pending) CopyFrom(b dest.Blob, off, n int64) error {
	if off < 0 || n < 0 || off > b.Size()-n {
		return fmt.Errorf("copy %d bytes from byte %d of a file of %d", n, off, b.Size())
	}
	src, _ := b.(blob)
	err := p.out.copyFrom(src.File, b, off, n)
	if err != nil {
		return fmt.Errorf("copy to image file: %w", err)
	}
	return nil
}

func (p *pending) Commit(context.Context) error {
	f := p.f
	p.f = nil
	err := p.out.finish()
	if err == nil {
		err = f.Sync()
	}
	// So that who reads the file next, to verify it, reads the medium.
	forget(f)
	// Closed before it gets its name: Windows renames no open file.
	if err = errors.Join(err, f.Close()); err == nil {
		err = publish(f.Name(), p.final)
	}
	if err != nil {
		err = fmt.Errorf("finish image file %s: %w", p.final, err)
		if p.keep {
			return err
		}
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := syncFolder(p.folder); err != nil {
		return errors.Join(fmt.Errorf("finish image file %s: %w", p.final, err), os.Remove(p.final))
	}
	return nil
}

func (p *pending) Abort() error {
	if p.f == nil {
		return nil
	}
	name := p.f.Name()
	err := errors.Join(p.out.close(), p.f.Close())
	p.f = nil
	return errors.Join(err, os.Remove(name))
}

// publish gives the finished file its name and fails when there is one of that
// name. A hard link does both in one step; where the file system has none, a
// look before the rename must do.
func publish(partial, final string) error {
	err := os.Link(partial, final)
	switch {
	case err == nil:
		_ = os.Remove(partial) // the file has its name; a second one does no harm
		return nil
	case errors.Is(err, fs.ErrExist):
		return dest.ErrExist
	}
	if _, err := os.Lstat(final); err == nil {
		return dest.ErrExist
	}
	return os.Rename(partial, final)
}
