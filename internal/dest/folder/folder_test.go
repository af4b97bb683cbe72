package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ingot/internal/dest"
	"ingot/internal/dest/desttest"
)

func TestConformance(t *testing.T) {
	path := t.TempDir()
	open := func(t *testing.T) dest.Store {
		s, err := New(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	desttest.Run(t, open)
	desttest.RunKeeper(t, open)
	if left, _ := filepath.Glob(filepath.Join(path, ".*")); len(left) != 0 {
		t.Errorf("partial files were left: %v", left)
	}
}

func TestNewWantsAFolder(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there was opened")
	}
}

// TestSweep has the remains of killed runs go, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	live, err := s.Create(t.Context(), "live.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for name, at := range map[string]time.Time{".dead.mrimgx.1.partial": old, ".fresh.mrimgx.2.partial": time.Now(), ".paused.mrimgx.3.unfinished": old, ".forgotten.mrimgx.4.unfinished": old.Add(-staleKept), "member.mrimgx": old, ".hidden": old} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	held, err := filepath.Glob(filepath.Join(dir, ".live*"))
	if err != nil || len(held) != 1 {
		t.Fatal(held, err)
	}
	if err := os.Chtimes(held[0], old, old); err != nil {
		t.Fatal(err)
	}
	next, err := s.Create(t.Context(), "next.mrimgx")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".dead.mrimgx.1.partial", ".forgotten.mrimgx.4.unfinished"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the remains are there: %v", err)
		}
	}
	for _, name := range []string{".paused.mrimgx.3.unfinished", ".fresh.mrimgx.2.partial", "member.mrimgx", ".hidden", filepath.Base(held[0])} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s has gone: %v", name, err)
		}
	}
	if err := errors.Join(live.Commit(t.Context()), next.Abort()); err != nil {
		t.Error(err)
	}
}
