package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// session is the program on a terminal, or with pipes, and what it has shown.
type session struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   *os.File // the terminal, or the pipe to its input
	mu   sync.Mutex
	seen bytes.Buffer
	from int  // where what was not yet waited for begins
	keys bool // Ctrl-L has it draw everything anew, and not only what changed
	done chan error
}

// tuiWait is how long a test waits for what must come.
const tuiWait = 30 * time.Second

func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(b)
}

// onTerminal starts ingot tui on a terminal of 80 by 25.
func onTerminal(t *testing.T, term string, args ...string) *session {
	t.Helper()
	s := &session{t: t, keys: true, done: make(chan error, 1), cmd: exec.Command("ingot", append([]string{"tui"}, args...)...)}
	s.cmd.Env = append(os.Environ(), "TERM="+term, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "NO_COLOR=", "COLORTERM=")
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 25, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	s.in = tty
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = s.Write(buf[:n])
			if err != nil {
				break
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = tty.Close() })
	return s
}

// withPipes starts ingot tui --plain without a terminal.
func withPipes(t *testing.T) *session {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, done: make(chan error, 1), in: w, cmd: exec.Command("ingot", "tui", "--plain")}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = r, s, s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = w.Close() })
	return s
}

// shown is what was shown, and not yet waited for.
func (s *session) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()[s.from:]
}

// all is everything that was shown.
func (s *session) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// expect waits until a pattern was shown and gives its submatches.
func (s *session) expect(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(tuiWait)
	for n := 1; ; n++ {
		time.Sleep(5 * time.Millisecond)
		if s.keys && n%50 == 0 {
			s.send("\f")
		}
		text := s.shown()
		if m := re.FindStringSubmatchIndex(text); m != nil {
			s.from += m[1]
			var out []string
			for i := 0; i < len(m); i += 2 {
				out = append(out, text[m[i]:m[i+1]])
			}
			return out
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s was not shown; this was:\n%q", pattern, text)
		}
	}
}

func (s *session) send(text string) {
	s.t.Helper()
	if _, err := s.in.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// choose types the number of a choice whose label begins so, and answers.
func (s *session) choose(labels ...string) {
	s.t.Helper()
	for _, l := range labels {
		m := s.expect(`(?m)^ *(\d+)  (?:\[.\] )?` + regexp.QuoteMeta(l))
		s.expect(`Number .*: $`)
		s.send(m[1] + "\n")
	}
}

func (s *session) answer(text string) {
	s.t.Helper()
	s.expect(`\(b back\): $`)
	s.send(text + "\n")
}

// ends waits for the end.
func (s *session) ends() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(tuiWait):
		s.t.Fatalf("it does not end; shown was:\n%q", s.shown())
	}
	return nil
}

// The whole way by lines: image a disk, verify, copy a file out, restore.
func TestTUIPlain(t *testing.T) {
	dir := t.TempDir()
	disk, images, out := filepath.Join(dir, "disk.img"), filepath.Join(dir, "images"), filepath.Join(dir, "out")
	for _, d := range []string{images, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unpackDemo(disk); err != nil {
		t.Fatal(err)
	}
	s := withPipes(t)
	s.choose("Image a disk", "A disk-image file")
	s.answer(disk)
	s.choose("Go on")
	s.answer(images)
	s.choose("Verify the image afterwards", "Start")
	s.expect(`100 %`)
	s.expect(`== The image is made`)
	s.choose("To the first screen", "Verify an image")
	s.answer(images)
	s.choose("[ok]", "")
	s.expect(`== The image is good`)
	s.choose("To the first screen", "Copy files out")
	s.answer(images)
	s.choose("[ok]", "", "3  NTFS", "Users/")
	s.expect(`== 3:/Users`)
	s.choose("Copy this folder out")
	s.answer(out)
	s.expect(`== Copied to `)
	if _, err := os.Stat(filepath.Join(out, "Users")); err != nil {
		t.Error(err)
	}
	target := filepath.Join(dir, "target.img")
	if _, err := fillGarbage(disk, target); err != nil {
		t.Fatal(err)
	}
	s.choose("To the first screen", "Restore a disk")
	s.answer(images)
	s.choose("[ok]", "", "A disk-image file")
	s.answer(target)
	s.expect(`gets a new partition table`)
	s.choose("Go on")
	s.answer("disk.img")
	s.expect(`That is not it. Nothing was written.`)
	s.answer("TARGET.img")
	s.expect(`== Restored`)
	if _, err := compareDisks(disk, target); err != nil {
		t.Error(err)
	}
	s.choose("To the first screen", "Leave")
	if err := s.ends(); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.all(), "\x1b") {
		t.Error("there is an escape sequence among lines")
	}
}

