package folder

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is also the other process of TestLockOfAnotherProcess.
func TestMain(m *testing.M) {
	dir := os.Getenv("LOCK_TEST_FOLDER")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := New(dir)
	if err == nil {
		_, err = s.TakeLock(context.Background(), "disk", ownerOf("other process"), 0)
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("held\n")
	time.Sleep(time.Minute)
}

func ownerOf(what string) Owner {
	host, _ := os.Hostname()
	return Owner{Host: host, PID: os.Getpid(), Since: time.Now(), What: what}
}

func lockStore(t *testing.T) *Store {
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLock(t *testing.T) {
	s := lockStore(t)
	first, err := s.TakeLock(t.Context(), "A/../B", ownerOf("first"), 0)
	if err != nil || first.Left != nil {
		t.Fatal(first, err)
	}
	var held *HeldError
	if _, err := s.TakeLock(t.Context(), "A/../B", ownerOf("second"), 0); !errors.As(err, &held) || held.Owner.What != "first" {
		t.Fatal(err)
	}
	other, err := s.TakeLock(t.Context(), "C", ownerOf("another set"), 0)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = first.Release() })
	second, err := s.TakeLock(t.Context(), "A/../B", ownerOf("second"), 20*time.Second)
	if err != nil || second.Left != nil {
		t.Fatal(second, err)
	}
	if err := errors.Join(second.Release(), other.Release()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(s.Path()); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestLockOfAnotherProcess(t *testing.T) {
	s := lockStore(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCK_TEST_FOLDER="+s.Path())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := s.TakeLock(t.Context(), "disk", ownerOf("test"), 0); !errors.As(err, &held) || held.Owner.PID != cmd.Process.Pid || !strings.Contains(err.Error(), "other process") {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	l, err := s.TakeLock(t.Context(), "disk", ownerOf("test"), 0)
	if err != nil {
		t.Fatalf("the lock of a dead process stays: %v", err)
	}
	if l.Left == nil || l.Left.PID != cmd.Process.Pid {
		t.Errorf("left by %v", l.Left)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// The lock of another machine, which the kernel here knows nothing of, holds as
// long as that machine shows signs of life.
func TestLockOfAnotherMachine(t *testing.T) {
	s := lockStore(t)
	path := filepath.Join(s.Path(), ".ingot-disk.lock")
	if err := os.WriteFile(path, []byte(`{"host":"elsewhere","pid":1,"since":"2026-11-25T02:30:00Z","what":"ingot run x"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := s.TakeLock(t.Context(), "disk", ownerOf("test"), 0); !errors.As(err, &held) || held.Owner.Host != "elsewhere" {
		t.Fatal(err)
	}
	past := time.Now().Add(-silence - time.Minute)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	l, err := s.TakeLock(t.Context(), "disk", ownerOf("test"), 0)
	if err != nil || l.Left.Host != "elsewhere" {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockIsNoLink(t *testing.T) {
	s := lockStore(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), os.Symlink(victim, filepath.Join(s.Path(), ".ingot-disk.lock"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeLock(t.Context(), "disk", ownerOf("test"), 0); err == nil {
		t.Error("a link was followed")
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
}
