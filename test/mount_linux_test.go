package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serving is a disk with an encrypted, split set of it.
type serving struct {
	t                       *testing.T
	dir, out, disk, restore string
	secret                  []string // the flags of the password
}

// Places of the partitions of its disk.
const (
	extOff, extLen   = 1 << 20, 60 << 20
	ntfsOff, ntfsLen = 61 << 20, 40 << 20
	rawOff, rawLen   = 101 << 20, 16 << 20
)

// newServing makes a disk, an image of it and an incremental, which is restored
// to have something to compare with.
func newServing(t *testing.T) *serving {
	needRoot(t)
	dir := t.TempDir()
	s := &serving{t: t, dir: dir, out: filepath.Join(dir, "out"), disk: filepath.Join(dir, "disk.img"), restore: filepath.Join(dir, "restored.img")}
	s.secret = []string{"--password-file", filepath.Join(dir, "password")}
	for _, err := range []error{os.Mkdir(s.out, 0o700), os.WriteFile(s.secret[1], []byte("horse"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sh(t, "truncate", "-s", "120M", s.disk)
	sh(t, "sgdisk", "-n", "1:2048:+60M", "-n", "2:0:+40M", "-t", "2:0700", "-n", "3:0:+16M", s.disk)
	ext := attach(t, s.disk, fmt.Sprint("--offset=", extOff), fmt.Sprint("--sizelimit=", extLen))
	sh(t, "mke2fs", "-q", "-t", "ext4", "-L", "Linux", ext)
	ntfs := attach(t, s.disk, fmt.Sprint("--offset=", ntfsOff), fmt.Sprint("--sizelimit=", ntfsLen))
	sh(t, "mkntfs", "-q", "-F", "-L", "Windows", ntfs)
	s.fill(ext, ntfs)
	// fio leaves sums in what it writes.
	raw := attach(t, s.disk, fmt.Sprint("--offset=", rawOff), fmt.Sprint("--sizelimit=", rawLen))
	sh(t, "fio", "--name=sums", "--filename="+raw, "--rw=write", "--bs=64k", "--verify_state_save=0", "--verify=crc32c", "--do_verify=0", "--size="+fmt.Sprint(rawLen), "--end_fsync=1", "--output="+filepath.Join(dir, "fio"))
	sh(t, "sync")
	sh(t, ingot, append([]string{"image", s.disk, "--to", s.out, "--name", "pc", "--split", "3M"}, s.secret...)...)
	sh(t, "mount", ext, s.mnt())
	if err := os.WriteFile(filepath.Join(s.mnt(), "second"), noiseBytes(4<<20, 9), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, "umount", s.mnt())
	sh(t, "sync")
	sh(t, ingot, append([]string{"image", s.disk, "--to", s.out, "--split", "3M"}, s.secret...)...)
	sh(t, ingot, append([]string{"restore", s.out, s.restore, "--yes"}, s.secret...)...)
	return s
}

// mnt is a folder to mount things on for a while.
func (s *serving) mnt() string {
	mnt := filepath.Join(s.dir, "mnt")
	if err := os.MkdirAll(mnt, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return mnt
}

func (s *serving) fill(ext, ntfs string) {
	sh(s.t, "mount", ext, s.mnt())
	sh(s.t, "sh", "-c", `cd "$0" && mkdir -p d/e && seq 100000 >d/seq && head -c 3000000 /dev/urandom >noise && ln d/seq hard && ln -s /etc/passwd abs && ln -s d/seq rel &&
		setfattr -n user.a -v b d/seq && mknod dev b 8 1 && chown 1234:77 noise && chmod 4711 noise && printf x >"$(printf 'a\377b')" && truncate -s 9M hole`, s.mnt())
	sh(s.t, "umount", s.mnt())
	mountedNTFS(s.t, ntfs, "", func(dir string) {
		sh(s.t, "sh", "-c", `cd "$0" && mkdir sub && seq 50000 >sub/numbers && echo main >file && setfattr -n user.stream -v more file`, dir)
	})
}

// background mounts the set.
func (s *serving) background(args ...string) (dir string) {
	s.t.Helper()
	dir = filepath.Join(s.dir, "shown")
	sh(s.t, ingot, append(append([]string{"mount", s.out, dir, "--background"}, s.secret...), args...)...)
	s.t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// TestServed mounts and serves one set in turn.
func TestServed(t *testing.T) {
	s := newServing(t)
	for _, sub := range []struct {
		name string
		run  func(t *testing.T)
	}{{"mount", s.mount}, {"killed", s.mountKilled}, {"nbd", s.nbd}, {"save", s.mountSave}} {
		t.Run(sub.name, func(t *testing.T) {
			s.t = t
			sub.run(t)
		})
	}
}

// filesOf is what a folder holds, but for the numbers of inodes and the sizes of
// folders.
func filesOf(t *testing.T, dir string) string {
	t.Helper()
	return sh(t, "sh", "-c", `cd "$0" && find . -mindepth 1 ! -name lost+found -printf '%P %y %m %T@ %U %G %l\n' | LC_ALL=C sort && find . ! -type d -printf '%P %s %n\n' | LC_ALL=C sort &&
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum && getfattr -hdR . | LC_ALL=C sort`, dir)
}

// mount looks at an encrypted, split, incremental set through a mount, with
// the tools of others.
func (s *serving) mount(t *testing.T) {
	dir := s.background()
	sh(t, "cmp", filepath.Join(dir, "disk.raw"), s.restore)
	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			if out, err := exec.Command("cmp", "-i", fmt.Sprint(i*7_000_001), filepath.Join(dir, "disk.raw"), s.restore).CombinedOutput(); err != nil {
				t.Errorf("reader %d: %v: %s", i, err, out)
			}
		})
	}
	readers.Wait()
	sh(t, "fio", "--name=sums", "--filename="+filepath.Join(dir, "partition-3.raw"), "--rw=read", "--bs=64k", "--verify_state_save=0", "--verify=crc32c", "--verify_fatal=1", "--size="+fmt.Sprint(rawLen), "--output="+filepath.Join(s.dir, "fio2"))
	sh(t, "e2fsck", "-fn", filepath.Join(dir, "partition-1.raw"))
	loop := strings.TrimSpace(sh(t, "losetup", "--find", "--show", "--read-only", filepath.Join(dir, "partition-1.raw")))
	sh(t, "mount", "-o", "ro", loop, s.mnt())
	if got, want := filesOf(t, filepath.Join(dir, "1-Linux")), filesOf(t, s.mnt()); got != want {
		t.Errorf("the folder shows\n%s, the kernel\n%s", got, want)
	}
	for _, name := range []string{"d/seq", "noise", "dev", "abs"} {
		format := "%F %a %u %g %s %t %T %Y %X"
		if got, want := sh(t, "stat", "-c", format, filepath.Join(dir, "1-Linux", name)), sh(t, "stat", "-c", format, filepath.Join(s.mnt(), name)); got != want {
			t.Errorf("%s: %s, the kernel says %s", name, got, want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "1-Linux", "a\xffb")); string(b) != "x" || err != nil {
		t.Errorf("a name that is no UTF-8: %q, %v", b, err)
	}
	sh(t, "umount", s.mnt())
	if out := sh(t, "getfattr", "--absolute-names", "-d", filepath.Join(dir, "2-Windows", "file")); !strings.Contains(out, `user.stream="more"`) {
		t.Errorf("attributes: %s", out)
	}
	sh(t, "losetup", "-d", loop)
	loop2 := sh(t, "losetup", "--find", "--show", "--read-only", filepath.Join(dir, "disk.raw"))
	fails(t, 4, "is in use", "umount", dir)
	sh(t, "losetup", "-d", strings.TrimSpace(loop2))
	sh(t, "udevadm", "settle")
	sh(t, ingot, "umount", dir)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder that was made is still there: %v", err)
	}
}

// mountKilled kills the program: what is left is a dead mount, which goes with
// the next one or with umount.
func (s *serving) mountKilled(t *testing.T) {
	for _, clean := range []func(dir string){
		func(dir string) { sh(t, ingot, "umount", dir) },
		func(dir string) { s.background() },
	} {
		dir := s.background("--write", "--temp-dir", s.mnt())
		sh(t, "dd", "if=/dev/urandom", "of="+filepath.Join(dir, "disk.raw"), "bs=1M", "count=2", "conv=notrunc")
		pid := strings.TrimSpace(sh(t, "pgrep", "-f", "mount "+s.out+" .*--background-child"))
		sh(t, "kill", "-9", pid)
		for tries := 0; ; tries++ {
			var st syscall.Statfs_t
			if errors.Is(syscall.Statfs(dir, &st), syscall.ENOTCONN) {
				break
			}
			if time.Sleep(10 * time.Millisecond); tries == 1000 {
				t.Fatal("the mount lives on")
			}
		}
		if left, err := os.ReadDir(s.mnt()); len(left) != 0 || err != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
		clean(dir)
	}
	dir := filepath.Join(s.dir, "shown")
	sh(t, "cmp", filepath.Join(dir, "disk.raw"), s.restore)
	sh(t, ingot, "umount", dir)
	fails(t, 4, "nothing is mounted", "umount", dir+"/..")
}

// server is ingot in the foreground.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
}

// serve starts ingot with --json, and waits until it says that it serves.
func serve(t *testing.T, into any, args ...string) *server {
	t.Helper()
	v := &server{t: t, cmd: exec.Command(ingot, append(args, "--json")...)}
	v.cmd.Stderr = &v.errs
	pipe, err := v.cmd.StdoutPipe()
	if err == nil {
		err = v.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	v.out = bufio.NewReader(pipe)
	line, err := v.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		_ = v.cmd.Wait()
		t.Fatalf("ingot %s: %v, %s, %s", strings.Join(args, " "), err, line, v.errs.String())
	}
	t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	return v
}

// stop ends it as Ctrl-C does, and gives what it says then.
func (v *server) stop() string {
	v.t.Helper()
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		v.t.Fatal(err)
	}
	rest, _ := io.ReadAll(v.out)
	if err := v.cmd.Wait(); err != nil {
		v.t.Errorf("it ended with %v: %s", err, v.errs.String())
	}
	return string(rest)
}

