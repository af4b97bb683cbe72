package filesys

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

func TestExt(t *testing.T) {
	for kind, args := range map[string][]string{"ext2": {"-b", "1024"}, "ext3": nil, "ext4": nil} {
		t.Run(kind, func(t *testing.T) {
			make := func() disk {
				return made(t, 24<<20, "e2fsprogs", "mke2fs", append(args, "-q", "-F", "-t", kind, "-L", "root", "-U", "3326e100-aefc-49df-8cca-76860233b6c7")...)
			}
			v := opened(t, make())
			i := v.Info()
			if i.Type != kind || i.Label != "root" || i.Serial != "3326e100-aefc-49df-8cca-76860233b6c7" || i.WholeReason != "" || i.UsedBytes > i.Size/2 || i.FreeClusters == 0 {
				t.Errorf("%+v", i)
			}
			if has, err := v.Contains(`\lost+found`); !has || err != nil {
				t.Errorf("Contains = %v, %v", has, err)
			}
			list, err := fs.ReadDir(v.Files(), ".")
			if err != nil || len(list) != 1 || Whole(v).Files() == nil {
				t.Errorf("%v, %v", list, err)
			}
			if kind == "ext2" {
				return
			}
			// The marks of something else in the same place, and no mark at all.
			for _, c := range []struct {
				name string
				off  int
				mark string
			}{{"swap", 65526, "SWAPSPACE2"}, {"NTFS", 3, "NTFS    "}, {"LVM2", 512, lvm2}, {"Btrfs", 65600, "_BHRfS_M"}} {
				d := make()
				copy(d[c.off:], c.mark)
				if i := opened(t, d).Info(); i.WholeReason == "" || i.Type != kind && i.Type != c.name {
					t.Errorf("%+v", i)
				}
			}
		})
	}
}

const lvm2 = "LABELONE\x01\x00\x00\x00\x00\x00\x00\x00\x12\x34\x56\x78\x20\x00\x00\x00LVM2 001"

// TestExtOdd opens what goes by the name of ext and has no map.
func TestExtOdd(t *testing.T) {
	clean := volumetest.Load(t, volumetest.Make(t, 8<<20, "e2fsprogs", "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum"))
	for what, c := range map[string]struct {
		change func(d disk)
		kind   string
		files  bool
	}{
		"block size":            {func(d disk) { d[1024+0x18] = 50 }, "ext", false},
		"incompatible features": {func(d disk) { d[1024+0x63] = 0x80 }, "ext4", false},
		"free blocks":           {func(d disk) { d[1024+0xc] ^= 1 }, "ext4", true},
	} {
		d := slices.Clone(clean)
		c.change(d)
		v := opened(t, d)
		if i := v.Info(); i.Type != c.kind || !strings.Contains(i.WholeReason, what) || (v.Files() != nil) != c.files {
			t.Errorf("%+v", i)
		}
	}
	d := slices.Clone(clean) // a boot loader that looks like FAT's
	copy(d, "\xeb\x58\x90SYSLINUX\x00\x02")
	copy(d[510:], "\x55\xaa")
	if i := opened(t, d).Info(); i.Type != "ext4" || i.WholeReason != "" {
		t.Errorf("%+v", i)
	}
}

// TestExcludeExt leaves files out of volumes: what shares blocks with something
// kept, or would be no file any more, stays.
func TestExcludeExt(t *testing.T) {
	dir := t.TempDir()
	gone := bytes.Repeat([]byte("gone"), 20000)
	for name, b := range map[string][]byte{"tmp/gone": gone, "tmp/secret": gone, "tmp/wild": gone, "keep": gone, "linked": gone} {
		volumetest.Write(t, dir, name, b)
	}
	if err := os.Link(filepath.Join(dir, "linked"), filepath.Join(dir, "tmp/linked")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-t", "ext2", "-b", "1024"}, {"-t", "ext4", "-O", "bigalloc,encrypt", "-b", "1024"}} {
		path := volumetest.Make(t, 8<<20, "e2fsprogs", "mke2fs", append(args, "-q", "-F", "-d", dir)...)
		var flags uint32 = 0x800
		if args[1] == "ext4" {
			flags |= 0x80000 // extents
		}
		for _, c := range []string{fmt.Sprintf("sif /tmp/secret flags %#x", flags), "sif /tmp/wild block[0] 100"} {
			if args[1] == "ext2" || strings.Contains(c, "flags") { // block 100 is one of the inode table
				volumetest.RunTool(t, "e2fsprogs", "debugfs", "-w", "-R", c, path)
			}
		}
		d := volumetest.Load(t, path)
		clean := opened(t, d)
		v, x, err := Exclude(clean, []string{"tmp/**"})
		if err != nil || x.Reason != "" || x.Files != 2 || x.Kept != 2 {
			t.Fatalf("%+v, %v", x, err)
		}
		cast := volumetest.CastOver(t, v.Used(), v.Info().UsedBytes, d)
		for _, e := range v.Zeroed() {
			clear(cast[e.Off:e.End()])
		}
		left := opened(t, cast)
		for name, want := range map[string]bool{"tmp/gone": false, "tmp/linked": true, "keep": true, "linked": true} {
			if got := fileBytes(t, left, name); bytes.Equal(got, gone) != want || len(got) != len(gone) || !want && len(bytes.Trim(got, "\x00")) > 0 {
				t.Errorf("%s of %v: %d bytes", name, args, len(got))
			}
		}
		for _, name := range []string{"tmp/secret", "keep"} {
			for _, e := range extentsOf(t, clean, name) {
				if !bytes.Equal(d[e.Off:e.End()], cast[e.Off:e.End()]) {
					t.Errorf("%s of %v has changed", name, args)
				}
			}
		}
		if !bytes.Equal(d[100*1024:101*1024], cast[100*1024:101*1024]) {
			t.Errorf("a block of the inode table of %v has changed", args)
		}
		if args[1] == "ext4" {
			path := cast.Save(t) // e2fsck misses the key
			volumetest.RunTool(t, "e2fsprogs", "debugfs", "-w", "-R", "sif /tmp/secret flags 0x80000", path)
			volumetest.RunTool(t, "e2fsprogs", "e2fsck", "-fn", path)
		}
	}
}
