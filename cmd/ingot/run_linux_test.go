package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/internal/filesys/volumetest"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/machine"
	"ingot/internal/notify/notifytest"
	"ingot/internal/plan"
)

// testRun is a folder with a disk, and definitions to be run.
type testRun struct {
	t   *testing.T
	dir string
}

func newTestRun(t *testing.T) *testRun {
	r := &testRun{t, t.TempDir()}
	if _, err := unpackDemo(r.path("disk.img")); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *testRun) path(name string) string { return filepath.Join(r.dir, name) }

// define writes a definition of the disk; "@/" in the texts is the folder.
func (r *testRun) define(name, destinations, rest string) (path string) {
	r.t.Helper()
	text := fmt.Sprintf(`<definition xmlns="urn:ingot:definition:1" name=%q>
<sources><disk path="@/disk.img"/></sources>
<destinations file-name=%q>%s</destinations>
<plan/>%s</definition>`, name, name, destinations, rest)
	path = r.path(name + ".xml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@/", r.dir+"/")), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// run runs a definition in this process and gives its report.
func (r *testRun) run(c *console, args ...string) (code int, report job.Report) {
	r.t.Helper()
	var out, errs bytes.Buffer
	if c == nil {
		c = &console{}
	}
	c.in, c.out, c.errs = strings.NewReader(""), &out, &errs
	root := newRoot(c)
	root.SetArgs(append([]string{"run", "--json", "--log-folder", r.path("logs")}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	err := root.ExecuteContext(r.t.Context())
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if uerr := json.Unmarshal(lines[len(lines)-1], &report); uerr != nil || report.Run == "" {
		r.t.Fatalf("no report: %v, %v\n%s\n%s", err, uerr, &out, &errs)
	}
	return exitCode(err), report
}

// A real mail server and a webhook hear of a backup, and of one that failed.
func TestRunMailAndWebhook(t *testing.T) {
	r := newTestRun(t)
	server := notifytest.Start(t, notifytest.Options{NoTLS: true})
	var mu sync.Mutex
	var hooks []string
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		mu.Lock()
		defer mu.Unlock()
		hooks = append(hooks, q.URL.Path+" "+string(b))
	}))
	defer web.Close()
	def := r.define("told", `<destination path="@/out"/>`, fmt.Sprintf(`
<notify no-event-log="yes" metrics="@/told.prom">
  <mail host="127.0.0.1" port="%d" security="none" from="pc@example.org">
    <success attach-log="yes"><to>log@example.org</to></success>
    <failure attach-log="yes"><to>me@example.org</to><subject>{{.Definition}} failed on {{.Host}}</subject></failure>
  </mail>
  <webhook url="%s/hook" on-success="yes" on-failure="yes"/>
  <ping url="%[2]s/ping"/>
</notify>`, server.Port, web.URL))
	if code, rep := r.run(nil, def); code != exitRefused || rep.Status != job.Failed {
		t.Fatalf("code %d, %+v", code, rep)
	}
	if err := os.Mkdir(r.path("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, rep := r.run(nil, def); code != exitDone || rep.Status != job.Success || len(rep.Images) != 1 {
		t.Fatalf("code %d, %+v", code, rep)
	}
	mails := server.Mails()
	if len(mails) != 2 || mails[0].To[0] != "me@example.org" || mails[1].To[0] != "log@example.org" {
		t.Fatalf("%+v", mails)
	}
	host, _ := os.Hostname()
	if s, err := mails[0].Header("Subject"); err != nil || s != "told failed on "+host || !strings.Contains(mails[0].Text, "backup-log.txt") {
		t.Errorf("%q, %v", s, err)
	}
	var paths []string
	for _, h := range hooks {
		path, _, _ := strings.Cut(h, " ")
		paths = append(paths, path)
	}
	if got := strings.Join(paths, " "); strings.Count(got, "/ping/start") != 2 || strings.Count(got, "/ping/fail") != 1 || strings.Count(got, "/hook") != 2 {
		t.Error(got)
	}
	if b, err := os.ReadFile(r.path("told.prom")); err != nil || !strings.Contains(string(b), `ingot_last_run_success{definition="told"} 1`) {
		t.Errorf("%s, %v", b, err)
	}
}

// mountNew mounts a new ext4 file system at name; image is its file.
func (r *testRun) mountNew(name string) (image, uuid string) {
	r.t.Helper()
	uuid = "0f0f0f0f-1111-2222-3333-444455556666"
	image = volumetest.Make(r.t, 160<<20, "e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-U", uuid)
	if err := os.Mkdir(r.path(name), 0o755); err != nil {
		r.t.Fatal(err)
	}
	volumetest.RunTool(r.t, "mount", "mount", "-o", "loop", image, r.path(name))
	r.t.Cleanup(func() { _ = exec.Command("umount", r.path(name)).Run() })
	return image, uuid
}

