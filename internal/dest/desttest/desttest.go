// Package desttest is the conformance suite of dest.Store: every kind of
// destination runs it in its own tests.
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
	data := bytes.Repeat([]byte("0123456789abcdef"), 9000)
	write := func(t *testing.T, s dest.Store, name string) dest.Pending {
		t.Helper()
		p, err := s.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for part := data; len(part) > 0; part = part[min(70000, len(part)):] {
			if _, err := p.Write(part[:min(70000, len(part))]); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	names := func(t *testing.T) (out []string) {
		t.Helper()
		list, err := open(t).List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Size != int64(len(data)) {
				t.Errorf("%s is listed with %d bytes", e.Name, e.Size)
			}
			out = append(out, e.Name)
		}
		return out
	}

	t.Run("unseen before commit", func(t *testing.T) {
		p := write(t, open(t), "a.mrimgx")
		if n := names(t); len(n) != 0 {
			t.Errorf("listed before its commit: %v", n)
		}
		if _, err := open(t).Open(t.Context(), "a.mrimgx"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open before its commit: %v", err)
		}
		if err := p.Abort(); err != nil {
			t.Error(err)
		}
		if n := names(t); len(n) != 0 {
			t.Errorf("listed after abort: %v", n)
		}
	})
	t.Run("whole after commit", func(t *testing.T) {
		p := write(t, open(t), "b.mrimgx")
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Abort(); err != nil {
			t.Errorf("abort after commit: %v", err)
		}
		b, err := open(t).Open(t.Context(), "b.mrimgx")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes read back, %v", len(got), err)
		}
		if n, err := b.ReadAt(make([]byte, 10), b.Size()-5); n != 5 || !errors.Is(err, io.EOF) {
			t.Errorf("a read over the end gave %d, %v", n, err)
		}
	})
	t.Run("never replaced", func(t *testing.T) {
		if _, err := open(t).Create(t.Context(), "b.mrimgx"); !errors.Is(err, dest.ErrExist) {
			t.Errorf("create over a file: %v", err)
		}
		late := write(t, open(t), "c.mrimgx")
		if err := write(t, open(t), "c.mrimgx").Commit(t.Context()); err != nil {
			t.Errorf("the first of two commits of one name: %v", err)
		}
		if err := late.Commit(t.Context()); !errors.Is(err, dest.ErrExist) {
			t.Errorf("the second of two commits of one name: %v", err)
		}
		names(t) // checks the size of what is there
	})
	t.Run("names", func(t *testing.T) {
		for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "../x", "a\x00b"} {
			if p, err := open(t).Create(t.Context(), bad); err == nil {
				p.Abort()
				t.Errorf("%q was taken as a name", bad)
			}
		}
	})
	t.Run("remove", func(t *testing.T) {
		for _, n := range names(t) {
			if err := open(t).Remove(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
		if n := names(t); len(n) != 0 {
			t.Errorf("left: %v", n)
		}
		if err := open(t).Remove(t.Context(), "b.mrimgx"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove of nothing: %v", err)
		}
	})
	t.Run("free", func(t *testing.T) {
		if n, err := open(t).Free(t.Context()); err != nil || n == 0 || n < -1 {
			t.Errorf("free: %d, %v", n, err)
		}
	})
}
