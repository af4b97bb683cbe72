package folder

import (
	"path/filepath"
	"testing"

	"ingot/internal/dest"
	"ingot/internal/dest/desttest"
)

func TestConformance(t *testing.T) {
	path := t.TempDir()
	desttest.Run(t, func(t *testing.T) dest.Store {
		s, err := New(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	if left, _ := filepath.Glob(filepath.Join(path, ".*")); len(left) != 0 {
		t.Errorf("partial files were left: %v", left)
	}
}

func TestNewWantsAFolder(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there was opened")
	}
}
