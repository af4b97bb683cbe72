package console

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// stranger is a user who is nobody on this machine, in the group games, which
// every Debian has and which stands in for that of the service.
const stranger, memberGroup = 54321, "games"

// asMember has a command run as a member of the group, in a folder of theirs.
func asMember(t *testing.T, home string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	g, err := user.LookupGroup(memberGroup)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: uint32(gid)}}
	return cmd
}

// TestUnlock: a member of the group looks on through a console of their own, an
// administrator lends that console their rights, and it gives them back.
func TestUnlock(t *testing.T) {
	d := newDaemon(t, "--group", memberGroup)
	home := d.folder("home")
	for _, err := range []error{os.Chmod(filepath.Dir(d.dir), 0o755), os.Chown(home, stranger, -1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	u := startUI(t, asMember(t, home, exec.Command(ingot, "ui", "--no-open", "--json", "--socket", d.path("api.sock"))))
	host := strings.TrimPrefix(u.origin, "http://")
	curl := func(args ...string) string {
		t.Helper()
		path := args[len(args)-1]
		args[len(args)-1] = u.origin + path
		all := append([]string{"-sS", "--resolve", host + ":127.0.0.1", "-b", "jar", "-c", "jar", "-w", "\n%{http_code}"}, args...)
		out, err := asMember(t, home, exec.Command("curl", all...)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, out)
		}
		return string(out)
	}
	ends := func(what, got, status string, says ...string) {
		t.Helper()
		for _, s := range says {
			if !strings.Contains(got, s) {
				t.Errorf("%s does not say %q:\n%s", what, s, got)
			}
		}
		if !strings.HasSuffix(got, "\n"+status) {
			t.Errorf("%s: %s", what, got[strings.LastIndexByte(got, '\n')+1:])
		}
	}
	_, ticket, _ := strings.Cut(u.URL, "#")
	ends("entering", curl("-d", "ticket="+ticket, "/enter"), "303")
	ends("the first page", curl("/"), "200", "Nothing is protected yet.", "Unlock changes")
	ends("a new draft", curl("-d", "", "/backups/new"), "403", "Unlock changes")
	page := curl("-d", "", "/unlock")
	code := regexp.MustCompile("sudo ingot unlock ([A-Z2-9]{8})").FindStringSubmatch(page)
	if code == nil {
		t.Fatalf("no code:\n%s", page)
	}
	if out, err := asMember(t, home, exec.Command(ingot, "unlock", code[1], "--socket", d.path("api.sock"))).CombinedOutput(); err == nil {
		t.Errorf("a member unlocks: %s", out)
	}
	if out := d.sh(ingot, "unlock", code[1], "--socket", d.path("api.sock")); !strings.Contains(out, "uid 54321") {
		t.Error(out)
	}
	ends("the first page, unlocked", curl("/"), "200", "May change until")
	ends("a new draft, unlocked", curl("-d", "", "/backups/new"), "303")
	ends("locking", curl("-d", "", "/lock"), "303")
	ends("a new draft, locked", curl("-d", "", "/backups/new"), "403")
}

// TestDemo: what the demo has made is the first thing to be seen.
func TestDemo(t *testing.T) {
	cmd := exec.Command(ingot, "demo", "--ui", "--no-open", "--json", "--socket", filepath.Join(t.TempDir(), "no.sock"))
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	u := startUI(t, cmd)
	p := open(t, u.origin)
	p.follow(u.URL, "/points")
	p.reads("1 point of")
	p.click(".timeline a")
	p.reads("All files that it needs are there.")
}
