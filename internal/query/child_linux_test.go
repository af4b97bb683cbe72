package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fake is a program that does not behave.
func fake(how string, args []string) {
	w := bufio.NewWriter(os.Stdout)
	switch how {
	case "hang":
		time.Sleep(time.Hour)
	case "family": // with a process of its own that holds its pipes
		c := exec.Command("sleep", "3600")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if os.Getenv("FAKE_LEAVES") != "" {
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		}
		if err := c.Start(); err != nil {
			os.Exit(1)
		}
		_ = os.WriteFile(os.Getenv("FAKE_PID"), []byte(strconv.Itoa(c.Process.Pid)), 0o600)
		fmt.Println(`{"path":"first","type":"file","size_bytes":5}`)
		if os.Getenv("FAKE_STAYS") != "" {
			time.Sleep(time.Hour)
		}
	case "flood":
		for {
			fmt.Fprintln(w, `{"path":"x","size_bytes":1}`)
		}
	case "long":
		for {
			_, _ = w.WriteString(strings.Repeat("y", 1<<20))
		}
	case "bytes":
		for range 4 << 20 {
			_, _ = w.WriteString("12345678")
		}
		w.Flush()
	case "short": // of a file
		fmt.Print("half of it")
		fmt.Fprintln(os.Stderr, "ingot: read block 7: damaged\nWhat to do: verify the image")
		os.Exit(3)
	case "complain":
		for range 100000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("e", 100))
		}
		os.Exit(1)
	case "panic":
		panic("as the test wants")
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "garbage":
		fmt.Println("{]\xff")
	case "kind":
		fmt.Println(`{"path":7}`)
	case "silent":
	case "args":
		fmt.Println(`{"path":"` + strings.Join(args, "|") + `","type":"file","size_bytes":0}`)
	}
}

func faking(how string) *Tools { return &Tools{Program: []string{os.Args[0], "fake", how}} }

func TestChildrenThatDoNotBehave(t *testing.T) {
	for _, c := range []struct{ how, says string }{
		{"flood", "more than is read"}, {"long", "more than is read"}, {"complain", "exit status 1"}, {"panic", "as the test wants"},
		{"crash", "signal: killed"}, {"garbage", "cannot be read"}, {"kind", "cannot be read"}, {"silent", "no answer that makes sense"},
	} {
		_, _, err := faking(c.how).List(t.Context(), "image", "1", "", 0)
		switch c.how {
		case "silent":
			_, err = faking(c.how).Show(t.Context(), "image")
		case "flood": // without a bound on the number of lines
			err = faking(c.how).ask(t.Context(), func([]byte) error { return nil }, "ls")
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != -1 || !strings.Contains(e.Text, c.says) || len(e.Text) > maxText+10 {
			t.Errorf("%s: %.300v", c.how, err)
		}
	}
}

func TestFloodIsCutAtTheLimit(t *testing.T) {
	files, more, err := faking("flood").List(t.Context(), "image", "1", "", 500)
	if err != nil || !more || len(files) != 500 {
		t.Errorf("%d, %v, %v", len(files), more, err)
	}
}

// A question ends with its time or its context, and nothing of the child is left.
func TestHangingChild(t *testing.T) {
	q := faking("family")
	q.Timeout = 200 * time.Millisecond
	t.Setenv("FAKE_STAYS", "1")
	pid := pidFile(t)
	_, err := q.Disks(t.Context())
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(e.Text, "took too long") {
		t.Errorf("%+v", err)
	}
	gone(t, pid)

	q.Timeout = 0
	pid = pidFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends when the child is there
		for ctx.Err() == nil && readPID(pid) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := q.Disks(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v", err)
	}
	gone(t, pid)
}

// A process that outlives the program ends with it.
func TestChildOfTheChild(t *testing.T) {
	pid := pidFile(t)
	files, _, err := faking("family").List(t.Context(), "image", "1", "", 0)
	if err != nil || len(files) != 1 {
		t.Errorf("%+v, %v", files, err)
	}
	gone(t, pid)
}

// One that has left the group and holds the pipes is not waited for.
func TestChildThatLeaves(t *testing.T) {
	t.Setenv("FAKE_LEAVES", "1")
	pid := pidFile(t)
	_, _, err := faking("family").List(t.Context(), "image", "1", "", 0)
	if err == nil || !strings.Contains(err.Error(), "read the answer") {
		t.Errorf("%+v", err)
	}
	if err := syscall.Kill(readPID(pid), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestReadOfAChild(t *testing.T) {
	r, err := faking("bytes").Read(t.Context(), "ref")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != 32<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// The beginning of a file is not the file.
	r, err = faking("short").Read(t.Context(), "ref")
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if b, err := io.ReadAll(r); string(b) != "half of it" || !errors.As(err, &e) || e.Code != 3 || e.Text != "read block 7: damaged" || e.Hint != "verify the image" {
		t.Errorf("%q, %+v", b, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// One who reads slowly gets all of it, though the program has ended long ago.
func TestSlowReader(t *testing.T) {
	r, err := faking("args").Read(t.Context(), strings.Repeat("x", 30000))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(drain + 500*time.Millisecond)
	if b, err := io.ReadAll(r); err != nil || len(b) < 30000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseKillsTheChild(t *testing.T) {
	t.Setenv("FAKE_STAYS", "1")
	pid := pidFile(t)
	r, err := faking("family").Read(t.Context(), "ref")
	if err != nil {
		t.Fatal(err)
	}
	if readPID(pid) == 0 {
		t.Fatal("the child has no child")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	gone(t, pid)
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("read a closed file")
	}
}

func TestArguments(t *testing.T) {
	q, err := faking("args").WithPassword([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := q.List(t.Context(), "-image", "1", "-path", 0)
	if err != nil || len(files) != 1 || files[0].Path != "ls|--json|--password-stdin|--|-image:1/-path" {
		t.Errorf("%+v, %v", files, err)
	}
}

func pidFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pid")
	t.Setenv("FAKE_PID", name)
	return name
}

func readPID(name string) int {
	b, _ := os.ReadFile(name)
	n, _ := strconv.Atoi(string(b))
	return n
}

// gone waits until the process is no more: init may take a moment to bury it.
func gone(t *testing.T, name string) {
	t.Helper()
	pid := readPID(name)
	if pid == 0 {
		t.Fatal("it never was there")
	}
	for range 200 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}
