package test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// noise is a disk full of noise: a file without a partition table.
type noise struct {
	path string
	size int64
	rand *rand.ChaCha8
}

func newNoise(t *testing.T, path string, size int64) *noise {
	t.Helper()
	n := &noise{path, size, rand.NewChaCha8([32]byte{1})}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.write(t, 0, size)
	return n
}

// change writes length bytes somewhere.
func (n *noise) change(t *testing.T, length int64) {
	t.Helper()
	blocks := uint64(n.size-length) >> 16
	n.write(t, int64(n.rand.Uint64()%blocks)<<16, length)
}

func (n *noise) write(t *testing.T, off, length int64) {
	t.Helper()
	f, err := os.OpenFile(n.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, length)
	_, _ = n.rand.Read(b) // never fails
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, path string) (sum [sha256.Size]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	h.Sum(sum[:0])
	return sum
}

// point is a point in time as `ingot sets --json` shows it.
type point struct{ File, Type, Missing string }

// killer keeps a folder of sets, lets commands change copies of it, and kills
// them.
type killer struct {
	*testing.T
	dir, kept, run, src string
	was                 map[string][sha256.Size]byte // of the source, by point in time
	rand                *rand.Rand
	partial             int // files that were there after a second run
}

func newKiller(t *testing.T, size int64) *killer {
	dir, seed := t.TempDir(), uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killer{
		T: t, dir: dir, kept: filepath.Join(dir, "kept"), run: filepath.Join(dir, "run"), src: filepath.Join(dir, "src.img"),
		was: map[string][sha256.Size]byte{}, rand: rand.New(rand.NewPCG(seed, 0)),
	}
	if err := os.Mkdir(k.kept, 0o700); err != nil {
		t.Fatal(err)
	}
	noise := newNoise(t, k.src, size)
	for i := range 6 {
		sh(t, ingot, "image", k.src, "--to", k.kept, "--name", "k", "--compression", "none")
		k.was[fmt.Sprintf("k-%02d-%02d.mrimgx", i, i)] = digest(t, k.src)
		noise.change(t, size/2)
	}
	return k
}

// fresh makes the run folder a copy of what is kept. Links do: no command
// writes into a file that is there, as the sums at the end show too.
func (k *killer) fresh() {
	k.Helper()
	if err := os.RemoveAll(k.run); err != nil {
		k.Fatal(err)
	}
	sh(k.T, "cp", "-rl", k.kept, k.run)
}

// points are those of the run folder, all of which must be restorable, with
// every image file there is among them or known to be left over.
func (k *killer) points() (names []string) {
	k.Helper()
	out, err := exec.Command(ingot, "sets", k.run, "--json").Output()
	if err != nil {
		k.Fatalf("ingot sets: %v\n%s", err, out)
	}
	var v struct {
		Sets []struct {
			Points   []point
			Leftover []string `json:"leftover_files"`
		}
		Unreadable []struct{ File string }
	}
	if err := json.Unmarshal(out, &v); err != nil {
		k.Fatalf("%v: %s", err, out)
	}
	known := map[string]bool{}
	for _, s := range v.Sets {
		for _, p := range s.Points {
			if p.Missing != "" {
				k.Errorf("%s cannot be restored: %s", p.File, p.Missing)
			}
			known[p.File] = true
			names = append(names, p.File)
		}
		for _, name := range s.Leftover {
			known[name] = true
		}
	}
	for _, f := range k.files("*.mrimgx") {
		if !known[f] {
			k.Errorf("%s is no whole image", f)
		}
	}
	if len(v.Unreadable) > 0 {
		k.Errorf("unreadable: %v", v.Unreadable)
	}
	return names
}

func (k *killer) files(pattern string) (names []string) {
	k.Helper()
	found, err := filepath.Glob(filepath.Join(k.run, pattern))
	if err != nil {
		k.Fatal(err)
	}
	for _, f := range found {
		names = append(names, filepath.Base(f))
	}
	return names
}

// check: what is retained is there, every point in time verifies, and one of
// the retained restores to what the source was.
func (k *killer) check(retained []string) {
	k.Helper()
	points := k.points()
	for _, name := range retained {
		if !slices.Contains(points, name) {
			k.Errorf("%s has gone; there are %v", name, points)
		}
	}
	for _, name := range points {
		sh(k.T, ingot, "verify", filepath.Join(k.run, name))
	}
	name, back := retained[k.rand.IntN(len(retained))], filepath.Join(k.dir, "back.img")
	sh(k.T, ingot, "restore", filepath.Join(k.run, name), back, "--yes")
	if digest(k.T, back) != k.was[name] {
		k.Errorf("%s restores to something else", name)
	}
}

