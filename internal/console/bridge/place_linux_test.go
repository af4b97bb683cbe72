package bridge

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecondFindsTheFirst(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	first, err := Take(folder, "ui")
	if err != nil || first.Running() || !labelShape.MatchString(first.Label) {
		t.Fatalf("first: %+v, %v", first, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- first.Answer(ctx, func() Invitation { return Invitation{URL: "u", Code: "c"} }) }()
	second, err := Take(folder, "ui")
	if err != nil || !second.Running() {
		t.Fatalf("second: %+v, %v", second, err)
	}
	if v, err := second.Ask(t.Context()); err != nil || v.URL != "u" || v.Code != "c" {
		t.Errorf("asked: %+v, %v", v, err)
	}
	for name, mode := range map[string]os.FileMode{"label": 0o600, "ui.sock": os.ModeSocket | 0o600, "ui.lock": 0o600, "": os.ModeDir | 0o700} {
		if st, err := os.Lstat(filepath.Join(folder, name)); err != nil || st.Mode() != mode {
			t.Errorf("%q: %v, %v; want mode %v", name, st.Mode(), err, mode)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	third, err := Take(folder, "ui")
	if err != nil || third.Running() || third.Label != first.Label {
		t.Errorf("third: %+v, %v; want the label %s", third, err, first.Label)
	}
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	folder := t.TempDir()
	for name, spoil := range map[string]func(string) error{
		"mode":  func(p string) error { return os.Chmod(p, 0o750) },
		"owner": func(p string) error { return os.Chown(p, 12345, 0) },
		"link":  func(p string) error { return os.Symlink(t.TempDir(), p) },
	} {
		path := filepath.Join(folder, name)
		if name != "link" {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Take(path, "ui"); err == nil || !strings.Contains(err.Error(), "nobody else") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
