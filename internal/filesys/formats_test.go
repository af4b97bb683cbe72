package filesys

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// blkid is what util-linux says of a volume: TYPE, UUID, LABEL and others.
func blkid(t testing.TB, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(volumetest.RunTool(t, "util-linux", "blkid", "-p", "-o", "export", path)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		out[name] = strings.ReplaceAll(value, `\ `, " ")
	}
	return out
}

// sameAsBlkid compares label and serial with those that blkid finds.
func sameAsBlkid(t testing.TB, path string, i Info) {
	t.Helper()
	if want := blkid(t, path); i.Serial != want["UUID"] || i.Label != want["LABEL"] {
		t.Errorf("serial %q, label %q; blkid says %v", i.Serial, i.Label, want)
	}
}

func TestXFSAndBtrfs(t *testing.T) {
	for _, c := range []struct {
		name, pkg, tool string
		size            int64
		args            []string
	}{
		{"XFS", "xfsprogs", "mkfs.xfs", 320 << 20, []string{"-q", "-L", "Cast Iron"}},
		{"Btrfs", "btrfs-progs", "mkfs.btrfs", 128 << 20, []string{"-q", "-L", "Cast Iron"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := volumetest.Make(t, c.size, c.pkg, c.tool, c.args...)
			d := volumetest.Load(t, path)
			v := opened(t, d)
			i := v.Info()
			if i.Type != c.name || i.WholeReason != "" || i.UsedBytes > c.size/2 || i.TotalClusters == 0 || i.FreeClusters == 0 {
				t.Errorf("%+v", i)
			}
			sameAsBlkid(t, path, i)
			if has, err := v.Contains("/etc"); has || err != nil || v.Files() == nil {
				t.Errorf("Contains = %v, %v", has, err)
			}
			copy(d[4086:], "SWAPSPACE2")
			if i := opened(t, d).Info(); !strings.Contains(i.WholeReason, "marks of both "+c.name+" and swap") {
				t.Errorf("%+v", i)
			}
		})
	}
	d := make(disk, 1<<20)
	copy(d, "XFSB")
	if i := opened(t, d).Info(); i.Type != "XFS" || i.WholeReason == "" {
		t.Errorf("%+v", i)
	}
	copy(d[65536+64:], "_BHRfS_M")
	clear(d[:4])
	if i := opened(t, d).Info(); i.Type != "Btrfs" || !strings.Contains(i.WholeReason, "checksum") {
		t.Errorf("%+v", i)
	}
}

func TestSwap(t *testing.T) {
	for _, page := range []string{"4096", "8192", "65536"} {
		path := volumetest.Make(t, 4<<20+512, "util-linux", "mkswap", "-L", "Cast Iron", "-p", page)
		d := volumetest.Load(t, path)
		v := opened(t, d)
		i := v.Info()
		if i.Type != "swap" || i.WholeReason != "" || len(i.Warnings) > 0 || i.UsedBytes > 65536+4096 {
			t.Errorf("%+v", i)
		}
		sameAsBlkid(t, path, i)
		copied := volumetest.CastOver(t, v.Used(), i.UsedBytes, d)
		if got := blkid(t, copied.Save(t)); got["TYPE"] != "swap" || got["UUID"] != i.Serial || !bytes.Equal(copied[4<<20:], d[4<<20:]) {
			t.Errorf("%v", got)
		}
	}
}

// TestSwapToBeKept has swap areas of which more than the header matters, or of
// which it is not known.
func TestSwapToBeKept(t *testing.T) {
	sound := made(t, 1<<20, "util-linux", "mkswap", "-p", "4096", "-L", "Cast Iron")
	for _, c := range []struct {
		want string
		off  int64
		put  string
	}{
		{"hibernated", 4086, "S1SUSPEND\x00"},
		{"hibernated", 4086, "LINHIB0001"},
		{"version 1", 4086, "SWAP-SPACE"},
		{"version at offset", 1024, "\x02"},
		{"pages of", 1030, "\x02"},
		{"pages of", 1028, "\x00\x00\x00\x00"},
	} {
		d := disk(bytes.Clone(sound))
		copy(d[c.off:], c.put)
		i := opened(t, d).Info()
		switch {
		case i.Type != "swap" || !strings.Contains(i.WholeReason, c.want) || i.Suspended != (c.want == "hibernated"):
			t.Errorf("%s: %+v", c.want, i)
		case c.want == "hibernated" && (len(i.Warnings) != 1 || i.Label != "Cast Iron"):
			t.Errorf("%+v", i)
		}
	}
	d := disk(bytes.Clone(sound))
	d[1032] = 1
	if i := opened(t, d).Info(); len(i.Warnings) != 1 || i.WholeReason != "" {
		t.Errorf("%+v", i)
	}
}