// fileSums are the hashes of the files of the set.
func (s *serving) fileSums() string {
	return sh(s.t, "sh", "-c", "cd '"+s.out+"' && sha256sum *")
}

// mountSave writes to a mounted partition as the kernel does, saves it as an
// incremental and restores that.
func (s *serving) mountSave(t *testing.T) {
	before := s.fileSums()
	dir := filepath.Join(s.dir, "shown")
	fails(t, 4, "is not the newest", append([]string{"mount", s.out + "@oldest", dir, "--write", "--save"}, s.secret...)...)
	var r struct{ Status string }
	v := serve(t, &r, append([]string{"mount", s.out, dir, "--write", "--save"}, s.secret...)...)
	sh(t, "mount", "-o", "loop", filepath.Join(dir, "partition-1.raw"), s.mnt())
	sh(t, "sh", "-c", `cd "$0" && rm noise && seq 200000 >new && fstrim -v .`, s.mnt())
	want := filesOf(t, s.mnt())
	sh(t, "umount", s.mnt())
	sh(t, "udevadm", "settle")
	if end := v.stop(); !strings.Contains(end, `"saved"`) || !strings.Contains(end, `"type":"inc"`) {
		t.Errorf("%s", end)
	}
	if after := s.fileSums(); !containsLines(after, before) {
		t.Error("files of the set were changed")
	}
	again := filepath.Join(s.dir, "again.img")
	sh(t, ingot, append([]string{"verify", s.out}, s.secret...)...)
	sh(t, ingot, append([]string{"restore", s.out, again, "--yes"}, s.secret...)...)
	dev := attach(t, again, fmt.Sprint("--offset=", extOff), fmt.Sprint("--sizelimit=", extLen))
	sh(t, "e2fsck", "-fn", dev)
	sh(t, "mount", "-o", "ro", dev, s.mnt())
	if got := filesOf(t, s.mnt()); got != want {
		t.Errorf("restored:\n%s, written:\n%s", got, want)
	}
	sh(t, "umount", s.mnt())
	sh(t, "cmp", "-i", fmt.Sprint(ntfsOff), "-n", fmt.Sprint(ntfsLen+rawLen), again, s.restore)
}