// A drive takes the backup and is detached; without it the alternative is used,
// and nothing goes into the empty mount point.
func TestRunDetachesTheDestination(t *testing.T) {
	r := newTestRun(t)
	drive, uuid := r.mountNew("usb")
	if err := os.Mkdir(r.path("local"), 0o755); err != nil {
		t.Fatal(err)
	}
	def := r.define("drive", fmt.Sprintf(`<destination path="@/usb" volume="%s"/><destination path="@/local"/>`, uuid),
		`<notify no-event-log="yes"/><after detach="yes"/>`)
	code, rep := r.run(nil, def)
	if code != exitDone || rep.Status != job.Success || rep.Folder != r.path("usb") {
		t.Fatalf("code %d, %+v", code, rep)
	}
	if mounts, err := os.ReadFile("/proc/mounts"); err != nil || strings.Contains(string(mounts), r.path("usb")) {
		t.Fatalf("the drive is still mounted: %v", err)
	}
	if loops := volumetest.RunTool(t, "mount", "losetup", "--list", "--output", "BACK-FILE"); strings.Contains(loops, drive) {
		t.Errorf("the drive is still bound: %s", loops)
	}
	// It lies on the same disk as the system here, and so is not detached.
	code, rep = r.run(nil, def)
	if code != exitDone || rep.Status != job.Warned || rep.Folder != r.path("local") || !strings.Contains(strings.Join(rep.Warnings, "\n"), "detach the destination") {
		t.Fatalf("code %d, %+v", code, rep)
	}
	if left, err := os.ReadDir(r.path("usb")); err != nil || len(left) > 0 {
		t.Errorf("the mount point was filled: %v, %v", left, err)
	}
	volumetest.RunTool(t, "mount", "mount", "-o", "loop", drive, r.path("usb"))
	if code, rep = r.run(nil, def); code != exitDone || rep.Type != image.TypeInc {
		t.Errorf("code %d, %+v", code, rep)
	}
}

// A destination that fills up is left for the next one.
func TestRunGoesOnWhereThereIsRoom(t *testing.T) {
	r := newTestRun(t)
	r.mountNew("small")
	if err := os.Mkdir(r.path("large"), 0o755); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(r.path("small/filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = filler.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	def := r.define("full", `<destination path="@/small"/><destination path="@/large"/>`, `<notify no-event-log="yes"/>`)
	code, rep := r.run(nil, def)
	if code != exitDone || rep.Status != job.Warned || rep.Folder != r.path("large") || len(rep.Images) != 1 {
		t.Errorf("code %d, %+v", code, rep)
	}
}

// Destinations that are exchanged: the one with the oldest backup has its turn.
func TestRunRotates(t *testing.T) {
	r := newTestRun(t)
	def := r.define("turn", `<destination path="@/a"/><destination path="@/b"/>`, `<notify no-event-log="yes"/>`)
	b, err := os.ReadFile(def)
	if err == nil {
		err = os.WriteFile(def, bytes.Replace(b, []byte("<destinations "), []byte(`<destinations choose="rotate" `), 1), 0o600)
	}
	if err := errors.Join(err, os.Mkdir(r.path("a"), 0o755), os.Mkdir(r.path("b"), 0o755)); err != nil {
		t.Fatal(err)
	}
	var turns string
	for range 3 {
		code, rep := r.run(nil, def)
		if code != exitDone {
			t.Fatalf("code %d, %+v", code, rep)
		}
		turns += filepath.Base(rep.Folder)
		time.Sleep(1100 * time.Millisecond) // the layout counts in seconds
	}
	if turns != "aba" {
		t.Error(turns)
	}
}

// A run that is killed leaves its lock to the next one, which says so.
func TestRunAfterAKill(t *testing.T) {
	r := newTestRun(t)
	if err := os.Mkdir(r.path("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	slow := r.define("slow", `<destination path="@/out"/>`, `<options compression="none" rate="1M"/><notify no-event-log="yes"/>`)
	program := r.path("ingot") // the test program is ingot when it is called so
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, program)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", slow, "--json", "--log-folder", "none")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	dec := json.NewDecoder(out)
	for {
		var e job.Event
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == job.Progress && e.Done > 1<<20 {
			break
		}
	}
	def := r.define("slow2", `<destination path="@/out"/>`, `<notify no-event-log="yes"/>`)
	if code, rep := r.run(nil, def); code != exitRefused || !strings.Contains(rep.Error, fmt.Sprintf("ingot run slow, process %d", cmd.Process.Pid)) {
		t.Fatalf("code %d, %+v", code, rep)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	code, rep := r.run(nil, def)
	if code != exitDone || len(rep.Images) != 1 || !strings.Contains(strings.Join(rep.Notes, "\n"), "an earlier run was cut short: ingot run slow") {
		t.Fatalf("code %d, %+v", code, rep)
	}
}

// What becomes of the machine is done last, when the report is out, and not after
// a failure.
func TestRunPower(t *testing.T) {
	r := newTestRun(t)
	var done []plan.PowerAction
	c := &console{acts: machine.Acts{plan.PowerShutDown: func(context.Context) error { done = append(done, plan.PowerShutDown); return nil }}}
	def := r.define("off", `<destination path="@/out"/>`, `<notify no-event-log="yes"/><after power="shutdown" delay="1s"/>`)
	if code, _ := r.run(c, def); code != exitRefused || len(done) != 0 {
		t.Fatalf("code %d, %v", code, done)
	}
	if err := os.Mkdir(r.path("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, _ := r.run(c, def, "--no-power"); code != exitDone || len(done) != 0 {
		t.Fatalf("code %d, %v", code, done)
	}
	if code, _ := r.run(c, def); code != exitDone || len(done) != 1 {
		t.Fatalf("code %d, %v", code, done)
	}
}
