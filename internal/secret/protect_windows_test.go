package secret

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProtect(t *testing.T) {
	dir, err := os.MkdirTemp("", "secret-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // Wine cannot always
	path := filepath.Join(dir, "password")
	if err := Protect(path, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) == "hunter2" {
		t.Error("it is not encrypted")
	}
	got, err := unprotect(data, path)
	if err != nil || string(got) != "hunter2" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := unprotect(data[:len(data)/2], path); err == nil {
		t.Errorf("half of it gives %q", got)
	}
	if err := Protect(path, []byte("x")); err == nil {
		t.Error("it was replaced")
	}
}
