package service

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/internal/job"
)

// TestMain is also the program whose runs the tests start: what they do stands
// in a file named after the definition.
func TestMain(m *testing.M) {
	if dir := os.Getenv("INGOT_TEST_PROGRAM"); dir != "" && len(os.Args) > 2 && os.Args[1] == "run" {
		os.Exit(fakeRun(dir, strings.TrimSuffix(filepath.Base(os.Args[2]), ".xml"), os.Args[3:]))
	}
	if dir := os.Getenv("INGOT_TEST_PROGRAM"); dir != "" && len(os.Args) > 2 && (os.Args[1] == Verify || os.Args[1] == Restore) {
		os.Exit(fakeRun(dir, os.Args[1], os.Args[2:]))
	}
	if len(os.Args) == 3 && os.Args[1] == "check-history" {
		if err := CheckHistory(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	if socket := os.Getenv(askVar); socket != "" {
		beAsker(socket)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeRun carries out the words of a script, a line each.
func fakeRun(dir, name string, args []string) int {
	script, err := os.ReadFile(filepath.Join(dir, name+".script"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	emit := func(v any) { _ = json.NewEncoder(os.Stdout).Encode(v) }
	log := job.NewLog(func(e job.Event) { emit(e) })
	stop := make(chan os.Signal, 1)
	for line := range strings.Lines(string(script)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "polite":
			signal.Notify(stop, syscall.SIGTERM)
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		case "note":
			log.Note("%s %s", rest, strings.Join(args, " "))
		case "progress":
			m := log.Stage("image", 100)
			m.Add(50)
			m.End()
		case "print":
			fmt.Println(rest)
		case "complain":
			fmt.Fprintln(os.Stderr, rest)
		case "flood":
			w := bufio.NewWriter(os.Stdout)
			for range 200000 {
				fmt.Fprintln(w, strings.Repeat("x", 100))
			}
			w.Flush()
		case "long":
			fmt.Println(strings.Repeat("y", 3<<20))
		case "child":
			c := exec.Command("sleep", "1000")
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if err := c.Start(); err != nil {
				return 1
			}
			_ = os.WriteFile(filepath.Join(dir, name+".child"), []byte(strconv.Itoa(c.Process.Pid)), 0o600)
		case "wait":
			_ = os.WriteFile(filepath.Join(dir, name+".waits"), []byte(strconv.Itoa(os.Getpid())), 0o600)
			d, _ := time.ParseDuration(rest)
			select {
			case <-stop:
				emit(job.Report{Definition: name, Status: job.Stopped, ExitCode: 130, Error: "interrupted"})
				return 130
			case <-time.After(d):
			}
		case "crash":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Minute)
		case "panic":
			panic("as the test wants")
		case "end":
			status, code, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(code)
			emit(job.Report{Definition: name, Status: job.Status(status), ExitCode: n})
			return n
		case "exit":
			n, _ := strconv.Atoi(rest)
			return n
		}
	}
	return 0
}

// program makes a folder of scripts for the fake program.
func program(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, s := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name+".script"), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("INGOT_TEST_PROGRAM", dir)
	return dir
}

func runTask(t *testing.T, ctx context.Context, name string, grace time.Duration) (Outcome, []Line, []job.Event) {
	t.Helper()
	l := logs{t.TempDir()}
	var heard []job.Event
	task := &task{argv: []string{os.Args[0], "run", name, "--json"}, grace: grace, log: l.create(1, time.Now), tell: func(e job.Event) { heard = append(heard, e) }}
	o := task.run(ctx)
	if err := task.log.end(&o); err != nil {
		t.Fatal(err)
	}
	lines, _, err := l.read(1, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return o, lines, heard
}

func TestOutcomes(t *testing.T) {
	program(t, map[string]string{
		"good":     "progress\nnote hello\nprint not JSON\nend success 0",
		"warned":   "end warning 6",
		"failed":   "complain it is broken\nend failure 1",
		"skipped":  "end skipped 0",
		"silent":   "exit 0",
		"code":     "complain no such thing\nexit 4",
		"crash":    "note so far\ncrash",
		"lies":     "end success 0\ncrash",
		"panic":    "panic",
		"half":     `print {"status":"success"`,
		"flood":    "flood\nend success 0",
		"long":     "long\nend success 0",
		"hostile":  `print {"kind":"progress","done_bytes":"x"}` + "\n" + `print {"status":["success"]}` + "\nprint \x1b[31m\xff\nend warning 0",
		"early":    `print {"status":"failed","error":"others may write it","exit_code":4}` + "\nexit 4",
		"finished": `print {"status":"running"}` + "\nexit 1",
	})
	for _, c := range []struct {
		name  string
		state State
		code  int
		says  string
	}{
		{"good", Success, 0, ""}, {"warned", Warned, 6, ""}, {"failed", Failed, 1, ""}, {"skipped", Skipped, 0, ""},
		{"silent", Success, 0, ""}, {"code", Failed, 4, "no such thing"}, {"crash", Failed, -1, "killed"}, {"panic", Failed, 2, "as the test wants"},
		{"half", Success, 0, ""}, {"flood", Success, 0, ""}, {"long", Success, 0, ""}, {"hostile", Warned, 0, ""}, {"finished", Failed, 1, ""},
		{"early", Failed, 4, "others may write it"},
		{"nobody", Failed, 1, "no such file"},
	} {
		o, lines, _ := runTask(t, t.Context(), c.name, time.Second)
		if o.State != c.state || o.ExitCode != c.code || !strings.Contains(o.Error, c.says) {
			t.Errorf("%s: %+v", c.name, o)
		}
		if last := lines[len(lines)-1]; last.Kind != "report" || !strings.HasPrefix(last.Text, "ended: "+string(c.state)) {
			t.Errorf("%s: the log ends with %+v", c.name, last)
		}
	}
}

func TestLogOfARun(t *testing.T) {
	program(t, map[string]string{"good": "progress\nnote hello\nprint not JSON\ncomplain careful\nend success 0"})
	o, lines, heard := runTask(t, t.Context(), "good", time.Second)
	var got []string
	for _, l := range lines {
		got = append(got, l.Kind+" "+l.Text)
	}
	for _, want := range []string{"stage ", "note hello --json", "output not JSON", "error careful", "report ended: success"} {
		if !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(strings.Join(got, "\n"), "progress") || len(heard) < 3 || o.Report == nil {
		t.Errorf("%q, heard %+v", got, heard)
	}
}

// A flood of output does not fill the disk: the log has its bound, and its end.
func TestLogIsBounded(t *testing.T) {
	program(t, map[string]string{"flood": "flood\nend success 0"})
	_, lines, _ := runTask(t, t.Context(), "flood", time.Second)
	n := len(lines)
	if n > maxLogFile/100 || !strings.Contains(lines[n-2].Text, "are not kept") {
		t.Errorf("%d lines, at the end %+v", n, lines[max(n-2, 0):])
	}
}

func TestCancel(t *testing.T) {
	dir := program(t, map[string]string{
		"polite": "polite\nwait 60s\nend success 0",
		"deaf":   "deaf\nwait 60s\nend success 0",
		"brood":  "polite\nchild\nwait 60s\nend success 0",
		"spared": "polite\nwait 60s\nend success 0",
	})
	for _, c := range []struct {
		name  string
		cause error
		state State
		says  string
	}{
		{"polite", errCancelled, Stopped, "cancelled"},
		{"deaf", errCancelled, Stopped, "was killed"},
		{"brood", errCancelled, Stopped, "cancelled"},
		{"spared", errShutdown, Interrupted, "shut down"},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			for !exists(filepath.Join(dir, c.name+".waits")) {
				time.Sleep(5 * time.Millisecond)
			}
			cancel(c.cause)
		}()
		began := time.Now()
		o, _, _ := runTask(t, ctx, c.name, 300*time.Millisecond)
		if o.State != c.state || !strings.Contains(o.Error, c.says) {
			t.Errorf("%s: %+v", c.name, o)
		}
		if time.Since(began) > 30*time.Second {
			t.Errorf("%s took %s", c.name, time.Since(began))
		}
	}
	pid := readPID(t, filepath.Join(dir, "brood.child"))
	for i := 0; processBegan(pid) != ""; i++ {
		if i > 500 {
			t.Fatal("a process that the run started is still there")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func exists(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Size() > 0
}

func readPID(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// A process that a service left behind is ended; one that has its number by
// chance is not.
func TestOrphans(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p := Process{cmd.Process.Pid, processBegan(cmd.Process.Pid)}
	if p.Began == "" {
		t.Fatal("a process has no beginning")
	}
	if endOrphan(Process{p.PID, p.Began + "0"}, time.Second) {
		t.Error("a process that began at another time was ended")
	}
	if !endOrphan(p, time.Second) {
		t.Error("the process was not found")
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) {
		t.Error(err)
	}
	if endOrphan(p, time.Second) {
		t.Error("a process that is no more was ended")
	}
}

func TestStartFails(t *testing.T) {
	l := logs{t.TempDir()}
	task := &task{argv: []string{"/nonexistent/ingot"}, log: l.create(1, time.Now)}
	if o := task.run(t.Context()); o.State != Failed || !strings.Contains(o.Error, "no such file") {
		t.Errorf("%+v", o)
	}
}

// checkApart looks at a history in a process of its own.
func checkApart(path string) error {
	out, err := exec.Command(os.Args[0], "check-history", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.200s", err, out)
	}
	return nil
}
