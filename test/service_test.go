package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/internal/notify/notifytest"
	"ingot/internal/service"
)

// daemon is the service as a process, with its folders and what is around it.
type daemon struct {
	*testing.T
	dir   string
	args  []string
	env   []string
	cmd   *exec.Cmd
	ended chan error
	log   *os.File
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	needRoot(t)
	// Other users have to come as far as the socket, and the program.
	dir, err := os.MkdirTemp("", "ingot-daemon-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(ingot), 0o755), os.Mkdir(filepath.Join(dir, "definitions"), 0o700)); err != nil {
		t.Fatal(err)
	}
	d := &daemon{T: t, dir: dir}
	d.args = []string{"--definitions", d.path("definitions"), "--state", d.path("state"), "--socket", d.path("api.sock"), "--grace", "20s"}
	if d.log, err = os.Create(d.path("service.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
		if t.Failed() {
			b, _ := os.ReadFile(d.log.Name())
			t.Logf("the service said:\n%s", b)
		}
	})
	return d
}

func (d *daemon) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

func (d *daemon) start() {
	d.Helper()
	d.cmd = exec.Command(ingot, append([]string{"service", "run"}, d.args...)...)
	d.cmd.Env = append(os.Environ(), d.env...)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(d.cmd, d.ended)
	d.until("the service to answer", func() bool { return exec.Command(ingot, "status", "--socket", d.path("api.sock")).Run() == nil })
}

// end sends a signal to the service and waits for its end.
func (d *daemon) end(sig syscall.Signal) error {
	d.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.Fatal(err)
	}
	d.cmd = nil
	return <-d.ended
}

// until waits for something to become true.
func (d *daemon) until(what string, is func() bool) {
	d.Helper()
	for range 1200 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.Fatalf("waited in vain for %s\n%+v", what, d.runs())
}

// ask runs a verb that speaks with the service and reads its JSON.
func (d *daemon) ask(into any, args ...string) {
	d.Helper()
	text := sh(d.T, ingot, append(args, "--json", "--socket", d.path("api.sock"))...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		d.Fatalf("ingot %v: %v\n%s", args, err, text)
	}
}

// runs is the history, oldest first.
func (d *daemon) runs() []service.Run {
	d.Helper()
	var h struct{ Runs []service.Run }
	d.ask(&h, "history", "--limit", "500")
	slices.Reverse(h.Runs)
	return h.Runs
}

// of are the runs of a definition in a state; "" is any.
func (d *daemon) of(name string, s service.State) (out []service.Run) {
	d.Helper()
	for _, r := range d.runs() {
		if r.Definition == name && (s == "" || r.State == s) {
			out = append(out, r)
		}
	}
	return out
}

// more waits for one more run of a definition that ends so, and gives it.
func (d *daemon) more(name string, s service.State) service.Run {
	d.Helper()
	n := len(d.of(name, s))
	d.until(fmt.Sprintf("one more run of %s that is %s", name, s), func() bool { return len(d.of(name, s)) > n })
	return d.of(name, s)[n]
}

