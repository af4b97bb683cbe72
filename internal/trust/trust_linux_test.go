package trust

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// other is a user without rights.
const other = 54321

// TestMain is also what the tests start as another user: see as.
func TestMain(m *testing.M) {
	if args := os.Getenv("INGOT_TRUST_ACT"); args != "" {
		if err := act(strings.Split(args, "|")); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// act does what the other user wants.
func act(args []string) error {
	switch args[0] {
	case "write":
		return os.WriteFile(args[1], []byte("evil"), 0o666)
	case "replace":
		if err := os.Rename(args[1], args[1]+".old"); err != nil {
			return err
		}
		return os.WriteFile(args[1], []byte("evil"), 0o666)
	case "link":
		return os.Symlink(args[1], args[2])
	case "open":
		f, err := Open(args[1])
		if err == nil {
			err = f.Close()
		}
		return err
	case "swap": // a link of one's own, to and fro, until killed
		for i := 0; ; i++ {
			tmp := args[3] + ".tmp"
			if err := errors.Join(os.Symlink(args[1+i%2], tmp), os.Rename(tmp, args[3])); err != nil {
				return err
			}
		}
	}
	return errors.New("what?")
}

// as has the other user do something.
func as(t *testing.T, args ...string) error {
	t.Helper()
	cmd := asCommand(t, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

func asCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test changes users: run it as root")
	}
	// Where everybody may start it.
	exe := filepath.Join(shared(t), "act")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(exe, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Dir = "/"
	cmd.Env = []string{"INGOT_TRUST_ACT=" + strings.Join(args, "|")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// shared is a folder that everybody can enter.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "trust-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s (setfacl is in the package acl)", args, err, out)
	}
}

// TestOpen makes a good place, changes one thing about it, and opens the file.
// Where it is refused, the other user is shown to be able to change the file,
// and the command that the error gives mends it.
func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string // in the error; "" is trusted
		attack string // what the other user does to the file
	}{
		{"good", func(t *testing.T, dir string) {}, "", ""},
		{"file for all", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/a/b/file", 0o666)) }, "it can be written by others (mode 0666)", "write"},
		{"file for its group", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Chown(dir+"/a/b/file", 0, other), os.Chmod(dir+"/a/b/file", 0o664)))
		}, "it can be written by its group (mode 0664)", "write"},
		{"file of another", func(t *testing.T, dir string) { must(t, os.Chown(dir+"/a/b/file", other, 0)) }, "it belongs to another user (uid 54321)", "write"},
		{"folder for all", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/a/b", 0o777)) }, "/a/b, on the way to it, can be written by others (mode 0777)", "replace"},
		{"folder above for all", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/a", 0o777)) }, "/a, on the way to it, can be written by others", ""},
		{"folder above of another", func(t *testing.T, dir string) { must(t, os.Chown(dir+"/a", other, 0)) }, "/a, on the way to it, belongs to another user", ""},
		{"sticky folder for all", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/a/b", 0o777|os.ModeSticky)) }, "", ""},
		{"sticky folder of another", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Chown(dir+"/a/b", other, 0), os.Chmod(dir+"/a/b", 0o777|os.ModeSticky)))
		}, "/a/b, on the way to it, belongs to another user", "replace"},
		{"file for a user, by list", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "u:54321:rw", dir+"/a/b/file") }, "it can be written by the user 54321, by its access list", "write"},
		{"file for a group, by list", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "g:54321:rw", dir+"/a/b/file") }, "it can be written by the group 54321, by its access list", "write"},
		{"folder for a user, by list", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "u:54321:rwx", dir+"/a/b") }, "/a/b, on the way to it, can be written by the user 54321", "replace"},
		{"a list that the mask takes away", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "u:54321:rw,m::r", dir+"/a/b/file") }, "", ""},
		{"a list that lets read", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "u:54321:r", dir+"/a/b/file") }, "", ""},
		{"a list for root", func(t *testing.T, dir string) { run(t, "setfacl", "-m", "u:0:rw", dir+"/a/b/file") }, "", ""},
		{"what new files will get", func(t *testing.T, dir string) { run(t, "setfacl", "-d", "-m", "u:54321:rwx", dir+"/a/b") }, "", ""},
		{"a link of root", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Rename(dir+"/a/b", dir+"/c"), os.Symlink("../c", dir+"/a/b")))
		}, "", ""},
		{"a link of another", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Rename(dir+"/a/b", dir+"/c"), os.Symlink(dir+"/c", dir+"/a/b"), os.Lchown(dir+"/a/b", other, 0)))
		}, "/a/b, on the way to it, belongs to another user", ""},
		{"a link to where others may write", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Mkdir(dir+"/open", 0o777), os.Chmod(dir+"/open", 0o777), os.Rename(dir+"/a/b/file", dir+"/open/file"), os.Symlink("../../open/./file", dir+"/a/b/file")))
		}, "/open, on the way to it, can be written by others", ""},
		{"a link in a sticky folder", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Rename(dir+"/a/b", dir+"/c"), os.Chmod(dir+"/a", 0o777|os.ModeSticky)))
			must(t, as(t, "link", dir+"/c", dir+"/a/b"))
		}, "/a/b, on the way to it, belongs to another user", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shared(t)
			path := dir + "/a/b/file"
			must(t, errors.Join(os.MkdirAll(dir+"/a/b", 0o755), os.WriteFile(path, []byte("good"), 0o644)))
			c.change(t, dir)
			f, err := Open(path)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				data, err := io.ReadAll(f)
				must(t, errors.Join(err, f.Close()))
				if string(data) != "good" || as(t, "write", path) == nil || as(t, "replace", path) == nil {
					t.Fatalf("trusted, and the other user has it: %s", data)
				}
				return
			}
			if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if c.attack != "" {
				must(t, as(t, c.attack, path))
				must(t, os.WriteFile(path, []byte("good"), 0o644))
				if c.attack == "replace" {
					must(t, os.Chown(path, 0, 0))
				}
			}
			mends(t, path)
		})
	}
}