// TestContainers compares what is said of containers with what blkid says.
func TestContainers(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a long enough key"), 0o600); err != nil {
		t.Fatal(err)
	}
	luks := []string{"luksFormat", "-q", "--pbkdf-force-iterations", "1000", "--key-file", key}
	for _, c := range []struct {
		name, pkg, tool string
		args            []string
	}{
		{"LUKS1", "cryptsetup-bin", "cryptsetup", append(luks, "--type", "luks1")},
		{"LUKS2", "cryptsetup-bin", "cryptsetup", append(luks, "--type", "luks2", "--pbkdf", "pbkdf2", "--label", "Cast Iron")},
		{"F2FS", "f2fs-tools", "mkfs.f2fs", []string{"-q", "-l", "Cast Iron"}},
	} {
		path := volumetest.Make(t, 64<<20, c.pkg, c.tool, c.args...)
		i := opened(t, volumetest.Load(t, path)).Info()
		if i.Type != c.name || !strings.Contains(i.WholeReason, c.name) || i.Serial == "" {
			t.Errorf("%+v", i)
		}
		sameAsBlkid(t, path, i)
	}
}

// TestLVM makes a physical volume on a loop device, first without and then in
// a volume group.
func TestLVM(t *testing.T) {
	path := volumetest.Make(t, 20<<20, "coreutils", "true")
	dev := strings.TrimSpace(volumetest.RunTool(t, "mount", "losetup", "-f", "--show", path))
	t.Cleanup(func() { volumetest.RunTool(t, "mount", "losetup", "-d", dev) })
	const only = `devices{use_devicesfile=0 scan_lvs=0}`
	for _, step := range []struct {
		group string
		args  []string
	}{
		{"", []string{"pvcreate", "--config", only, "-y", "-q", dev}},
		{"ingot-test", []string{"vgcreate", "--config", only, "-q", "ingot-test", dev}},
	} {
		volumetest.RunTool(t, "lvm2", "lvm", step.args...)
		volumetest.RunTool(t, "coreutils", "sync", path)
		i := opened(t, volumetest.Load(t, path)).Info()
		if i.Type != "LVM2" || i.Serial != blkid(t, path)["UUID"] || i.Serial == "" || i.Label != step.group {
			t.Errorf("%+v", i)
		}
	}
}

// TestArrayMembers writes the headers of md members by hand, as no kernel here
// makes any (Linux include/uapi/linux/raid/md_p.h).
func TestArrayMembers(t *testing.T) {
	const size = 3<<20 + 5*512
	id := "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
	v1 := "\xfc\x4e\x2b\xa9\x01\x00\x00\x00" + strings.Repeat("\x00", 8) + id + "host:data\x00"
	for _, off := range []int64{0, 4096, 3<<20 - 8192} {
		d := make(disk, size)
		copy(d[off:], v1)
		if i := opened(t, d).Info(); i.Type != "md" || i.Serial != "01234567-89ab-cdef-0123-456789abcdef" || i.Label != "host:data" {
			t.Errorf("at %d: %+v", off, i)
		}
	}
	d := make(disk, size)
	at := int64(3<<20 - 65536)
	copy(d[at:], "\xfc\x4e\x2b\xa9\x00\x00\x00\x00")
	copy(d[at+20:], id[:4])
	copy(d[at+52:], id[4:])
	if i := opened(t, d).Info(); i.Type != "md" || i.Serial != "01234567-89ab-cdef-0123-456789abcdef" {
		t.Errorf("%+v", i)
	}
}

// FuzzOpen gives bytes as the start of a partition, of which the length is in
// the first ones.
func FuzzOpen(f *testing.F) {
	f.Add(append(make([]byte, 1024), "LABELONE"...))
	f.Add([]byte(bitLockerVolume(160)[:70000]))
	f.Add([]byte(made(f, 1<<20, "util-linux", "mkswap")[:8192]))
	f.Add([]byte("LUKS\xba\xbe\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) { opened(t, disk(b)) })
}
