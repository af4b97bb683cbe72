package test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestConvert takes a disk with file systems through the formats of virtual
// disks, has QEMU serve them, and looks at what comes out as the kernel and the
// checkers see it.
func TestConvert(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, sets := filepath.Join(dir, "src.img"), filepath.Join(dir, "sets")
	if err := os.Mkdir(sets, 0o700); err != nil {
		t.Fatal(err)
	}
	ext, xfs, ntfs := part{1, 150}, part{151, 310}, part{461, 80}
	sh(t, "truncate", "-s", "545M", src)
	sh(t, "sgdisk", "-n", "1:0:+150M", "-n", "2:0:+310M", "-n", "3:0:+80M", "-t", "3:0700", src)
	sh(t, "mke2fs", "-q", "-t", "ext4", ext.attach(t, src))
	sh(t, "mkfs.xfs", "-q", xfs.attach(t, src))
	sh(t, "mkntfs", "-q", "-f", "-F", ntfs.attach(t, src))
	want := map[part]map[string]string{}
	for i, p := range []part{ext, xfs} {
		volumetest.LoopMounted(t, src, "rw,"+p.options(), func(dir string) { volumetest.Churn(t, dir, uint64(i), 20<<20) })
		want[p] = p.hashes(t, src)
	}
	sh(t, ingot, "image", src, "--to", sets)
	for _, c := range []struct {
		from, name, qemu string
		args             []string
	}{
		{sets, "a.vhdx", "vhdx", nil}, {src, "b.qcow2", "qcow2", []string{"--compress"}}, {sets + "@newest", "c.vmdk", "vmdk", []string{"--compress"}},
		{src, "d.vhd", "vpc", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, flat := filepath.Join(dir, c.name), filepath.Join(t.TempDir(), "flat.raw")
			sh(t, ingot, append([]string{"convert", c.from, out, "--check"}, c.args...)...)
			sh(t, "nbdcopy", "--", "[", "qemu-nbd", "-r", "-f", c.qemu, out, "]", flat)
			if err := os.Truncate(flat, 545<<20); err != nil { // a VHD is as large as its geometry
				t.Fatal(err)
			}
			healthy(t, flat, ext, xfs, ntfs, want)
		})
	}
	t.Run("clone", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "dst.img")
		sh(t, "sh", "-c", "yes 'other data' | head -c 587202560 >"+dst)
		sh(t, ingot, "restore", filepath.Join(dir, "b.qcow2"), dst, "--yes", "--check")
		healthy(t, dst, ext, xfs, ntfs, want)
	})
	t.Run("import", func(t *testing.T) {
		sh(t, ingot, "convert", filepath.Join(dir, "a.vhdx"), filepath.Join(dir, "made.mrimgx"), "--check")
		dst := filepath.Join(t.TempDir(), "dst.img")
		sh(t, ingot, "restore", filepath.Join(dir, "made-00-00.mrimgx"), dst)
		healthy(t, dst, ext, xfs, ntfs, want)
	})
	sh(t, ingot, "convert", attach(t, src), filepath.Join(dir, "dev.qcow2"), "--check")
	sh(t, "qemu-img", "check", filepath.Join(dir, "dev.qcow2"))
	volumetest.LoopMounted(t, src, "rw,"+ext.options(), func(string) {
		fails(t, 4, "--allow-mounted", "convert", src, filepath.Join(dir, "mounted.qcow2"))
	})
}

// healthy checks the file systems of a disk and compares their files.
func healthy(t *testing.T, disk string, ext, xfs, ntfs part, want map[part]map[string]string) {
	t.Helper()
	sh(t, "sgdisk", "-v", disk)
	sh(t, "e2fsck", "-fn", ext.attach(t, disk))
	sh(t, "xfs_repair", "-n", xfs.attach(t, disk))
	sh(t, "ntfsfix", "-n", ntfs.attach(t, disk))
	for p, files := range want {
		if got := p.hashes(t, disk); len(files) < 20 || !maps.Equal(files, got) {
			t.Errorf("the partition at %d MiB has %d files of %d, or others", p.off, len(got), len(files))
		}
	}
}
