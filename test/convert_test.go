package test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		// The kernel lets go of what was mounted before a little later.
		for range 100 {
			if sh(t, "losetup", "-j", src) == "" {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
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
	// The kernel lets go of what was mounted before a little later.
	for range 100 {
		if sh(t, "losetup", "-j", src) == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	volumetest.LoopMounted(t, src, "rw,"+ext.options(), func(string) {
		fails(t, 4, "--allow-mounted", "convert", src, filepath.Join(dir, "mounted.qcow2"))
	})
	sh(t, ingot, "convert", attach(t, src), filepath.Join(dir, "dev.qcow2"), "--check")
	sh(t, "qemu-img", "check", filepath.Join(dir, "dev.qcow2"))
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

// TestClonezillaFolder takes a folder as Clonezilla makes it through the program.
func TestClonezillaFolder(t *testing.T) {
	dir := t.TempDir()
	sh(t, "sh", "-ec", "PATH=$PATH:/sbin:/usr/sbin; cd "+dir+`; mkdir img out; truncate -s 64M d
printf 'label: gpt\nstart=2048, size=40M\nsize=16M, type=swap\n' | sfdisk -q d
truncate -s 40M p1; mke2fs -q -t ext4 -d /usr/share/common-licenses p1
partclone.ext4 -c -q -L log -s p1 -O p1.img
gzip -c p1.img | split -a 2 -b 60k - img/sda1.ext4-ptcl-img.gz.
echo sda >img/disk; echo sda1 sda2 >img/parts
printf 'UUID="01234567-89ab-cdef-0123-456789abcdef"\n' >img/swappt-sda2.info
dd if=d of=img/sda-mbr bs=512 count=1 status=none
dd if=d of=img/sda-gpt-1st bs=512 count=34 status=none
parted -s d unit s print | sed "s|$PWD/d|/dev/sda|" >img/sda-pt.parted`)
	img, disk := filepath.Join(dir, "img"), filepath.Join(dir, "disk.img")
	if text := sh(t, ingot, "disks", img); !strings.Contains(text, "clonezilla") || !strings.Contains(text, "ext4") || !strings.Contains(text, "swap") {
		t.Errorf("disks: %s", text)
	}
	sh(t, ingot, "convert", img, filepath.Join(dir, "c.qcow2"), "--check", "--temp-dir", dir)
	sh(t, ingot, "image", img, "--to", filepath.Join(dir, "out"), "--name", "cz", "--verify")
	sh(t, ingot, "restore", filepath.Join(dir, "out", "cz-00-00.mrimgx"), disk)
	sh(t, "qemu-img", "compare", filepath.Join(dir, "c.qcow2"), disk)
	sh(t, "sgdisk", "-v", disk)
	sh(t, ingot, "convert", filepath.Join(img, "sda1.ext4-ptcl-img.gz.aa"), filepath.Join(dir, "one.raw"))
	sh(t, "e2fsck", "-fn", filepath.Join(dir, "one.raw"))
	sh(t, "sh", "-c", "cd "+img+"; rm $(ls sda1.* | tail -n 1)")
	fails(t, 3, "damaged", "disks", img)
}