// mends does what the errors advise until there is none.
func mends(t *testing.T, path string) {
	t.Helper()
	for range 4 {
		f, err := Open(path)
		if err == nil {
			must(t, f.Close())
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Mend == "" {
			t.Fatalf("no advice: %v", err)
		}
		run(t, "sh", "-c", e.Mend)
	}
	t.Fatal("the advice does not mend it")
}

func TestOpenSecret(t *testing.T) {
	path := shared(t) + "/password"
	must(t, os.WriteFile(path, nil, 0o600))
	for mode, want := range map[fs.FileMode]string{0o600: "", 0o400: "", 0o640: "can be read by others (mode 0640); to mend it: chmod 600 " + path, 0o604: "mode 0604"} {
		must(t, os.Chmod(path, mode))
		f, err := OpenSecret(path)
		if want == "" {
			must(t, errors.Join(err, f.Close()))
		} else if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), want) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	run(t, "setfacl", "-m", "u:54321:r", path)
	if _, err := OpenSecret(path); !errors.Is(err, ErrUntrusted) {
		t.Errorf("readable by list: %v", err)
	}
}

func TestFolder(t *testing.T) {
	dir := shared(t)
	must(t, Folder(dir))
	must(t, os.WriteFile(dir+"/file", nil, 0o600))
	if err := Folder(dir + "/file"); err == nil || errors.Is(err, ErrUntrusted) {
		t.Errorf("a file: %v", err)
	}
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	if err := Folder(dir); !errors.Is(err, ErrUntrusted) {
		t.Errorf("others may add files: %v", err)
	}
}

