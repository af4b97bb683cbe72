package disk

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mem is a disk in memory.
type mem []byte

func (m mem) Size() int64 { return int64(len(m)) }

func (m mem) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

// tool runs a program of a Debian package and returns its output. A missing
// program fails the test.
func tool(t testing.TB, pkg, stdin string, name string, args ...string) string {
	t.Helper()
	out, err := try(t, pkg, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(t testing.TB, pkg, stdin string, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is missing: install the Debian package %s", name, pkg)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// blank is the path of a sparse file of size bytes.
func blank(t testing.TB, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

// attach makes path a loop device with sectors of ss bytes.
func attach(t testing.TB, path string, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes loop devices: run it as root")
	}
	dev := strings.TrimSpace(tool(t, "mount", "", "losetup", append(args, "-f", "--show", path)...))
	t.Cleanup(func() { tool(t, "mount", "", "losetup", "-d", dev) })
	return dev
}

// gptDisk makes a Windows-like GPT disk and returns its path; more are options
// of sgdisk. One call makes it all, as sgdisk sleeps for a second after each.
func gptDisk(t testing.TB, size int64, more ...string) string {
	t.Helper()
	path := blank(t, size)
	args := []string{"-a", "8", "-n", "1:2048:+4M", "-t", "1:ef00", "-c", "1:EFI system partition",
		"-n", "2:0:+1M", "-t", "2:0c01", "-c", "2:Microsoft réservé", "-n", "4:0:+20M", "-t", "4:0700", "-n", "3:0:+2M", "-t", "3:2700",
		"-A", "3:set:0", "-A", "3:set:63", "-n", "7:0:+10M", "-t", "7:8300"}
	tool(t, "gdisk", "", "sgdisk", append(append(args, more...), path)...)
	return path
}

// mbrDisk makes an MBR disk with two primary and three logical partitions.
func mbrDisk(t testing.TB, size int64) string {
	t.Helper()
	path := blank(t, size)
	script := "label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=8192, type=7, bootable\nstart=10240, size=4096, type=27\n" +
		"start=16384, type=f\nstart=18432, size=4096, type=c\nstart=24576, size=8192, type=83\nstart=40960, size=2048, type=82\n"
	tool(t, "fdisk", script, "sfdisk", "-q", path)
	return path
}

// load reads a small file whole.
func load(t testing.TB, path string) mem {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parseFile is Parse of a file, which must work.
func parseFile(t testing.TB, path string, ss int64) *Layout {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := Parse(f, ss)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// apply writes ws to the file or device at path.
func apply(t testing.TB, path string, ws []Write) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, w := range ws {
		if _, err := f.WriteAt(w.Data, w.Off); err != nil {
			t.Fatal(err)
		}
	}
}

// garbage is the path of a file of size bytes, none of them zero at its ends.
func garbage(t testing.TB, size int64) string {
	t.Helper()
	path := blank(t, size)
	junk := bytes.Repeat([]byte{0xA7}, int(min(2<<20, size)))
	apply(t, path, []Write{{0, junk}, {size - int64(len(junk)), junk}})
	return path
}

// sfdiskTable is what sfdisk says of a disk.
type sfdiskTable struct {
	Label, ID              string
	FirstLBA, LastLBA      int64
	SectorSize, Partitions json.RawMessage
	list                   []sfdiskPartition
}

type sfdiskPartition struct {
	Node, Type, UUID, Name string
	Start, Size            int64
	Bootable               bool
}

func sfdiskSays(t testing.TB, path string) sfdiskTable {
	t.Helper()
	var out struct{ PartitionTable sfdiskTable }
	if err := json.Unmarshal([]byte(tool(t, "fdisk", "", "sfdisk", "-J", path)), &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.PartitionTable.Partitions, &out.PartitionTable.list); err != nil {
		t.Fatal(err)
	}
	return out.PartitionTable
}

// clean fails unless sgdisk finds nothing wrong with the GPT of path.
func clean(t testing.TB, path string) {
	t.Helper()
	out := tool(t, "gdisk", "", "sgdisk", "-v", path)
	if !strings.Contains(out, "No problems found") || strings.Contains(out, "Creating new GPT") {
		t.Fatalf("sgdisk -v %s:\n%s", path, out)
	}
}

// readAll reads n bytes at off of a file.
func readAll(t testing.TB, path string, off, n int64) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, off, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