// containsLines says whether all lines of some are in all.
func containsLines(all, some string) bool {
	for line := range strings.Lines(some) {
		if !strings.Contains(all, line) {
			return false
		}
	}
	return true
}

// nbd reads and writes an encrypted, split, incremental set with the tools of
// others.
func (s *serving) nbd(t *testing.T) {
	before := s.fileSums()
	var r struct {
		Exports []struct{ Name, URI string }
	}
	socket := filepath.Join(s.dir, "s")
	v := serve(t, &r, append([]string{"nbd", s.out, "--socket", socket, "--write"}, s.secret...)...)
	uri := map[string]string{}
	for _, e := range r.Exports {
		uri[e.Name] = e.URI
	}
	if st, err := os.Stat(socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	fails(t, 4, "somebody serves", append([]string{"nbd", s.out, "--socket", socket}, s.secret...)...)
	copied := filepath.Join(s.dir, "copied.img")
	sh(t, "nbdcopy", uri["disk"], copied)
	sh(t, "cmp", copied, s.restore)
	sh(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", uri["disk"], s.restore)
	if m := sh(t, "nbdinfo", "--map", uri["partition-1"]); !strings.Contains(m, "hole,zero") || !strings.Contains(m, "data") {
		t.Errorf("%s", m)
	}
	sh(t, "qemu-io", "-f", "raw", "-c", "write -P 0x5a 100k 300k", "-c", "write -z 200k 50k", "-c", "discard 8M 4M", "-c", "flush", uri["partition-3"])
	sh(t, "qemu-io", "-f", "raw", "-c", fmt.Sprintf("read -P 0x5a %d 100k", rawOff+100<<10), "-c", fmt.Sprintf("read -P 0 %d 50k", rawOff+200<<10), "-c", fmt.Sprintf("read -P 0 %d 4M", rawOff+8<<20), uri["disk"])
	v.stop()
	if after := s.fileSums(); after != before {
		t.Error("files of the set were changed")
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}