// killAfter runs ingot and kills it after the delay, unless it has ended by then.
func (k *killer) killAfter(delay time.Duration, args []string) (killed bool) {
	k.Helper()
	cmd := exec.Command(ingot, args...)
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	time.Sleep(delay)
	_ = cmd.Process.Kill() // it may have ended
	err := cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() != -1 {
		k.Fatalf("ingot %s: %v", strings.Join(args, " "), err)
	}
	return err != nil
}

// killAt runs ingot and kills it when it makes a system call with that file,
// "" any: for who is killed the names are all that counts, so that this is every
// state there is.
func (k *killer) killAt(call, name string, args []string) {
	k.Helper()
	pre := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + call + ":signal=KILL"}
	if name != "" {
		pre = append(pre, "-P", filepath.Join(k.run, name))
	}
	cmd := exec.Command("strace", append(append(pre, ingot), args...)...)
	if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		k.Errorf("strace (Debian package strace; it needs the right to trace): ingot was not killed: %v\n%s", err, out)
	}
}

// job is a command that is killed, and what must be there whatever happens.
type job struct {
	args     []string
	retained []string
	done     func(points []string) bool // it has nothing left to do
	at       [][2]string                // system calls, with the file they are about, to be killed at
}

// again runs a command once more, to its end: nothing is left then of the run that
// was killed, but for partial files, which stay for a while.
func (k *killer) again(j *job) {
	k.Helper()
	if out, err := exec.Command(ingot, j.args...).CombinedOutput(); err != nil {
		k.Errorf("ingot %s, once more: %v\n%s", strings.Join(j.args, " "), err, out)
	}
	points := k.points()
	if !j.done(points) {
		k.Errorf("ingot %s, once more, has left %v", strings.Join(j.args, " "), points)
	}
	for _, name := range j.retained {
		if !slices.Contains(points, name) {
			k.Errorf("after one more run %s has gone", name)
		}
	}
	sh(k.T, ingot, "verify", filepath.Join(k.run, points[len(points)-1]))
	partial := len(k.files(".*.partial")) + len(k.files(".*.unfinished")) + len(k.files(".*.lock"))
	k.partial += partial
	if n := len(k.files("*")) - partial - len(points); n > 0 {
		k.Errorf("%d files that are no points in time any more were left", n)
	}
}

// TestKill kills what changes a folder of sets, a dozen times each: at the calls
// that change names, and at random.
func TestKill(t *testing.T) {
	k := newKiller(t, 48<<20)
	all := []string{"k-00-00.mrimgx", "k-01-01.mrimgx", "k-02-02.mrimgx", "k-03-03.mrimgx", "k-04-04.mrimgx", "k-05-05.mrimgx"}
	file := func(name string) string { return filepath.Join(k.run, name) }
	fewer := func(points []string) bool { return len(points) == 3 }
	names := [][2]string{{"linkat", ""}, {"unlinkat", ""}, {"renameat", ""}}
	merged := append(names, [2]string{"unlinkat", all[1]}, [2]string{"unlinkat", all[2]}, [2]string{"unlinkat", all[3]})
	for _, j := range []job{
		{[]string{"image", k.src, "--to", k.run, "--type", "inc", "--compression", "none"}, all,
			func(points []string) bool { return len(points) >= 7 }, names[:2]},
		{[]string{"consolidate", file(all[1]), file(all[4]), "--yes"}, []string{all[0], all[4], all[5]}, fewer, merged},
		{[]string{"purge", k.run, "--keep-inc", "2", "--yes"}, []string{all[0], all[4], all[5]}, fewer, merged},
		{[]string{"purge", k.run, "--keep-inc", "2", "--synthetic-full", "--yes"}, []string{all[3], all[4], all[5]}, fewer, names},
	} {
		k.job(&j)
	}
	t.Logf("after a second run: %d partial files", k.partial)
	k.fresh()
	k.check(all)
}

// job has a command run, then killed.
func (k *killer) job(j *job) {
	k.Helper()
	kills := 12 - len(j.at)
	text := "ingot " + strings.Join(j.args, " ")
	k.fresh()
	began := time.Now()
	sh(k.T, ingot, j.args...)
	took := time.Since(began)
	k.check(j.retained)
	for _, at := range j.at {
		k.fresh()
		k.killAt(at[0], at[1], j.args)
		k.after(j, fmt.Sprintf("%s, killed at %s", text, at))
	}
	killed := 0
	for range kills {
		k.fresh()
		delay := time.Duration(k.rand.Int64N(int64(took) / 2)) // the first run is the slowest
		if k.killAfter(delay, j.args) {
			killed++
		}
		k.after(j, fmt.Sprintf("%s, killed after %v of %v", text, delay, took))
	}
	k.Logf("ingot %s: %v, killed at random %d of %d times, and at %d calls", j.args[0], took, killed, kills, len(j.at))
}

// after checks what a kill has left, and that the command can be run again.
func (k *killer) after(j *job, what string) {
	k.Helper()
	k.check(j.retained)
	k.again(j)
	if k.Failed() {
		k.Fatal(what)
	}
}