// settings are those of a terminal, which must be as they were.
func settings(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	got, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *got
}

// The whole way by keys, on a colour terminal and on a serial line.
func TestTUIKeys(t *testing.T) {
	for _, term := range []string{"linux", "vt100"} {
		t.Run(term, func(t *testing.T) {
			dir := t.TempDir()
			disk, target := filepath.Join(dir, "disk.img"), filepath.Join(dir, "target.img")
			if _, err := unpackDemo(disk); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if code := run(context.Background(), []string{"image", disk, "--to", dir}, nil, &out, &out); code != 0 {
				t.Fatal(out.String())
			}
			made, err := filepath.Glob(filepath.Join(dir, "*.mrimgx"))
			if err != nil || len(made) != 1 {
				t.Fatalf("made %q: %v", made, err)
			}
			s := onTerminal(t, term)
			s.expect(`8  Leave`)
			during := settings(t, s.in)
			s.send("4")
			s.expect(`Folder or file`)
			s.send(made[0] + "\r")
			s.expect(`The image is good`)
			s.send("\x1b[21~") // F10
			s.expect(`8  Leave`)
			s.send("2")
			s.expect(`Folder or file`)
			s.send(made[0] + "\r")
			s.expect(`A disk-image file`)
			s.send("\x1b[F\r") // End, Enter
			s.expect(`Restore to which file`)
			s.send(target + "\r")
			s.expect(`is created`)
			s.send("1")
			s.expect(`Checked: the target holds`)
			s.send("\x03")
			if err := s.ends(); err != nil {
				t.Error(err)
			}
			if _, err := compareDisks(disk, target); err != nil {
				t.Error(err)
			}
			checkScreen(t, s.all(), term)
			if during.Lflag&unix.ECHO != 0 {
				t.Error("the terminal was never in raw mode: the test sees nothing")
			}
		})
	}
}

// checkScreen checks the colours, the characters and the end of a session.
func checkScreen(t *testing.T, all, term string) {
	t.Helper()
	coloured := regexp.MustCompile(`\x1b\[[0-9;]*(3[0-7]|9[0-7])[0-9;]*m`).MatchString(all)
	if coloured != (term == "linux") {
		t.Errorf("colours on %s: %v", term, coloured)
	}
	if regexp.MustCompile(`\x1b\[[0-9;]*38;`).MatchString(all) {
		t.Error("more than 16 colours")
	}
	if term == "vt100" {
		for _, r := range all {
			if r > 0x7e {
				t.Fatalf("character %q on %s", r, term)
			}
		}
	}
	if i, j := strings.LastIndex(all, "\x1b[?1049l"), strings.LastIndex(all, "\x1b[?1049h"); i < j || i < 0 {
		t.Error("the other screen of the terminal was not left")
	}
	if i, j := strings.LastIndex(all, "\x1b[?25h"), strings.LastIndex(all, "\x1b[?25l"); i < j {
		t.Error("the cursor was not shown again")
	}
}

// The terminal is as it was after SIGTERM. It is one that does not know its size,
// as a serial line.
func TestTUITerminated(t *testing.T) {
	tty, user, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	before := settings(t, user)
	cmd := exec.Command("ingot", "tui")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = user, user, user
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, cmd: cmd, in: tty, keys: true, done: make(chan error, 1)}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = tty.Close(); _ = user.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = s.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { s.done <- cmd.Wait() }()
	s.expect(`8  Leave`)
	if during := settings(t, user); during == before {
		t.Error("the terminal was never in raw mode: the test sees nothing")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.ends()); got != "exit status 130" {
		t.Errorf("ended with %s:\n%s", got, s.all())
	}
	if after := settings(t, user); after != before {
		t.Errorf("the terminal is not as it was: %+v, was %+v", after, before)
	}
}
