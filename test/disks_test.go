package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ingot is the program, built once.
var ingot string

func TestMain(m *testing.M) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	dir, err := os.MkdirTemp("", "ingot-test-")
	if err != nil {
		panic(err)
	}
	ingot = filepath.Join(dir, "ingot")
	if out, err := exec.Command("go", "build", "-o", ingot, "ingot/cmd/ingot").CombinedOutput(); err != nil {
		fmt.Printf("go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// sh runs a command that must succeed and gives what it prints.
func sh(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fails runs ingot, which must end with the code and say what.
func fails(t *testing.T, code int, what string, args ...string) {
	t.Helper()
	cmd := exec.Command(ingot, args...)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), what) {
		t.Errorf("ingot %s: exit code %d (want %d), want %q in\n%s", strings.Join(args, " "), got, code, what, out)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test attaches loop devices and mounts file systems: run it as root")
	}
}

// TestRealDisks takes Windows-like disks through the program; see roundtrip.sh.
func TestRealDisks(t *testing.T) {
	needRoot(t)
	for _, kind := range []string{"gpt", "mbr", "4kn"} {
		t.Run(kind, func(t *testing.T) {
			cmd := exec.Command("./roundtrip.sh", kind)
			cmd.Env = append(os.Environ(), "INGOT="+ingot, "LARGE_DIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Log(lines[len(lines)-1])
		})
	}
}

// attach makes a loop device of a file.
func attach(t *testing.T, file string, opts ...string) string {
	t.Helper()
	dev := strings.TrimSpace(sh(t, "losetup", append(opts, "--find", "--show", file)...))
	t.Cleanup(func() { sh(t, "losetup", "-d", dev) })
	return dev
}

// TestDevices uses block devices instead of files, and what is mounted from
// them.
func TestDevices(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, dst, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img"), filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "truncate", "-s", "100M", src)
	sh(t, "truncate", "-s", "150M", dst)
	sh(t, "sgdisk", "-n", "1:2048:+40M", "-n", "2:0:+20M", src)
	sh(t, "mkfs.ext4", "-q", "-E", "offset=1048576", src, "40M")
	mnt := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := func(opts string) func() {
		sh(t, "mount", "-o", opts, src, mnt)
		return func() { sh(t, "umount", mnt) }
	}
	umount := mount("loop,offset=1048576,sizelimit=41943040")
	fails(t, 4, "is in use", "image", src, "--to", out)
	fails(t, 4, "lies on the disk", "image", src, "--to", mnt)
	sh(t, ingot, "image", src, "--to", out, "--type", "full", "--partitions", "2", "--name", "free")
	fails(t, 4, "in use", "restore", filepath.Join(out, "free-00-00.mrimgx"), src, "--yes")
	umount()
	umount = mount("loop,ro,offset=1048576,sizelimit=41943040")
	sh(t, ingot, "image", src, "--to", out, "--type", "full", "--name", "ro")
	umount()

	a, b := attach(t, src), attach(t, dst)
	text := sh(t, ingot, "image", a, "--to", out, "--type", "full", "--name", "dev", "--verify")
	if !strings.Contains(text, "copied whole") {
		t.Errorf("nothing is said of the ext4 partition: %s", text)
	}
	image := filepath.Join(out, "dev-00-00.mrimgx")
	sh(t, ingot, "restore", image, b, "--yes", "--check")
	if v := sh(t, "sgdisk", "-v", b); !strings.Contains(v, "No problems found") || strings.Contains(v, "invalid") {
		t.Errorf("sgdisk: %s", v)
	}
	sh(t, "sync")
	ext := attach(t, dst, "--offset=1048576", "--sizelimit=41943040")
	sh(t, "e2fsck", "-fn", ext)
	for _, part := range [][2]int64{{1048576, 40 << 20}, {1048576 + 40<<20, 20 << 20}} {
		if !bytes.Equal(read(t, src, part[0], part[1]), read(t, dst, part[0], part[1])) {
			t.Errorf("the partition at %d differs", part[0])
		}
	}
	if list := sh(t, ingot, "disks", a); !strings.Contains(list, "ext") || !strings.Contains(list, "loop") {
		t.Errorf("disks: %s", list)
	}
	// The image lies on a file system of the target.
	sh(t, "mount", ext, mnt)
	sh(t, "cp", image, mnt)
	fails(t, 4, "", "restore", filepath.Join(mnt, "dev-00-00.mrimgx"), dst, "--yes")
	sh(t, "umount", mnt)
}

// TestStaleCache writes to a partition of a disk whose cache holds what was
// there before: whole disk and partition have a page cache each.
func TestStaleCache(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "truncate", "-s", "100M", src)
	sh(t, "sgdisk", "-n", "1:2048:+60M", "-t", "1:0700", "-n", "2:0:0", src)
	dev := attach(t, src)
	sh(t, "partx", "--add", dev)
	t.Cleanup(func() { sh(t, "partx", "--delete", dev) })
	part := dev + "p1"
	sh(t, "mkfs.vfat", "-F", "32", part)
	hold, err := os.Open(dev + "p2") // as long as a partition is open, the disk's cache stays
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	sh(t, "dd", "if="+dev, "of=/dev/null", "bs=1M", "status=none")
	sh(t, ingot, "disks", dev)
	file := filepath.Join(dir, "photo")
	if err := os.WriteFile(file, bytes.Repeat([]byte("a photo of my cat "), 1_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	sh(t, "mcopy", "-i", part, file, "::photo") // stays in the cache of the partition

	sh(t, ingot, "image", dev, "--to", out, "--name", "new", "--partitions", "1", "--verify")
	restored := filepath.Join(dir, "restored.img")
	sh(t, ingot, "restore", filepath.Join(out, "new-00-00.mrimgx"), restored)
	sh(t, "mcopy", "-n", "-i", restored+"@@1048576", "::photo", filepath.Join(dir, "back"))
	sh(t, "cmp", file, filepath.Join(dir, "back"))

	// In place: the partition shows what was restored, not what it cached.
	sh(t, "mkfs.vfat", "-F", "32", part)
	keep, err := os.Open(part)
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	sh(t, ingot, "restore", filepath.Join(out, "new-00-00.mrimgx"), dev, "--partitions", "1", "--yes", "--check")
	sh(t, "mcopy", "-n", "-i", part, "::photo", filepath.Join(dir, "again"))
	sh(t, "cmp", file, filepath.Join(dir, "again"))
}

func read(t *testing.T, path string, off, n int64) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInterrupt stops a run in the middle: nothing may be left.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "truncate", "-s", "40G", src) // reads as zeros, for long enough
	cmd := exec.Command(ingot, "image", src, "--to", out, "--json")
	events, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	var seen []byte
	for !bytes.Contains(seen, []byte(`"progress"`)) {
		n, err := events.Read(buf)
		if err != nil {
			t.Fatalf("it ended before it was interrupted: %v\n%s", err, seen)
		}
		seen = append(seen, buf[:n]...)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = events.Read(buf)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if left, _ := os.ReadDir(out); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// demoImage is where the vendor's demo image can be found: see TestVendorImage.
const demoImage = "INGOT_DEMO_IMAGE"

// TestVendorImage restores an image that Reflect X made. It is not part of the
// project: INGOT_DEMO_IMAGE names 2394E9AA621DDC3A-00-00.mrimgx (or .zst) of
// the vendor's public repository macrium/mrimgx_file_layout; without it the
// test looks in ../shared/format/demo beside the project.
func TestVendorImage(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	image := filepath.Join(dir, "2394E9AA621DDC3A-00-00.mrimgx")
	path := os.Getenv(demoImage)
	if path == "" {
		path = "../../shared/format/demo/2394E9AA621DDC3A-00-00.mrimgx.zst"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the vendor's demo image is not here (%v); set %s", err, demoImage)
	}
	if strings.HasSuffix(path, ".zst") {
		sh(t, "zstd", "-dq", path, "-o", image)
	} else {
		sh(t, "cp", path, image)
	}
	if out := sh(t, ingot, "verify", image); !strings.Contains(out, "all 1608 blocks are good") {
		t.Errorf("verify: %s", out)
	}
	if out := sh(t, ingot, "show", image); !strings.Contains(out, "Demo") || !strings.Contains(out, "120 GiB") {
		t.Errorf("show: %s", out)
	}
	disk := filepath.Join(dir, "disk.img")
	sh(t, ingot, "restore", image, disk, "--check")
	if out := sh(t, "sgdisk", "-v", disk); !strings.Contains(out, "No problems found") || strings.Contains(out, "invalid") {
		t.Errorf("sgdisk: %s", out)
	}
	dev := attach(t, disk, "--read-only", "--offset=16777216", "--sizelimit=128830144512")
	mnt := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, "ntfs-3g", "-o", "ro", dev, mnt)
	const want = "ebdf95594834493e1b8fc7f0c0fd434532a892b0b9893b6cba061845238509a8"
	if out := sh(t, "sha256sum", filepath.Join(mnt, "readme.txt")); !strings.HasPrefix(out, want) {
		t.Errorf("readme.txt: %s", out)
	}
	sh(t, "umount", mnt)
	continueVendorSet(t, image, disk, mnt)
}

// continueVendorSet has Ingot go on with a set that Reflect X began: the disk
// changes twice and is imaged each time, then all points are restored, and
// rolled into a synthetic full.
func continueVendorSet(t *testing.T, image, disk, mnt string) {
	dir := filepath.Dir(image)
	edit := func(do func()) {
		dev := strings.TrimSpace(sh(t, "losetup", "--find", "--show", "--offset=16777216", "--sizelimit=128830144512", disk))
		defer sh(t, "losetup", "-d", dev)
		sh(t, "ntfs-3g", dev, mnt)
		defer sh(t, "umount", mnt)
		do()
	}
	edit(func() { sh(t, "cp", ingot, filepath.Join(mnt, "new file")) })
	text := sh(t, ingot, "image", disk, "--to", dir, "--partitions", "2")
	if !strings.Contains(text, "2394E9AA621DDC3A-01-01.mrimgx") || !strings.Contains(text, "MD5 decides") {
		t.Fatalf("the first incremental: %s", text)
	}
	first := filepath.Join(t.TempDir(), "first.img")
	sh(t, "cp", "--sparse=always", disk, first)
	edit(func() { sh(t, "rm", filepath.Join(mnt, "new file")) })
	text = sh(t, ingot, "image", disk, "--to", dir, "--partitions", "2", "--type", "inc")
	if !strings.Contains(text, "2394E9AA621DDC3A-02-02.mrimgx") {
		t.Fatalf("the second incremental: %s", text)
	}
	check := func(file, want string) {
		t.Helper()
		sh(t, ingot, "verify", filepath.Join(dir, file))
		back := filepath.Join(t.TempDir(), "back.img")
		sh(t, ingot, "restore", filepath.Join(dir, file), back)
		compareNTFS(t, back, want, mnt)
	}
	check("2394E9AA621DDC3A-01-01.mrimgx", first)
	check("2394E9AA621DDC3A-02-02.mrimgx", disk)
	sh(t, ingot, "consolidate", image, filepath.Join(dir, "2394E9AA621DDC3A-01-01.mrimgx"), "--yes")
	check("2394E9AA621DDC3A-01-01.mrimgx", first)
	check("2394E9AA621DDC3A-02-02.mrimgx", disk)
}

// compareNTFS compares all files of the NTFS volume of the demo disk in two
// disk files.
func compareNTFS(t *testing.T, a, b, mnt string) {
	t.Helper()
	var sums [2]string
	for i, disk := range []string{a, b} {
		dev := strings.TrimSpace(sh(t, "losetup", "--find", "--show", "--read-only", "--offset=16777216", "--sizelimit=128830144512", disk))
		sh(t, "ntfs-3g", "-o", "ro", dev, mnt)
		sums[i] = sh(t, "sh", "-c", "cd '"+mnt+"' && find . -type f -print0 | sort -z | xargs -0 sha256sum")
		sh(t, "umount", mnt)
		sh(t, "losetup", "-d", dev)
	}
	if sums[0] != sums[1] || sums[0] == "" {
		t.Errorf("the files of %s and %s differ", a, b)
	}
}
