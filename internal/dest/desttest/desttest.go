// Package desttest is the conformance suite of dest.Store: every kind of
// destination runs it in its own tests. Memory is a Store for the tests of what
// lies above one.
package desttest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
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
