package service

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// as calls fn on a thread of another user: the kernel takes it for them.
func as(t *testing.T, uid, gid int, groups []int, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs to be root")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks: the thread ends
		gids := append([]int{gid}, groups...)
		list := make([]uint32, len(gids))
		for i, g := range gids {
			list[i] = uint32(g)
		}
		_, _, e1 := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])), 0)
		_, _, e2 := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
		_, _, e3 := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
		if e1 != 0 || e2 != 0 || e3 != 0 {
			done <- fmt.Errorf("become uid %d: %v %v %v", uid, e1, e2, e3)
			return
		}
		fn()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// request sends one request over a connection made by the calling thread.
func request(socket, line string) (string, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: ingot\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", line); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	status, _, _ := strings.Cut(string(b), "\r\n")
	return status, err
}

// Other users cannot open the socket; those who could, since its mode was
// changed, are refused by what the kernel says of them.
func TestOtherUsers(t *testing.T) {
	const stranger, member, group = 54321, 54322, 54323
	r := newRig(t, map[string]string{"a": "end success 0"})
	r.opts.Group = "" // no such group is in the system; it is put in below
	r.start()
	as(t, stranger, stranger, nil, func() {
		if _, err := request(r.opts.Socket, "GET /v1/status"); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a stranger opened the socket: %v", err)
		}
	})
	if err := os.Chmod(r.opts.Socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"GET /v1/status", "GET /v1/session", "GET /metrics", "GET /v1/events", "GET /nothing", "POST /v1/definitions/a:run", "POST /v1/queue/pause", "GET /v1/runs/1/log",
		"GET /v1/definitions/a/xml", "PUT /v1/definitions/a", "DELETE /v1/definitions/a"} {
		as(t, stranger, 0, []int{0, group}, func() {
			if status, err := request(r.opts.Socket, line); err != nil || !strings.Contains(status, " 403 ") {
				t.Errorf("a stranger asked %s: %s, %v", line, status, err)
			}
		})
	}
	if q, err := r.client.Queue(t.Context()); err != nil || len(q.Jobs) > 0 || q.Paused {
		t.Errorf("%+v, %v", q, err)
	}
	p := Peer{UID: member, Groups: []int{member, group}}
	if p.admit(0, group); p.Role != Act || p.Role.May(Own) || !p.Role.May(See) {
		t.Errorf("a member: %+v", p)
	}
	if p.Role = None; p.Role.May(See) {
		t.Error("nobody may see")
	}
	if p.admit(member, 0); p.Role != Own {
		t.Errorf("the user of the service: %+v", p)
	}
}

// The kernel tells of supplementary groups.
func TestPeerGroups(t *testing.T) {
	dir, err := os.MkdirTemp("", "ingot-peer-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	as(t, 54322, 54322, []int{54323, 54324}, func() {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		p, err := peer(s)
		if err != nil || p.UID != 54322 || p.PID != os.Getpid() {
			t.Errorf("%+v, %v", p, err)
		}
		if p.admit(0, 54324); p.Role != Act {
			t.Errorf("%+v", p)
		}
		p.Role = None
		if p.admit(0, 54325); p.Role != None {
			t.Errorf("%+v", p)
		}
	})
}
