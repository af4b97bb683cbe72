package test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// part is a partition of the disk of TestLinuxDisk: offset and length in MiB.
type part struct{ off, size int64 }

// options are those of mount and losetup for the partition.
func (p part) options() string {
	return fmt.Sprintf("offset=%d,sizelimit=%d", p.off<<20, p.size<<20)
}

func (p part) attach(t *testing.T, disk string) string {
	t.Helper()
	return attach(t, disk, fmt.Sprintf("--offset=%d", p.off<<20), fmt.Sprintf("--sizelimit=%d", p.size<<20))
}

// hashes are those of the files in a partition.
func (p part) hashes(t *testing.T, disk string) (out map[string]string) {
	t.Helper()
	volumetest.LoopMounted(t, disk, "ro,"+p.options(), func(dir string) { out = volumetest.Hashes(t, dir) })
	return out
}

// bitLockerHeader is the first sector of a BitLocker volume whose metadata
// block, at 64 KiB, has one protector: a recovery password with a known id.
func bitLockerHeader() []byte {
	b := make([]byte, 80<<10)
	le := binary.LittleEndian
	copy(b, "\xeb\x58\x90-FVE-FS-")
	copy(b[160:], "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01")
	le.PutUint64(b[176:], 64<<10)
	m := b[64<<10:]
	copy(m, "-FVE-FS-")
	le.PutUint32(m[64:], 48+36)
	e := m[64+48:]
	le.PutUint16(e, 36)
	le.PutUint16(e[2:], 2)
	le.PutUint16(e[4:], 8)
	copy(e[8:], "\x44\x33\x22\x11\x66\x55\x88\x77\x99\xaa\xbb\xcc\xdd\xee\xff\x00")
	le.PutUint16(e[8+26:], 0x0800)
	return b
}

func writeAt(t *testing.T, path string, b []byte, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLinuxDisk takes a disk with XFS, Btrfs, swap and BitLocker through the
// program, onto a disk full of other data, and files out of the image.
func TestLinuxDisk(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, dst, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img"), filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	xfs, btrfs, swap, locked := part{1, 320}, part{321, 200}, part{521, 32}, part{553, 4}
	sh(t, "truncate", "-s", "560M", src)
	sh(t, "sgdisk", "-n", "1:0:+320M", "-n", "2:0:+200M", "-n", "3:0:+32M", "-n", "4:0:+4M", "-t", "3:8200", "-t", "4:0700", src)
	sh(t, "mkfs.xfs", "-q", "-m", "rmapbt=1", xfs.attach(t, src))
	sh(t, "mkfs.btrfs", "-q", btrfs.attach(t, src))
	sh(t, "mkswap", "-U", "01234567-89ab-cdef-0123-456789abcdef", swap.attach(t, src))
	writeAt(t, src, bitLockerHeader(), locked.off<<20)
	for i, p := range []part{xfs, btrfs} {
		volumetest.LoopMounted(t, src, "rw,"+p.options(), func(dir string) { volumetest.Churn(t, dir, uint64(i), 20<<20) })
	}

	text := sh(t, ingot, "image", src, "--to", out, "--name", "linux", "--verify")
	const keep = "Keep the recovery key with id {11223344-5566-7788-99AA-BBCCDDEEFF00}"
	if strings.Count(text, "copied whole") != 1 || !strings.Contains(text, keep) {
		t.Errorf("image: %s", text)
	}
	image := filepath.Join(out, "linux-00-00.mrimgx")
	if text := sh(t, ingot, "show", image); !strings.Contains(text, keep) || !strings.Contains(text, "XFS") || !strings.Contains(text, "Btrfs") || !strings.Contains(text, "swap") {
		t.Errorf("show: %s", text)
	}
	if text := sh(t, ingot, "disks", src); !strings.Contains(text, keep) {
		t.Errorf("disks: %s", text)
	}
	if text := sh(t, ingot, "image", src, "--to", out, "--dry-run", "--exclude", "d1/**"); !strings.Contains(text, "Btrfs has checksums") || !strings.Contains(text, "5 files, 1.7 MB left out") {
		t.Errorf("image: %s", text)
	}
	hibernated := filepath.Join(dir, "hibernated.img")
	sh(t, "cp", "--sparse=always", src, hibernated)
	writeAt(t, hibernated, []byte("S1SUSPEND\x00"), swap.off<<20+4086)
	if text := sh(t, ingot, "image", hibernated, "--to", out, "--dry-run"); strings.Count(text, "copied whole") != 4 || strings.Count(text, "hibernated") < 3 {
		t.Errorf("image: %s", text)
	}
	sh(t, "sh", "-c", "yes 'other data' | head -c 587202560 >"+dst)
	sh(t, ingot, "restore", image, dst, "--yes", "--check")
	sh(t, "xfs_repair", "-n", xfs.attach(t, dst))
	sh(t, "btrfs", "check", "--check-data-csum", btrfs.attach(t, dst))
	if text := sh(t, "blkid", "-p", swap.attach(t, dst)); !strings.Contains(text, "01234567-89ab-cdef-0123-456789abcdef") {
		t.Errorf("swap: %s", text)
	}
	for i, p := range []part{xfs, btrfs} {
		copied := filepath.Join(dir, fmt.Sprint("copied", i))
		sh(t, ingot, "cp", fmt.Sprintf("%s:%d/", image, i+1), copied)
		want, got := p.hashes(t, src), p.hashes(t, dst)
		if read := volumetest.Hashes(t, copied); !maps.Equal(want, read) {
			t.Errorf("of the partition at %d MiB %d files of %d come out of the image, or others", p.off, len(read), len(want))
		}
		if len(want) < 20 || !maps.Equal(want, got) {
			t.Errorf("the partition at %d MiB has %d files of %d, or others", p.off, len(got), len(want))
		}
	}
}

// TestWholeDevice images a device without a table, as a logical volume is one.
func TestWholeDevice(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img")
	sh(t, "truncate", "-s", "320M", src)
	dev := attach(t, src)
	sh(t, "mkfs.xfs", "-q", "-L", "logical", dev)
	text := sh(t, ingot, "image", dev, "--to", dir, "--name", "lv")
	if strings.Contains(text, "whole:") {
		t.Errorf("image: %s", text)
	}
	sh(t, ingot, "restore", filepath.Join(dir, "lv-00-00.mrimgx"), dst, "--check")
	sh(t, "xfs_repair", "-n", attach(t, dst))
	if text := sh(t, ingot, "disks", dev); !strings.Contains(text, "logical") || !strings.Contains(text, "XFS") {
		t.Errorf("disks: %s", text)
	}
}
