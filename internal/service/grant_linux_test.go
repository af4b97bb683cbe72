package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// askVar has the test program be another process that asks the service, one
// request for each line of its input.
const askVar = "INGOT_TEST_ASK"

// asker is a process of its own at the socket, of a user in the group of the
// service.
type asker struct {
	*testing.T
	in  *json.Encoder
	out *json.Decoder
	cmd *exec.Cmd
}

func newAsker(t *testing.T, socket string) *asker {
	t.Helper()
	cmd := exec.Command(readable(t, os.Args[0]))
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), askVar+"="+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: memberGroup(t)}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{t, json.NewEncoder(in), json.NewDecoder(out), cmd}
	t.Cleanup(a.end)
	return a
}

// testGroup stands in for the group of the service: every Debian has it.
const testGroup = "games"

func memberGroup(t *testing.T) uint32 {
	t.Helper()
	g, err := user.LookupGroup(testGroup)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(id)
}

// readable is a copy of a program where other users may run it.
func readable(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ingot-asker-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "asker")
	data, err := os.ReadFile(program)
	if err := errors.Join(err, os.WriteFile(path, data, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

func (a *asker) end() { _ = a.cmd.Process.Kill(); _ = a.cmd.Wait() }

// answers asks, and gives the status and the answer.
func (a *asker) answers(line string) (string, map[string]any) {
	a.Helper()
	var reply struct {
		Status, Body string
	}
	if err := errors.Join(a.in.Encode(line), a.out.Decode(&reply)); err != nil {
		a.Fatal(err)
	}
	var v map[string]any
	_ = json.Unmarshal([]byte(reply.Body), &v)
	return reply.Status, v
}

// beAsker is what the other process does.
func beAsker(socket string) {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	c := NewClient(socket)
	for {
		var line string
		if in.Decode(&line) != nil {
			return
		}
		method, path, _ := strings.Cut(line, " ")
		var v json.RawMessage
		var body any
		if path == "/v1/unlock" {
			body = Code{Code: "ABCDEFGH"}
		}
		err := c.do(context.Background(), method, path, body, &v)
		status := "200"
		if err != nil {
			status = err.Error()
		}
		_ = out.Encode(map[string]string{"Status": status, "Body": string(v)})
	}
}

func TestRightsAreLent(t *testing.T) {
	r := newRig(t, map[string]string{"a": "end success 0"})
	r.opts.Load = loadXML
	r.opts.Group = testGroup
	r.start()
	bridge, other := newAsker(t, r.opts.Socket), newAsker(t, r.opts.Socket)
	const own = "GET /v1/definitions/a/xml"
	if status, _ := bridge.answers(own); !strings.Contains(status, "may not") {
		t.Fatalf("a member of the group: %s", status)
	}
	_, code := bridge.answers("POST /v1/session/ask")
	if c, _ := code["code"].(string); len(c) != 8 {
		t.Fatalf("%v", code)
	}
	if status, _ := bridge.answers("POST /v1/unlock"); !strings.Contains(status, "may not") {
		t.Errorf("a member unlocks: %s", status)
	}
	if _, err := r.client.Unlock(t.Context(), "WRONGONE"); !refusedWith(err, http.StatusNotFound) {
		t.Errorf("a wrong code: %v", err)
	}
	g, err := r.client.Unlock(t.Context(), strings.ToLower(code["code"].(string)))
	if err != nil || g.PID != bridge.cmd.Process.Pid {
		t.Fatalf("%+v, %v", g, err)
	}
	if status, _ := bridge.answers(own); status != "200" {
		t.Errorf("the unlocked process: %s", status)
	}
	if _, s := bridge.answers("GET /v1/session"); s["role"] != "own" || s["until"] == nil {
		t.Errorf("%v", s)
	}
	if status, _ := bridge.answers("POST /v1/unlock"); !strings.Contains(status, "lent on") {
		t.Errorf("lent on: %s", status)
	}
	if status, _ := other.answers(own); !strings.Contains(status, "may not") {
		t.Errorf("another process of the same user: %s", status)
	}
	if _, err := r.client.Unlock(t.Context(), code["code"].(string)); !refusedWith(err, http.StatusNotFound) {
		t.Errorf("a code used twice: %v", err)
	}
	bridge.answers("POST /v1/session/lock")
	if status, _ := bridge.answers(own); !strings.Contains(status, "may not") {
		t.Errorf("after locking: %s", status)
	}
}

func TestGrantsEnd(t *testing.T) {
	now := time.Now()
	g := grants{now: func() time.Time { return now }}
	a := newAsker(t, "nowhere")
	p := Peer{UID: 7, PID: a.cmd.Process.Pid, Role: See}
	ask := func() string {
		t.Helper()
		c, err := g.ask(p)
		if err != nil {
			t.Fatal(err)
		}
		return c.Code
	}
	code := ask()
	now = now.Add(codeTime)
	if _, err := g.give(code); err == nil {
		t.Error("a code that is too old was taken")
	}
	if _, err := g.give(ask()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who  string
		peer Peer
		want Role
	}{
		{"the process", p, Own},
		{"another user with its number", Peer{UID: 8, PID: p.PID, Role: See}, See},
		{"another process", Peer{UID: 7, PID: os.Getpid(), Role: Act}, Act},
		{"somebody who was shut out since", Peer{UID: 7, PID: p.PID, Role: None}, None},
	} {
		if role, _ := g.role(c.peer); role != c.want {
			t.Errorf("%s: %s, want %s", c.who, role, c.want)
		}
	}
	g.given[0].process.Began = "earlier"
	if role, _ := g.role(p); role != See {
		t.Errorf("a later process with the same number is %s", role)
	}
	if _, err := g.give(ask()); err != nil {
		t.Fatal(err)
	}
	a.end()
	if role, _ := g.role(p); role != See {
		t.Errorf("after the process has ended: %s", role)
	}
	b := newAsker(t, "nowhere")
	p.PID = b.cmd.Process.Pid
	if _, err := g.give(ask()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(grantTime)
	if role, _ := g.role(p); role != See {
		t.Errorf("after its time: %s", role)
	}
}

func TestCodesAreBounded(t *testing.T) {
	g := grants{now: time.Now}
	for i := range mostCodes + 1 {
		_, err := g.ask(Peer{UID: i, PID: os.Getpid(), Role: See})
		if (err != nil) != (i == mostCodes) {
			t.Errorf("code %d: %v", i+1, err)
		}
	}
	if _, err := g.ask(Peer{UID: 0, PID: os.Getpid(), Role: See}); err != nil {
		t.Errorf("a new code in the place of one's old one: %v", err)
	}
}