func TestNotFiles(t *testing.T) {
	dir := shared(t)
	must(t, errors.Join(syscall.Mkfifo(dir+"/fifo", 0o600), os.Symlink("loop", dir+"/loop"), os.Symlink("gone", dir+"/dangling"), os.WriteFile(dir+"/file", nil, 0o600)))
	for name, want := range map[string]error{"fifo": nil, "loop": syscall.ELOOP, "dangling": fs.ErrNotExist, "file/x": syscall.ENOTDIR, "none": fs.ErrNotExist, "": nil} {
		if f, err := Open(dir + "/" + name); err == nil || want != nil && !errors.Is(err, want) || errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// TestOtherUser asks as a user who is not root: his own files are trusted.
func TestOtherUser(t *testing.T) {
	dir := shared(t)
	must(t, errors.Join(os.WriteFile(dir+"/mine", nil, 0o600), os.Chown(dir+"/mine", other, other), os.WriteFile(dir+"/root", nil, 0o644), os.WriteFile(dir+"/third", nil, 0o644), os.Chown(dir+"/third", 777, 0)))
	must(t, errors.Join(as(t, "open", dir+"/mine"), as(t, "open", dir+"/root")))
	if err := as(t, "open", dir+"/third"); err == nil || !strings.Contains(err.Error(), "belongs to another user (uid 777)") {
		t.Errorf("that of a third: %v", err)
	}
}

// TestRace has the other user exchange his link between a good folder and his
// own, while root opens a file through it: never is it taken.
func TestRace(t *testing.T) {
	dir := shared(t)
	must(t, errors.Join(os.MkdirAll(dir+"/good", 0o755), os.WriteFile(dir+"/good/file", []byte("good"), 0o644)))
	must(t, errors.Join(os.MkdirAll(dir+"/evil", 0o755), os.WriteFile(dir+"/evil/file", []byte("evil"), 0o644), os.Chown(dir+"/evil", other, other)))
	must(t, errors.Join(os.Mkdir(dir+"/tmp", 0o777), os.Chmod(dir+"/tmp", 0o777|os.ModeSticky)))
	cmd := asCommand(t, "swap", dir+"/good", dir+"/evil", dir+"/tmp/link")
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	refused := 0
	for n := 0; n < 2000 || refused == 0; n++ {
		f, err := Open(dir + "/tmp/link/file")
		if err == nil {
			data, _ := io.ReadAll(f)
			t.Fatalf("opened: %s", data)
		}
		if errors.Is(err, ErrUntrusted) {
			refused++
		}
	}
	t.Logf("refused %d times", refused)
}

func TestCommand(t *testing.T) {
	dir := shared(t)
	script := func(name, text string, mode fs.FileMode) string {
		path := dir + "/" + name
		must(t, errors.Join(os.WriteFile(path, []byte(text), 0o755), os.Chmod(path, mode)))
		return path
	}
	good, bad := script("good", "#!/bin/sh\n", 0o755), script("bad", "#!/bin/sh\n", 0o777)
	through := script("through", "#! "+bad+" -x\n", 0o755)
	loop := script("loop", "#!"+dir+"/loop\n", 0o755)
	for _, argv := range [][]string{{good}, {"/bin/sh", good}, {"/bin/sh", "-c", "echo " + bad}, {"/bin/cat", bad}, {"/bin/true"}} {
		if err := Command(argv); err != nil {
			t.Errorf("%q: %v", argv, err)
		}
	}
	for _, argv := range [][]string{nil, {"true"}, {bad}, {through}, {loop}, {"/bin/sh", bad}, {"/usr/bin/env", "X=1", bad}, {dir + "/none"}} {
		if err := Command(argv); err == nil {
			t.Errorf("%q passes", argv)
		}
	}
}

func TestListed(t *testing.T) {
	for _, bad := range [][]byte{{}, {2, 0, 0}, {1, 0, 0, 0}, append([]byte{2, 0, 0, 0}, make([]byte, 7)...)} {
		if _, err := listed(bad, 2, func(uint32) bool { return true }); err == nil {
			t.Errorf("%v passes", bad)
		}
	}
}

func FuzzListed(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 2, 0, 6, 0, 0x31, 0xD4, 0, 0})
	f.Fuzz(func(t *testing.T, list []byte) { _, _ = listed(list, 2, func(id uint32) bool { return id == 0 }) })
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b.c": "/a/b.c", "/a b": "'/a b'", "/a'b;rm": `'/a'\''b;rm'`, "-x": "'-x'"} {
		if got := quote(in); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
