package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ingot/internal/winimage/winimagetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ingot": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs the command line as a person would: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"demodisk": func(ts *testscript.TestScript, _ bool, args []string) {
				_, err := unpackDemo(ts.MkAbs(args[0]))
				ts.Check(err)
			},
			"garbage": func(ts *testscript.TestScript, _ bool, args []string) {
				_, err := fillGarbage(ts.MkAbs(args[0]), ts.MkAbs(args[1]))
				ts.Check(err)
			},
			"samedisk": func(ts *testscript.TestScript, neg bool, args []string) {
				_, err := compareDisks(ts.MkAbs(args[0]), ts.MkAbs(args[1]))
				if neg != (err != nil) {
					ts.Fatalf("compare: %v", err)
				}
			},
			"windowsimage": windowsImage,
			"exits":        exits,
			"jsonlines":    jsonLines,
			"damage":       damage,
			"resize":       resize,
			"rewrite":      rewrite,
		},
	})
}

// windowsImage FOLDER gpt|mbr kept|moved: a Windows system image of a disk, which
// is the file FOLDER/disk.raw.
func windowsImage(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	_, raw, err := winimagetest.Make(dir, args[1] == "gpt", args[2] == "moved")
	ts.Check(err)
	ts.Check(os.Rename(raw, filepath.Join(dir, "disk.raw")))
}

// exits CODE COMMAND...: the command must end with this exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonLines FILE KEY...: every line is a JSON object, and the last one has the
// keys.
func jsonLines(ts *testscript.TestScript, _ bool, args []string) {
	var last map[string]any
	s := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0])))
	for s.Scan() {
		last = nil
		if err := json.Unmarshal(s.Bytes(), &last); err != nil {
			ts.Fatalf("%q: %v", s.Text(), err)
		}
	}
	for _, key := range args[1:] {
		if _, ok := last[key]; !ok {
			ts.Fatalf("the last line has no %q: %v", key, last)
		}
	}
}

// damage FILE OFFSET: one bit of the file changes; a negative offset counts from
// its end.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	if off < 0 {
		st, err := f.Stat()
		ts.Check(err)
		off += st.Size()
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	ts.Check(err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], off)
	ts.Check(err)
}

// resize FILE SIZE: the file is cut or grows; it is made when it is not there.
func resize(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR|os.O_CREATE, 0o600)
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(n), f.Close()))
}

// rewrite FILE OLD NEW: the first place in the file that holds the text OLD gets
// NEW, of the same length.
func rewrite(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := bytes.Index(b, []byte(args[1]))
	if at < 0 || len(args[1]) != len(args[2]) {
		ts.Fatalf("%q is not in %s, or not as long as %q", args[1], name, args[2])
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	ts.Check(err)
	_, err = f.WriteAt([]byte(args[2]), int64(at))
	ts.Check(errors.Join(err, f.Close()))
}