// define writes a definition as its whole file at once, as editors do.
func (d *daemon) define(name, disk, destinations, rest string) {
	d.Helper()
	text := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<definition xmlns="urn:ingot:definition:1" name=%q>
  <sources><disk path=%q/></sources>
  <destinations>%s</destinations>
  %s
</definition>
`, name, disk, destinations, rest)
	file := d.path("definitions", name+".xml")
	if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
		d.Fatal(err)
	}
}

// disk makes a disk with an ext4 volume of size MiB that is nearly full.
func (d *daemon) disk(name string, size int) string {
	d.Helper()
	file := d.path(name + ".img")
	sh(d.T, "truncate", "-s", fmt.Sprintf("%dM", size+2), file)
	sh(d.T, "sgdisk", "-n", fmt.Sprintf("1:2048:+%dM", size), file)
	tree := d.path(name + ".tree")
	if err := errors.Join(os.Mkdir(tree, 0o700), os.WriteFile(filepath.Join(tree, "data"), noiseBytes(size*7<<20/10, byte(size)), 0o600)); err != nil {
		d.Fatal(err)
	}
	sh(d.T, "mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", "offset=1048576", file, fmt.Sprintf("%dM", size))
	return file
}

func (d *daemon) folder(name string) string {
	d.Helper()
	if err := os.Mkdir(d.path(name), 0o700); err != nil {
		d.Fatal(err)
	}
	return d.path(name)
}

// hooks takes what webhooks post.
type hooks struct {
	mu   sync.Mutex
	seen []string
}

func (h *hooks) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	var body struct {
		Event  string
		Report struct{ Definition string }
	}
	b, _ := io.ReadAll(req.Body)
	_ = json.Unmarshal(b, &body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, body.Event+" "+body.Report.Definition)
}

func (h *hooks) has(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.seen, what)
}

// TestService takes the service through some days in a minute: three
// definitions, of which one is edited, one loses its drive, and one is at work
// when the service is killed.
func TestService(t *testing.T) {
	d := newDaemon(t)
	mail := notifytest.Start(t, notifytest.Options{NoTLS: true})
	var posted hooks
	web := httptest.NewServer(&posted)
	t.Cleanup(web.Close)

	drive := d.path("drive.img")
	sh(t, "truncate", "-s", "64M", drive)
	sh(t, "mke2fs", "-q", "-t", "ext4", drive)
	usb := d.folder("usb")
	plug := func() { sh(t, "mount", "-o", "loop", drive, usb) }
	plug()
	t.Cleanup(func() { _ = exec.Command("umount", usb).Run() })

	// The night in which the clocks are put forward.
	start := time.Date(2026, 3, 28, 19, 30, 0, 0, time.UTC)
	plain, slow, second := d.disk("plain", 8), d.disk("slow", 24), d.disk("second", 8)
	nightly := `<plan time-zone="Europe/Berlin"><schedule><daily at="02:30"/></schedule></plan>`
	d.define("nightly", plain, dest(d.folder("nightly")), nightly)
	d.define("drive", second, fmt.Sprintf(`<destination path=%q mounted="yes"/>`, usb)+dest(d.folder("spare")),
		`<plan time-zone="UTC"><schedule><interval every="4h"/></schedule></plan>`)
	d.define("slow", slow, dest(d.folder("slow")), fmt.Sprintf(`<plan/>
  <options rate="6M"/>
  <notify alert-after-days="1">
    <mail host="127.0.0.1" port="%d" security="none" from="ingot@example.org">
      <success><to>log@example.org</to></success><failure><to>me@example.org</to></failure>
    </mail>
    <webhook url=%q on-success="yes" on-failure="yes"/>
  </notify>`, mail.Port, web.URL))
	d.env = []string{fmt.Sprintf("INGOT_SERVICE_CLOCK=%s,%s,9000", time.Now().Format(time.RFC3339Nano), start.Format(time.RFC3339))}
	d.start()

	// The service is killed while one of its runs is at work.
	sh(t, ingot, "queue", "add", "slow", "--full", "--socket", d.path("api.sock"))
	var process service.Process
	d.until("the slow run to be at work", func() bool {
		var q service.Queue
		d.ask(&q, "queue")
		for _, j := range q.Jobs {
			if j.Definition == "slow" && j.Progress != nil && j.Progress.Done > 0 && j.Process != nil {
				process = *j.Process
				return true
			}
		}
		return false
	})
	if err := d.end(syscall.SIGKILL); err == nil {
		t.Error("a service that was killed ended well")
	}
	d.start()
	cut := d.of("slow", service.Interrupted)
	if len(cut) != 1 || alive(process.PID) {
		t.Fatalf("after the restart: %+v; its process is still there: %v", d.of("slow", ""), alive(process.PID))
	}
	d.until("the slow run to be made", func() bool { return len(d.of("slow", service.Success)) == 1 })
	again := d.of("slow", service.Success)[0]
	if again.Of != cut[0].ID || again.Cause != service.ByResume || again.Report == nil || again.Report.Type != "full" {
		t.Errorf("%+v resumes %+v", again, cut[0])
	}
	for _, img := range again.Report.Images {
		sh(t, ingot, "verify", filepath.Join(again.Report.Folder, img.File))
	}
	d.until("mail and post of the success", func() bool { return posted.has("success slow") && mailed(mail, "log@example.org") })

	// The drive goes and comes back.
	if r := d.more("drive", service.Success); r.Report.Folder != usb {
		t.Errorf("with its drive there the run went to %s", r.Report.Folder)
	}
	d.pull(usb)
	d.until("a run to the spare folder", func() bool {
		last := d.last("drive")
		return last.State.Good() && last.Report.Folder == d.path("spare")
	})
	plug()
	d.until("a run to the drive", func() bool {
		last := d.last("drive")
		return last.State.Good() && last.Report.Folder == usb
	})

	// A definition is edited.
	d.until("a nightly run", func() bool { return len(d.of("nightly", service.Success)) > 0 })
	d.define("nightly", plain, dest(d.path("nightly")), strings.Replace(nightly, `<schedule>`, `<schedule type="diff">`, 1))
	if r := d.more("nightly", service.Success); r.Type != "diff" || r.Report.Type != "diff" {
		t.Errorf("after it was edited: %+v", r)
	}

	// What fails is told, and that there was no good backup for a day.
	if err := os.Rename(slow, slow+".gone"); err != nil {
		t.Fatal(err)
	}
	sh(t, ingot, "queue", "add", "slow", "--socket", d.path("api.sock"))
	if r := d.more("slow", service.Failed); r.Error == "" || r.ExitCode == 0 {
		t.Errorf("%+v", r)
	}
	d.until("word of the failure", func() bool {
		return posted.has("failure slow") && posted.has("overdue slow") && mailed(mail, "me@example.org")
	})

	began := time.Now()
	if err := d.end(syscall.SIGTERM); err != nil || time.Since(began) > time.Minute {
		t.Errorf("the service ended %s after it was asked to: %v", time.Since(began), err)
	}
	d.start()
	d.history(start)
}

func dest(path string) string { return fmt.Sprintf(`<destination path=%q/>`, path) }

// alive says whether there is such a process that has not ended.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func mailed(s *notifytest.Server, to string) bool {
	return slices.ContainsFunc(s.Mails(), func(m notifytest.Mail) bool { return slices.Contains(m.To, to) })
}

// pull takes a drive away between two runs.
func (d *daemon) pull(mnt string) {
	d.Helper()
	d.until("nobody to use the drive", func() bool { return exec.Command("umount", mnt).Run() == nil })
}

// last is the last run of a definition that has ended.
func (d *daemon) last(name string) service.Run {
	d.Helper()
	var last service.Run
	for _, r := range d.of(name, "") {
		if r.State.Ended() {
			last = r
		}
	}
	return last
}

// history checks what any history has to be: no two runs at a time, the nightly
// run once a day, each run with its log, and none left under way.
func (d *daemon) history(start time.Time) {
	d.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		d.Fatal(err)
	}
	nights := map[string]int{}
	var before service.Run
	runs := d.runs()
	slices.SortStableFunc(runs, func(a, b service.Run) int { return a.Began.Compare(b.Began) })
	for _, r := range runs {
		if !r.Began.IsZero() {
			if r.Began.Before(before.Ended) {
				d.Errorf("run %d began before %d had ended", r.ID, before.ID)
			}
			before = r
			if text := sh(d.T, ingot, "log", fmt.Sprint(r.ID), "--socket", d.path("api.sock")); r.State.Ended() && r.State != service.Interrupted && !strings.Contains(text, "ended: "+string(r.State)) {
				d.Errorf("the log of run %d:\n%s", r.ID, text)
			}
		}
		if r.Definition == "nightly" && r.State == service.Success {
			nights[r.Due.In(berlin).Format(time.DateOnly)]++
		}
	}
	for night, n := range nights {
		if n != 1 {
			d.Errorf("%d nightly runs on %s", n, night)
		}
	}
	if night := start.AddDate(0, 0, 1).Format(time.DateOnly); nights[night] != 1 {
		d.Errorf("%d runs in the night in which 02:30 does not exist: %v", nights[night], nights)
	}
}

// TestServiceSecurity has definitions and users that are not to be trusted.
func TestServiceSecurity(t *testing.T) {
	const stranger, member = 54321, 100 // the group users, which every Linux has
	d := newDaemon(t)
	d.args = append(d.args, "--group", "users")
	disk := d.disk("disk", 8)
	out := dest(d.folder("out"))
	hook := func(command string) string {
		return fmt.Sprintf(`<plan/>
  <hook at="before-snapshot"><command>%s</command></hook>`, command)
	}
	script := func(name string, mode os.FileMode) string {
		file := d.path(name)
		if err := errors.Join(os.WriteFile(file, []byte("#!/bin/sh\ntouch "+d.path("ran-"+filepath.Base(name))+"\n"), 0o700), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	theirs := d.folder("theirs")
	for _, name := range []string{"good", "writable", "owned", "linked", "dangling", "evil-link"} {
		d.define(name, disk, out, hook(script(name+".sh", 0o700)))
	}
	d.define("hook-writable", disk, out, hook(script("open.sh", 0o777)))
	d.define("hook-in-their-folder", disk, out, hook(script("theirs/hook.sh", 0o700)))
	def := func(name string) string { return d.path("definitions", name+".xml") }
	for _, err := range []error{
		os.Chmod(def("writable"), 0o666), os.Chown(def("owned"), stranger, stranger),
		os.Rename(def("linked"), filepath.Join(theirs, "linked.xml")), os.Symlink(filepath.Join(theirs, "linked.xml"), def("linked")),
		os.Remove(def("dangling")), os.Symlink(d.path("nothing"), def("dangling")),
		os.Rename(def("evil-link"), d.path("real.xml")), os.Symlink(d.path("real.xml"), filepath.Join(theirs, "link")),
		os.Symlink(filepath.Join(theirs, "link"), def("evil-link")),
		os.Chown(theirs, stranger, stranger), os.Lchown(filepath.Join(theirs, "link"), stranger, stranger),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	refused := []string{"writable", "owned", "linked", "dangling", "evil-link", "hook-writable", "hook-in-their-folder"}
	d.refuses(refused...)
	sh(t, ingot, "queue", "add", "good", "--socket", d.path("api.sock"))
	d.until("the good one to be made", func() bool { return len(d.of("good", service.Success)) == 1 })

	// The folder itself becomes one that all may write to, and is mended.
	if err := os.Chmod(d.path("definitions"), 0o777); err != nil {
		t.Fatal(err)
	}
	d.until("all to be refused", func() bool { return d.states()["good"] == "refused" })
	fails(t, 4, "refused", "queue", "add", "good", "--socket", d.path("api.sock"))
	if err := os.Chmod(d.path("definitions"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.until("the good one to be back", func() bool { return d.states()["good"] == "ready" })
	if ran, _ := filepath.Glob(d.path("ran-*")); fmt.Sprint(ran) != fmt.Sprint([]string{d.path("ran-good.sh")}) {
		t.Errorf("hooks that ran: %v", ran)
	}
	d.users(stranger, member)
}

// refuses wants these definitions to be refused, with a reason, in the status and
// when somebody asks for a run.
func (d *daemon) refuses(names ...string) {
	d.Helper()
	d.until("some to be refused", func() bool { return d.states()["writable"] == "refused" })
	var st service.Status
	d.ask(&st, "status")
	for _, def := range st.Definitions {
		if bad := slices.Contains(names, def.Name); bad != (def.State == "refused") || bad != (def.Problem != "") {
			d.Errorf("%s is %s: %s", def.Name, def.State, def.Problem)
		}
	}
	for _, name := range names {
		fails(d.T, 4, "refused", "queue", "add", name, "--socket", d.path("api.sock"))
	}
}

func (d *daemon) states() map[string]string {
	d.Helper()
	var st service.Status
	d.ask(&st, "status")
	out := map[string]string{}
	for _, def := range st.Definitions {
		out[def.Name] = def.State
	}
	return out
}

// users has another user, with and without the group, speak with the service.
func (d *daemon) users(uid, gid int) {
	d.Helper()
	as := func(gid int, args ...string) (string, int) {
		cmd := exec.Command("setpriv", append([]string{fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), fmt.Sprintf("--groups=%d", gid), ingot}, append(args, "--socket", d.path("api.sock"))...)...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	verbs := [][]string{{"status"}, {"queue"}, {"history"}, {"log", "1"}, {"cancel", "1"}, {"pause"}, {"queue", "add", "good"}}
	for range 2 { // the second time those outside could open the socket
		for _, verb := range verbs {
			if out, code := as(uid, verb...); code != 4 || !strings.Contains(out, "refuses this user") {
				d.Errorf("a stranger: ingot %v: exit code %d, %s", verb, code, out)
			}
		}
		if err := os.Chmod(d.path("api.sock"), 0o666); err != nil {
			d.Fatal(err)
		}
	}
	if out, code := as(gid, "status"); code != 0 || !strings.Contains(out, "good") {
		d.Errorf("a member: exit code %d, %s", code, out)
	}
	if out, code := as(gid, "pause"); code != 0 {
		d.Errorf("a member: exit code %d, %s", code, out)
	}
	var st service.Status
	if d.ask(&st, "status"); !st.Paused {
		d.Error("a member could not pause")
	}
}

// TestServiceAnswers has the service tell of disks, places and schedules, which
// it has the program look at.
func TestServiceAnswers(t *testing.T) {
	d := newDaemon(t)
	office := d.folder("office")
	d.define("office", d.disk("office-disk", 8), dest(office)+dest(d.path("nowhere")), `<plan time-zone="UTC"><schedule><daily at="02:30"/></schedule></plan>`)
	sh(t, ingot, "image", d.path("office-disk.img"), "--to", office)
	d.start()
	c := service.NewClient(d.path("api.sock"))
	places, err := c.Sets(t.Context(), "office")
	if err != nil || len(places) != 2 || places[0].Found == nil || len(places[0].Found.Sets) != 1 || len(places[0].Found.Sets[0].Points) != 1 {
		t.Fatalf("%+v, %v", places, err)
	}
	if places[1].Found != nil || !strings.Contains(places[1].Error, "nowhere") {
		t.Errorf("%+v", places[1])
	}
	p, err := c.Preview(t.Context(), "office", 30)
	if err != nil || p.Name != "office" || len(p.Runs) < 29 || len(p.Runs) > 31 {
		t.Errorf("%+v, %v", p, err)
	}
	disks, err := c.Disks(t.Context())
	if err != nil || disks == nil {
		t.Errorf("%+v, %v", disks, err)
	}
}
