package filesys

import (
	"io/fs"
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
