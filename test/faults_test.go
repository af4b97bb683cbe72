package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// victim is a command that things happen to.
type victim struct {
	name     string
	args     []string
	target   string   // what it writes beside the folder of sets, or ""
	source   string   // what it reads
	retained []string // what must be there whatever happens
	again    []string // what is added to go on with it
	done     func()   // checks its result, once it was run to its end
}

// fault is something that happens, as strace has it happen.
type fault struct {
	name   string
	inject []string
	reads  bool     // only of what the victim reads
	needs  []string // victims it can happen to; nil: all
	codes  []int    // what the victim may end with, killed is -1
}

// faults are those that a machine has. A number behind when= counts the calls of
// one thread; with a plus all calls from that one on fail.
func faults() (out []fault) {
	add := func(name, inject string, reads bool, needs []string, codes ...int) {
		out = append(out, fault{name, strings.Split(inject, " "), reads, needs, codes})
	}
	writers := []string{"image", "inc", "consolidate", "purge", "restore"}
	for _, when := range []string{"1", "5+"} {
		add("a read fails", "pread64:error=EIO:when="+when, true, nil, 0, 1, 3, 4, 6, 7)
	}
	for _, when := range []string{"1+", "3+"} {
		add("writes fail", "pwrite64:error=EIO:when="+when, false, writers, 0, 1, 7)
		add("no space left", "pwrite64:error=ENOSPC:when="+when, false, writers, 0, 1, 7)
	}
	add("one write fails", "pwrite64:error=EIO:when=2", false, writers, 0, 1, 7)
	add("copying fails", "copy_file_range:error=EIO:when=1+", false, writers, 0, 1)
	for _, when := range []string{"1", "2"} {
		add("a sync fails", "fsync:error=EIO:when="+when, false, writers, 0, 1, 7)
	}
	add("a slow device", "pwrite64:delay_enter=20ms pread64:delay_enter=1ms fsync:delay_enter=30ms", false, nil, 0)
	for _, when := range []string{"1", "3"} {
		add("killed at a write", "pwrite64:signal=KILL:when="+when, false, writers, 0, -1)
		add("killed at a sync", "fsync:signal=KILL:when="+when, false, writers, 0, -1)
	}
	add("killed at a read", "pread64:signal=KILL:when=3", true, nil, 0, -1)
	return out
}

// TestFaults has each fault happen to each command: what was in the folder stays
// whole, nothing hangs, the exit code is one of those it can be, and the command
// done again ends well, with the result it would have had.
func TestFaults(t *testing.T) {
	k := newKiller(t, 8<<20)
	all := []string{"k-00-00.mrimgx", "k-01-01.mrimgx", "k-02-02.mrimgx", "k-03-03.mrimgx", "k-04-04.mrimgx", "k-05-05.mrimgx"}
	file := func(name string) string { return filepath.Join(k.run, name) }
	back := filepath.Join(k.dir, "target.img")
	image := func(typ string) []string {
		return []string{"image", k.src, "--to", k.run, "--type", typ, "--name", "z", "--compression", "none", "--retry-for", "1s", "--flush-every", "1ms"}
	}
	restored := func(point string, want [32]byte) {
		k.Helper()
		sh(t, ingot, "restore", point, back, "--yes")
		if digest(t, back) != want {
			k.Errorf("%s restores to something else", point)
		}
	}
	newest := func() { restored(k.run, digest(t, k.src)) }
	few := func(want int) func() {
		return func() {
			if p := k.points(); len(p) != want {
				k.Errorf("there are %v", p)
			}
			restored(file(all[5]), k.was[all[5]])
		}
	}
	resume := []string{"--resume"}
	for _, v := range []victim{
		{"image", image("full"), "", k.src, all, resume, newest},
		{"inc", image("inc"), "", k.src, all, resume, newest},
		{"consolidate", []string{"consolidate", file(all[1]), file(all[4]), "--yes"}, "", file(all[3]), []string{all[0], all[4], all[5]}, nil, few(3)},
		{"purge", []string{"purge", k.run, "--keep-inc", "2", "--synthetic-full", "--yes"}, "", file(all[2]), []string{all[3], all[4], all[5]}, nil, few(3)},
		{"restore", []string{"restore", file(all[4]), back, "--yes", "--check"}, back, file(all[4]), all, nil, func() {
			if digest(t, back) != k.was[all[4]] {
				k.Error("the restored disk is another one")
			}
		}},
		{"verify", []string{"verify", file(all[4])}, "", file(all[4]), all, nil, func() {}},
	} {
		k.suffers(&v)
	}
}

// suffers has every fault happen to a victim.
func (k *killer) suffers(v *victim) {
	k.Helper()
	codes := map[int]int{}
	for _, f := range faults() {
		if f.needs != nil && !slices.Contains(f.needs, v.name) {
			continue
		}
		k.fresh()
		code, said := k.happens(&f, v)
		what := fmt.Sprintf("%s: %s (%s): exit code %d\n%s", v.name, f.name, strings.Join(f.inject, " "), code, said)
		codes[code]++
		if !slices.Contains(f.codes, code) {
			k.Fatalf("not expected: %s", what)
		}
		if code > 0 && !strings.Contains(said, "ingot: ") {
			k.Errorf("it says nothing of an error: %s", what)
		}
		k.check(v.retained)
		if code == 0 {
			v.done()
			continue
		}
		text := sh(k.T, ingot, append(v.args, v.again...)...)
		if v.done(); code == 7 && !strings.Contains(text, "were there from the run before") {
			k.Errorf("it was not gone on with:\n%s", text)
		}
		if k.check(v.retained); k.Failed() {
			k.Fatal(what)
		}
	}
	k.Logf("%s: how often each exit code came: %v", v.name, codes)
	if codes[0] == 0 || codes[-1] == 0 || v.name != "verify" && codes[1]+codes[7] == 0 {
		k.Errorf("%s: the faults missed it: %v", v.name, codes)
	}
}

// happens runs a victim with a fault under way.
func (k *killer) happens(f *fault, v *victim) (code int, said string) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), 2*time.Minute)
	defer cancel()
	pre := []string{"-f", "-qq", "-o", "/dev/null"}
	var calls []string
	for _, i := range f.inject {
		calls = append(calls, i[:strings.IndexByte(i, ':')])
		pre = append(pre, "-e", "inject="+i)
	}
	pre = append(pre, "-e", "trace="+strings.Join(calls, ","))
	if f.reads {
		pre = append(pre, "-P", v.source)
	}
	if v.target != "" {
		if err := os.RemoveAll(v.target); err != nil {
			k.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, "strace", append(append(pre, ingot), v.args...)...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		k.Fatalf("%s: %s: it hangs\n%s", v.name, f.name, out)
	}
	if err != nil && cmd.ProcessState == nil {
		k.Fatalf("strace (Debian package strace): %v", err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
