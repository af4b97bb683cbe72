// Package desttest is the conformance suite of dest.Store: every kind of
// destination runs it in its own tests. Memory is a Store for the tests of what
// lies above one.
package desttest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"ingot/internal/dest"
)

// Run checks a Store. open gives the same place anew, as a later run of the
// program would see it; the place is empty at first.
func Run(t *testing.T, open func(t *testing.T) dest.Store) {
	s := suite{open, bytes.Repeat([]byte("0123456789abcdef"), 9000)}
	for _, c := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"unseen before commit", s.unseen}, {"whole after commit", s.whole}, {"never replaced", s.neverReplaced},
		{"rename", s.rename}, {"copied by the store", s.copied},
		{"names", s.badNames}, {"remove", s.remove}, {"free", s.free},
	} {
		t.Run(c.name, c.test)
	}
}

type suite struct {
	open func(t *testing.T) dest.Store
	data []byte // of every file that is written
}

// write begins a file and writes all of its data.
func (s suite) write(t *testing.T, name string) dest.Pending {
	t.Helper()
	p, err := s.open(t).Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for part := s.data; len(part) > 0; part = part[min(70000, len(part)):] {
		if _, err := p.Write(part[:min(70000, len(part))]); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// names lists what is there, and checks that each file is whole.
func (s suite) names(t *testing.T) (out []string) {
	t.Helper()
	list, err := s.open(t).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Size != int64(len(s.data)) {
			t.Errorf("%s is listed with %d bytes", e.Name, e.Size)
		}
		out = append(out, e.Name)
	}
	return out
}

func (s suite) unseen(t *testing.T) {
	p := s.write(t, "a.mrimgx")
	if n := s.names(t); len(n) != 0 {
		t.Errorf("listed before its commit: %v", n)
	}
	if _, err := s.open(t).Open(t.Context(), "a.mrimgx"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open before its commit: %v", err)
	}
	if err := p.Abort(); err != nil {
		t.Error(err)
	}
	if n := s.names(t); len(n) != 0 {
		t.Errorf("listed after abort: %v", n)
	}
}

func (s suite) whole(t *testing.T) {
	p := s.write(t, "b.mrimgx")
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Abort(); err != nil {
		t.Errorf("abort after commit: %v", err)
	}
	b, err := s.open(t).Open(t.Context(), "b.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil || !bytes.Equal(got, s.data) {
		t.Errorf("%d bytes read back, %v", len(got), err)
	}
	if n, err := b.ReadAt(make([]byte, 10), b.Size()-5); n != 5 || !errors.Is(err, io.EOF) {
		t.Errorf("a read over the end gave %d, %v", n, err)
	}
}

func (s suite) neverReplaced(t *testing.T) {
	if _, err := s.open(t).Create(t.Context(), "b.mrimgx"); !errors.Is(err, dest.ErrExist) {
		t.Errorf("create over a file: %v", err)
	}
	late := s.write(t, "c.mrimgx")
	if err := s.write(t, "c.mrimgx").Commit(t.Context()); err != nil {
		t.Errorf("the first of two commits of one name: %v", err)
	}
	if err := late.Commit(t.Context()); !errors.Is(err, dest.ErrExist) {
		t.Errorf("the second of two commits of one name: %v", err)
	}
	s.names(t)
}

func (s suite) rename(t *testing.T) {
	if err := s.write(t, "d.mrimgx").Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.names(t)
	if err := s.open(t).Rename(t.Context(), "d.mrimgx", "b.mrimgx"); err != nil {
		t.Fatal(err)
	}
	if after := s.names(t); len(after) != len(before)-1 || slices.Contains(after, "d.mrimgx") {
		t.Errorf("after the rename there are %v", after)
	}
	if err := s.open(t).Rename(t.Context(), "d.mrimgx", "b.mrimgx"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename of nothing: %v", err)
	}
	for _, bad := range []string{"", "../x", "a/b"} {
		if s.open(t).Rename(t.Context(), "b.mrimgx", bad) == nil {
			t.Errorf("%q was taken as a name", bad)
		}
	}
}

// copied has a store that can copy by itself do so, between writes of odd
// lengths.
func (s suite) copied(t *testing.T) {
	b, err := s.open(t).Open(t.Context(), "b.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, err := s.open(t).Create(t.Context(), "e.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	c, ok := p.(dest.Copier)
	if !ok {
		if err := p.Abort(); err != nil {
			t.Error(err)
		}
		return
	}
	_, err = p.Write(s.data[:777])
	for off, n := int64(777), int64(0); off < b.Size() && err == nil; off += n {
		n = min(50_001, b.Size()-off)
		err = c.CopyFrom(b, off, n)
	}
	if err == nil && c.CopyFrom(b, b.Size()-5, 10) == nil {
		t.Error("a copy over the end was taken")
	}
	if err = errors.Join(err, p.Abort()); err != nil {
		t.Fatal(err)
	}
	if p, err = s.open(t).Create(t.Context(), "e.mrimgx"); err != nil {
		t.Fatal(err)
	}
	_, err = p.Write(s.data[:777])
	err = errors.Join(err, p.(dest.Copier).CopyFrom(b, 777, 70_000))
	_, werr := p.Write(s.data[70_777:])
	if err := errors.Join(err, werr, p.Commit(t.Context())); err != nil {
		t.Fatal(err)
	}
	e, err := s.open(t).Open(t.Context(), "e.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got, err := io.ReadAll(io.NewSectionReader(e, 0, e.Size())); err != nil || !bytes.Equal(got, s.data) {
		t.Errorf("the copy differs, %v", err)
	}
}

func (s suite) badNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "../x", "a\x00b"} {
		if p, err := s.open(t).Create(t.Context(), bad); err == nil {
			t.Errorf("%q was taken as a name (abort: %v)", bad, p.Abort())
		}
	}
}

func (s suite) remove(t *testing.T) {
	for _, n := range s.names(t) {
		if err := s.open(t).Remove(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	if n := s.names(t); len(n) != 0 {
		t.Errorf("left: %v", n)
	}
	if err := s.open(t).Remove(t.Context(), "b.mrimgx"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove of nothing: %v", err)
	}
}

func (s suite) free(t *testing.T) {
	if n, err := s.open(t).Free(t.Context()); err != nil || n == 0 || n < -1 {
		t.Errorf("free: %d, %v", n, err)
	}
}
