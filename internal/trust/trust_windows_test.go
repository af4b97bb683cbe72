package trust

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// grant gives everyone these rights to an object, in SDDL, or takes them.
func grant(t *testing.T, path, sddl string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		t.Fatal(err)
	}
	acl, _, err := sd.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnWindows(t *testing.T) {
	parent, err := os.MkdirTemp("", "trust-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) }) // Wine cannot always
	dir := filepath.Join(parent, "private")
	if err := MakeFolder(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	const closed, open = private, "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;WD)"
	for _, c := range []struct {
		name, folder, file string
		want               string
	}{
		{"private", closed, closed, ""},
		{"file for everyone", closed, open, "can be changed by "},
		{"folder for everyone", open, closed, "on the way to it, can be changed by "},
	} {
		grant(t, path, c.file)
		grant(t, dir, c.folder)
		f, err := Open(path)
		if c.want == "" {
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			_ = f.Close()
			continue
		}
		if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "icacls") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	grant(t, path, closed)
	grant(t, dir, closed)
	if err := Folder(dir); err != nil {
		t.Error(err)
	}
}
