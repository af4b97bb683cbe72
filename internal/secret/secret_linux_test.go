package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/plan"
	"ingot/internal/trust"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolve(t *testing.T) {
	script := write(t, "#!/bin/sh\necho \"$1 $#\"; echo more\n", 0o700)
	for name, c := range map[string]struct {
		ref  plan.PasswordRef
		want string
	}{
		"none":               {plan.PasswordRef{}, ""},
		"file":               {plan.PasswordRef{File: write(t, "hunter2\r\nmore", 0o600)}, "hunter2"},
		"without line end":   {plan.PasswordRef{File: write(t, " blanks ", 0o400)}, " blanks "},
		"command":            {plan.PasswordRef{Command: []string{script, "a; b"}}, "a; b 1"},
		"command with usual": {plan.PasswordRef{Command: []string{"/bin/echo", "x"}}, "x"},
	} {
		if err := Check(c.ref); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := Resolve(context.Background(), c.ref); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ref   plan.PasswordRef
		want  string
		trust bool
	}{
		"readable":    {plan.PasswordRef{File: write(t, "hunter2", 0o644)}, "chmod 600", true},
		"writable":    {plan.PasswordRef{Command: []string{write(t, "#!/bin/sh\n", 0o777)}}, "chmod go-w", true},
		"empty":       {plan.PasswordRef{File: write(t, "\nsecond", 0o600)}, "password of 0 bytes", false},
		"long":        {plan.PasswordRef{File: write(t, strings.Repeat("a", 5000), 0o600)}, "between 1 and 4096", false},
		"missing":     {plan.PasswordRef{File: "/none"}, "no such file", false},
		"fails":       {plan.PasswordRef{Command: []string{"/bin/false"}}, "exit status 1", false},
		"no path":     {plan.PasswordRef{Command: []string{"echo", "a"}}, "absolute path", false},
		"by Windows":  {plan.PasswordRef{Protected: write(t, "x", 0o600)}, "not available on this system", false},
		"prints much": {plan.PasswordRef{Command: []string{"/bin/sh", "-c", "head -c 1000000 /dev/zero"}}, "password of 65536 bytes", false},
	} {
		got, err := Resolve(context.Background(), c.ref)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, trust.ErrUntrusted) != c.trust || got != nil {
			t.Errorf("%s: %q, %v, want %s", name, got, err, c.want)
		}
		if c.trust != errors.Is(Check(c.ref), trust.ErrUntrusted) {
			t.Errorf("%s: the check says %v", name, Check(c.ref))
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
	if err := Protect("/none", []byte("x")); !errors.Is(err, ErrUnsupported) {
		t.Errorf("protect: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Resolve(ctx, plan.PasswordRef{Command: []string{"/bin/sleep", "100"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
