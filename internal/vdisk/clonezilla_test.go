package vdisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/vdisk/partclone"
	"ingot/internal/vdisk/vdisktest"
)

// clonezillaDisk makes a disk with file systems and what Clonezilla keeps of it,
// by the commands that Clonezilla runs. It returns the disk's file, the folder,
// and the partitions.
func clonezillaDisk(t *testing.T, size int64, table, name string, packers ...string) (string, string, *disk.Layout) {
	t.Helper()
	dir := t.TempDir()
	src, out := filepath.Join(dir, "disk"), filepath.Join(dir, "2026-11-25-img")
	if err := errors.Join(os.Mkdir(out, 0o700), os.WriteFile(src, bytes.Repeat([]byte{0xA7}, 1<<20), 0o600), os.Truncate(src, size)); err != nil {
		t.Fatal(err)
	}
	sh := func(format string, args ...any) string {
		t.Helper()
		return vdisktest.Tool(t, "fdisk, parted, partclone, zstd, dosfstools, e2fsprogs, ntfs-3g", "sh", "-ec", "PATH=$PATH:/sbin:/usr/sbin; cd "+out+"; "+fmt.Sprintf(format, args...))
	}
	sh("printf '%s' | sfdisk -q %s", table, src)
	f, err := disk.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := disk.Parse(f, 512)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for i, p := range l.Partitions {
		part := (&clonezilla{name: name}).part(p.Number)
		parts = append(parts, part)
		vol := filepath.Join(dir, part)
		sh("dd if=/dev/zero of=%s bs=1M count=0 seek=%d status=none", vol, p.Len>>20)
		kind := []string{"ext4", "fat32", "ntfs", "swap", "dd"}[i]
		switch kind {
		case "ext4":
			sh("mke2fs -q -t ext4 -d /usr/share/common-licenses %s", vol)
		case "fat32":
			sh("mkfs.vfat -F 32 -s 1 %s >/dev/null", vol)
		case "ntfs":
			sh("mkntfs -q -f -F %s >/dev/null", vol)
		case "swap":
			sh("mkswap -U 01234567-89ab-cdef-0123-456789abcdef -L paging %s >/dev/null", vol)
			sh("echo UUID='\"01234567-89ab-cdef-0123-456789abcdef\"' >swappt-%s.info; echo LABEL='\"paging\"' >>swappt-%[1]s.info", part)
		case "dd":
			sh("head -c %d /dev/urandom >%s", p.Len, vol)
		}
		if args := map[string]string{"ext4": "-c", "fat32": "-c", "ntfs": "-c", "dd": ""}; kind != "swap" {
			pack := packers[i%len(packers)] // zstd, gzip
			sh("partclone.%s %s -q -L %s/log -s %s -O %[4]s.img && %[5]s -c -1 <%[4]s.img | split -a 2 -b 300k - %[6]s.%[1]s-ptcl-img.%[7]s.",
				kind, args[kind], dir, vol, pack, part, strings.TrimSuffix(strings.Replace(pack, "zstd", "zst", 1), "ip"))
		}
		sh("dd if=%s of=%s bs=1M seek=%d conv=notrunc status=none", vol, src, p.Off>>20)
	}
	sh("echo %s >disk; echo %s >parts; touch clonezilla-img", name, strings.Join(parts, " "))
	sh("dd if=%s of=%s-mbr bs=512 count=1 status=none", src, name)
	sh("dd if=%s of=%s-hidden-data-after-mbr skip=1 bs=512 count=2047 status=none", src, name)
	sh("sfdisk -d %s 2>/dev/null | sed 's|^%[1]s|/dev/%[3]s|' >%[2]s-pt.sf", src, name, strings.TrimSuffix((&clonezilla{name: name}).part(0), "0"))
	sh("LC_ALL=C parted -s %s unit s print | sed 's|%[1]s|/dev/%[2]s|' >%[2]s-pt.parted", src, name)
	if l.Scheme == disk.SchemeGPT {
		sh("dd if=%s of=%s-gpt-1st bs=512 count=34 status=none", src, name)
	}
	return src, out, l
}

