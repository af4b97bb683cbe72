package desttest

import (
	"bytes"
	"io"
	"testing"

	"ingot/internal/dest"
)

// RunKeeper checks a Store that keeps unfinished files; the place is empty at
// first.
func RunKeeper(t *testing.T, open func(t *testing.T) dest.Store) {
	s := suite{open, bytes.Repeat([]byte("0123456789abcdef"), 300_000)}
	t.Run("left and gone on with", s.goneOnWith)
	t.Run("dropped", s.dropped)
	t.Run("kept like any other", s.keptWhole)
}

func (s suite) keeper(t *testing.T) dest.Keeper { return s.open(t).(dest.Keeper) }

// keep begins a file and writes and syncs its first n bytes.
func (s suite) keep(t *testing.T, n int) dest.Kept {
	t.Helper()
	p, err := s.keeper(t).Keep(t.Context(), "k.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	s.add(t, p, s.data[:n])
	return p
}

func (s suite) add(t *testing.T, p dest.Kept, b []byte) {
	t.Helper()
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
}

func (s suite) left(t *testing.T) []dest.Left {
	t.Helper()
	l, err := s.keeper(t).Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// goneOnWith leaves a file at odd places again and again until it is whole.
func (s suite) goneOnWith(t *testing.T) {
	const step = 777_777
	p := s.keep(t, step)
	for at := step; at < len(s.data); {
		if l := s.left(t); len(l) != 0 {
			t.Fatalf("%v is being written, and listed as left", l)
		}
		got := make([]byte, at)
		if _, err := p.ReadAt(got, 0); err != nil || !bytes.Equal(got, s.data[:at]) {
			t.Fatalf("%d synced bytes are read otherwise: %v", at, err)
		}
		// What comes behind the sync is cut off again.
		if _, err := p.Write(s.data[:100_000]); err != nil {
			t.Fatal(err)
		}
		if err := p.Leave(); err != nil {
			t.Fatal(err)
		}
		l := s.left(t)
		if len(l) != 1 || l[0].Name != "k.mrimgx" || l[0].Size < int64(at) || l[0].Key != p.Key() {
			t.Fatalf("left: %+v", l)
		}
		if n := s.names(t); len(n) != 0 {
			t.Fatalf("unfinished, and listed: %v", n)
		}
		if _, err := s.keeper(t).Take(t.Context(), l[0].Key, l[0].Size+1); err == nil {
			t.Error("more was taken than is there")
		}
		var err error
		if p, err = s.keeper(t).Take(t.Context(), l[0].Key, int64(at)); err != nil {
			t.Fatal(err)
		}
		end := min(at+step, len(s.data))
		s.add(t, p, s.data[at:end])
		at = end
	}
	s.finish(t, p)
}

// finish commits a file and removes it, once it was seen to be whole.
func (s suite) finish(t *testing.T, p dest.Kept) {
	t.Helper()
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := s.open(t).Open(t.Context(), "k.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); err != nil || !bytes.Equal(got, s.data) {
		t.Errorf("%d bytes read back, %v", len(got), err)
	}
	if l := s.left(t); len(l) != 0 {
		t.Errorf("finished, and left: %v", l)
	}
	if err := s.open(t).Remove(t.Context(), "k.mrimgx"); err != nil {
		t.Error(err)
	}
}

func (s suite) dropped(t *testing.T) {
	p := s.keep(t, 1000)
	if err := p.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := s.keeper(t).Drop(t.Context(), p.Key()); err != nil {
		t.Fatal(err)
	}
	if l := s.left(t); len(l) != 0 {
		t.Errorf("dropped, and left: %v", l)
	}
	for _, key := range []string{p.Key(), "../x", "k.mrimgx", ""} {
		if _, err := s.keeper(t).Take(t.Context(), key, 0); err == nil {
			t.Errorf("%q was taken", key)
		}
		if s.keeper(t).Drop(t.Context(), key) == nil {
			t.Errorf("%q was dropped", key)
		}
	}
	if err := s.keep(t, 1000).Abort(); err != nil {
		t.Fatal(err)
	}
	if l := s.left(t); len(l) != 0 {
		t.Errorf("aborted, and left: %v", l)
	}
}

// keptWhole has a kept file finished by the run that began it, without a sync.
func (s suite) keptWhole(t *testing.T) {
	p := s.keep(t, 1)
	if _, err := p.Write(s.data[1:]); err != nil {
		t.Fatal(err)
	}
	s.finish(t, p)
}
