package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/internal/dest"
)

// keptSuffix is that of files that a later run may go on with.
const keptSuffix = ".unfinished"

// kept is a pending file that can be left.
type kept struct {
	*pending
	key string
}

// Keep implements dest.Keeper.
func (s *Store) Keep(_ context.Context, name string) (dest.Kept, error) {
	p, err := s.create(name, keptSuffix)
	if err != nil {
		return nil, err
	}
	// Its name is to be there after a power cut.
	if err := syncFolder(s.path); err != nil {
		return nil, errors.Join(fmt.Errorf("create %s: %w", p.final, err), p.Abort())
	}
	return kept{p, filepath.Base(p.f.Name())}, nil
}

// Left implements dest.Keeper.
func (s *Store) Left(context.Context) ([]dest.Left, error) {
	names, err := os.ReadDir(s.path)
	if err != nil {
		return nil, fmt.Errorf("list destination folder: %w", err)
	}
	var out []dest.Left
	for _, n := range names {
		name, ok := keptName(n.Name())
		info, err := n.Info()
		if !ok || err != nil || !n.Type().IsRegular() || !abandoned(filepath.Join(s.path, n.Name())) {
			continue
		}
		out = append(out, dest.Left{Key: n.Name(), Name: name, Size: info.Size(), Time: info.ModTime()})
	}
	return out, nil
}

// keptName takes the name that a file was to have out of ".NAME.<random>.unfinished".
func keptName(key string) (string, bool) {
	s, ok := strings.CutSuffix(key, keptSuffix)
	i := strings.LastIndexByte(s, '.')
	if !ok || i < 2 || !strings.HasPrefix(s, partialPrefix) || strings.ContainsAny(key, "/\\\x00") {
		return "", false
	}
	return s[len(partialPrefix):i], true
}

// Take implements dest.Keeper.
func (s *Store) Take(_ context.Context, key string, size int64) (dest.Kept, error) {
	name, ok := keptName(key)
	if !ok {
		return nil, fmt.Errorf("%q is not the name of an unfinished file", key)
	}
	final, err := s.join(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.path, key)
	if !abandoned(path) {
		return nil, fmt.Errorf("go on with %s: another program is writing it, or it cannot be opened", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("go on with %s: %w", path, err)
	}
	hold(f)
	p := &pending{f: f, folder: s.path, final: final, keep: true}
	if p.out, err = resumed(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("go on with %s: %w", path, err), f.Close())
	}
	return kept{p, key}, nil
}

// resumed cuts a file to size bytes, all of which it must have.
func resumed(f *os.File, size int64) (*output, error) {
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case st.Size() < size:
		return nil, fmt.Errorf("it has %d bytes, and had %d", st.Size(), size)
	}
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	// What is read of it from now on comes from the medium.
	if err := f.Sync(); err != nil {
		return nil, err
	}
	forget(f)
	return outputFrom(f, size)
}

// Drop implements dest.Keeper.
func (s *Store) Drop(_ context.Context, key string) error {
	if _, ok := keptName(key); !ok {
		return fmt.Errorf("%q is not the name of an unfinished file", key)
	}
	if err := os.Remove(filepath.Join(s.path, key)); err != nil {
		return fmt.Errorf("delete an unfinished file: %w", err)
	}
	return nil
}

// Key implements dest.Kept.
func (k kept) Key() string { return k.key }

// ReadAt implements dest.Kept.
func (k kept) ReadAt(p []byte, off int64) (int, error) { return k.f.ReadAt(p, off) }

// Sync implements dest.Kept.
func (k kept) Sync() error {
	if err := k.Flush(); err != nil {
		return err
	}
	if err := k.f.Sync(); err != nil {
		return fmt.Errorf("write image file: %w", err)
	}
	return nil
}

// Leave implements dest.Kept.
func (k kept) Leave() error {
	if k.f == nil {
		return nil
	}
	err := errors.Join(k.out.close(), k.f.Close())
	k.f = nil
	return err
}