// TestClonezilla opens folders as Clonezilla makes them: the disk has the table,
// and the partitions have all that their file systems use.
func TestClonezilla(t *testing.T) {
	gpt := "label: gpt\\nstart=2048, size=20M\\nsize=40M, type=uefi\\nsize=20M\\nsize=4M, type=swap\\nsize=2M\\n"
	mbr := "label: dos\\nstart=2048, size=40960, type=83, bootable\\nstart=43008, size=81920, type=c\\nstart=124928, size=160000, type=f\\n" +
		"start=126976, size=40960, type=7\\nstart=169984, size=8192, type=82\\nstart=180224, size=4096, type=83\\n"
	for _, c := range []struct{ name, table string }{{"sda", gpt}, {"nvme0n1", mbr}} {
		t.Run(c.name, func(t *testing.T) {
			src, dir, l := clonezillaDisk(t, 160<<20, c.table, c.name, "zstd", "gzip")
			d, err := OpenClonezilla(t.Context(), dir, 1, Options{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			sameClonezilla(t, d, src, l)
		})
	}
}

// sameClonezilla compares the disk that was opened with that it was made of.
func sameClonezilla(t *testing.T, d *Disk, src string, l *disk.Layout) {
	t.Helper()
	got, err := disk.Parse(d, 512)
	if err != nil {
		t.Fatal(err)
	}
	for _, parts := range [][]disk.Partition{got.Partitions, l.Partitions} {
		for i := range parts {
			if parts[i].Logical { // its old addresses are not told
				clear(parts[i].Entry[1:4])
				clear(parts[i].Entry[5:8])
			}
		}
	}
	if got.Scheme != l.Scheme || got.ID != l.ID || len(got.Warnings) > 0 || fmt.Sprint(got.Partitions) != fmt.Sprint(l.Partitions) {
		t.Fatalf("the table is\n%v\nnot\n%v\n%v", got.Partitions, l.Partitions, got.Warnings)
	}
	if !bytes.Equal(got.Track0, l.Track0) {
		t.Error("what lies before the first partition is not the same")
	}
	b, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for e, err := range d.Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, e.Len)
		if _, err := d.ReadAt(p, e.Off); err != nil {
			t.Fatal(err)
		}
		n += e.Len
		if l.Scheme == disk.SchemeMBR { // the chain is not where it was
			for _, r := range append(l.EBRs, got.EBRs...) {
				if r.Off >= e.Off && r.Off < e.End() {
					copy(p[r.Off-e.Off:], b[r.Off:r.Off+512])
				}
			}
		}
		if !bytes.Equal(p, b[e.Off:e.End()]) {
			t.Errorf("bytes %v are not those of the disk", e)
		}
	}
	if n < 5<<20 || n > 80<<20 {
		t.Errorf("%d bytes are in use", n)
	}
	for i, check := range [][]string{{"e2fsck", "-fn"}, {"fsck.vfat", "-n"}, {"ntfsfix", "-n"}, {"swaplabel"}} {
		p := got.Partitions[i]
		vol := make(vdisktest.Disk, p.Len)
		if _, err := d.ReadAt(vol, p.Off); err != nil {
			t.Fatal(err)
		}
		out := vdisktest.Tool(t, "e2fsprogs, dosfstools, ntfs-3g or util-linux", "sh", "-c", "PATH=$PATH:/sbin:/usr/sbin; "+strings.Join(check, " ")+" "+vol.Save(t))
		if check[0] == "swaplabel" && (!strings.Contains(out, "01234567-89ab-cdef-0123-456789abcdef") || !strings.Contains(out, "paging")) {
			t.Errorf("swap: %s", out)
		}
	}
}

// TestClonezillaLacksSomething takes files away from a folder.
func TestClonezillaLacksSomething(t *testing.T) {
	table := "label: gpt\\nstart=2048, size=8M\\n"
	_, dir, _ := clonezillaDisk(t, 16<<20, table, "sdb", "gzip")
	open := func() error {
		d, err := OpenClonezilla(context.Background(), dir, 1, Options{})
		if err == nil {
			d.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	first, err := filepath.Glob(filepath.Join(dir, "sdb1.*"))
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	one, err := Open(context.Background(), first[0], Options{})
	if err != nil || one.Format != Partclone || one.Size() != 8<<20 {
		t.Fatal(one, err)
	}
	if n, err := block.Bytes(one.Used()); err != nil || n < 100<<10 || n > 8<<20 {
		t.Errorf("the image of one partition has %d bytes in use (%v)", n, err)
	}
	one.Close()
	b, err := os.ReadFile(first[0])
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := filepath.Base(strings.TrimSuffix(first[0], "aa"))
	for _, c := range []struct {
		name   string
		change func()
		saying string
	}{
		{"cut short", func() { put(base+"aa", b[:len(b)/2]) }, "damaged"},
		{"in two", func() { put(base+"ab", b[len(b)/2:]) }, ""},
		{"a piece lacks", func() { put(base+"ad", b) }, "ab is missing|ac is missing"},
		{"another program", func() {
			os.Rename(filepath.Join(dir, base+"aa"), filepath.Join(dir, "sdb1.ntfs-img.gz.aa"))
			os.Remove(filepath.Join(dir, base+"ab"))
			os.Remove(filepath.Join(dir, base+"ad"))
		}, "not made by partclone"},
		{"no image", func() { os.Remove(filepath.Join(dir, "sdb1.ntfs-img.gz.aa")) }, "no image of sdb1"},
		{"a name that leads away", func() { put("disk", []byte("../sdb")) }, "name of a disk"},
		{"no disk", func() { os.Remove(filepath.Join(dir, "disk")) }, "saveparts"},
	} {
		c.change()
		err := open()
		ok := false
		for _, s := range strings.Split(c.saying, "|") {
			ok = ok || c.saying != "" && err != nil && strings.Contains(err.Error(), s)
		}
		if !ok && (c.saying != "" || err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Open(context.Background(), filepath.Join(dir, "parts"), Options{}); err != nil && errors.Is(err, partclone.ErrCorrupt) {
		t.Error(err)
	}
}
