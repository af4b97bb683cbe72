package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The unit file is one that systemd takes without a word.
func TestUnitFile(t *testing.T) {
	in := installation{program: "/bin/true", args: []string{"service", "run", `--state=/srv/a "b" $c %d`}}
	text, err := in.text()
	if err != nil {
		t.Fatal(err)
	}
	if want := `ExecStart="/bin/true" "service" "run" "--state=/srv/a \"b\" $$c %%d"` + "\n"; !strings.Contains(string(text), want) {
		t.Errorf("no %s in\n%s", want, text)
	}
	file := filepath.Join(t.TempDir(), unitName)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: install the package systemd", err)
	}
	out, err := exec.Command(tool, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
