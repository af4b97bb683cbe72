package filesys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// made is a sparse file of size bytes on which a tool made something.
func made(t testing.TB, size int64, pkg, tool string, args ...string) disk {
	t.Helper()
	return volumetest.Load(t, volumetest.Make(t, size, pkg, tool, args...))
}

// disk is a volume in memory.
type disk = volumetest.Disk

// opened opens a volume and checks what holds for all: the map's bytes are
// those of Info, and only a proven one is less than everything.
func opened(t testing.TB, r block.Reader) Volume {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	info := v.Info()
	used, err := block.Bytes(v.Used())
	if err != nil || used != info.UsedBytes || info.Size != r.Size() {
		t.Errorf("the map holds %d bytes, %v; %+v", used, err, info)
	}
	if info.Type == "" || info.WholeReason != "" && used != r.Size() || info.DataStart > r.Size() {
		t.Errorf("%+v", info)
	}
	all, err := block.Bytes(Whole(v).Used())
	if err != nil || all != r.Size() || Whole(v).Info().UsedBytes != all || Whole(v).Info().Type != info.Type {
		t.Errorf("Whole holds %d bytes of %d, %v", all, r.Size(), err)
	}
	return v
}

func TestRead(t *testing.T) {
	ntfs := func(t *testing.T) disk {
		return made(t, 8<<20, "ntfs-3g", "mkntfs", "-F", "-q", "-L", "Win dows")
	}
	fat := func(t *testing.T) disk {
		return made(t, 16<<20, "dosfstools", "mkfs.vfat", "-F", "16", "-n", "ESP")
	}
	exfat := func(t *testing.T) disk { return made(t, 16<<20, "exfatprogs", "mkfs.exfat", "-L", "Straße") }
	for name, c := range map[string]struct {
		make  func(t *testing.T) disk
		check func(i Info) bool
		has   string
	}{
		"NTFS": {ntfs, func(i Info) bool {
			return i.Type == "NTFS" && i.Label == "Win dows" && len(i.Serial) == 16 && i.MFTRecordSize == 1024 && i.MFTOffset > 0 && i.DataStart == 0
		}, `\$MFT`},
		"FAT16": {fat, func(i Info) bool {
			return i.Type == "FAT16" && i.Label == "ESP" && len(i.Serial) == 8 && i.FATOffset > 0 && i.DataStart > i.FATOffset
		}, `\`},
		"exFAT": {exfat, func(i Info) bool {
			return i.Type == "exFAT" && i.Label == "Straße" && len(i.Serial) == 8 && i.FATOffset == 0 && i.DataStart == 0
		}, `\`},
	} {
		t.Run(name, func(t *testing.T) {
			v := opened(t, c.make(t))
			i := v.Info()
			if !c.check(i) || i.WholeReason != "" || i.UsedBytes >= i.Size/2 || i.TotalClusters == 0 || i.FreeClusters == 0 || i.SectorSize != 512 {
				t.Errorf("%+v", i)
			}
			if has, err := Whole(v).Contains(c.has); !has || err != nil {
				t.Errorf("Contains(%q) = %v, %v", c.has, has, err)
			}
			// The marks of something else in the same place: no proof any more.
			d := c.make(t)
			copy(d[4086:], "SWAPSPACE2")
			if i := opened(t, d).Info(); !strings.Contains(i.WholeReason, "marks of both "+name+" and swap") || i.Type != name {
				t.Errorf("%+v", i)
			}
		})
	}
}

// TestNamedByTools recognises what the real tools make.
func TestNamedByTools(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a long enough key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, pkg, tool string
		size            int64
		args            []string
	}{
		{"F2FS", "f2fs-tools", "mkfs.f2fs", 64 << 20, []string{"-q"}},
		{"LUKS1", "cryptsetup-bin", "cryptsetup", 20 << 20, []string{"luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", key}},
		{"LUKS2", "cryptsetup-bin", "cryptsetup", 20 << 20, []string{"luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", key}},
	} {
		t.Run(c.tool+" "+c.name, func(t *testing.T) {
			v := opened(t, made(t, c.size, c.pkg, c.tool, c.args...))
			if i := v.Info(); i.Type != c.name || !strings.Contains(i.WholeReason, c.name) {
				t.Errorf("%+v", i)
			}
			if has, err := v.Contains("/etc"); has || err != nil {
				t.Errorf("Contains = %v, %v", has, err)
			}
		})
	}
}

// TestNamed places the marks of what no tool here makes. Where the format of
// the mark is published, the place comes from there: for md, Linux
// include/uapi/linux/raid/md_p.h.
func TestNamed(t *testing.T) {
	const size = 3<<20 + 5*512
	md := func(version uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte{0xfc, 0x4e, 0x2b, 0xa9}, version)
	}
	for _, c := range []struct {
		name  string
		off   int64
		bytes []byte
	}{
		{"unknown", 0, nil},
		{"LVM2", 512, append([]byte("LABELONE\x01\x00\x00\x00\x00\x00\x00\x00\x12\x34\x56\x78\x20\x00\x00\x00"), "LVM2 001"...)},
		{"unknown", 512, append([]byte("LABELONE\x01\x00\x00\x00\x00\x00\x00\x00\x12\x34\x56\x78\x20\x00\x00\x00"), "LVM1 001"...)},
		{"md", 0, md(1)},
		{"md", 4096, md(1)},
		{"md", 3<<20 - 8192, md(1)},
		{"md", 3<<20 - 65536, md(0)},
		{"ReFS", 3, []byte("ReFS\x00\x00\x00\x00")},
		{"BitLocker", 3, []byte("-FVE-FS-")},
		{"APFS", 32, []byte("NXSB")},
		{"HFS+", 1024, []byte("H+\x00\x04")},
		{"HFS+", 1024, []byte("HX\x00\x05")},
		{"unknown", 1024 + 56, []byte{0x53, 0xef, 0xff, 0xff}},
	} {
		d := make(disk, size)
		copy(d[c.off:], c.bytes)
		if i := opened(t, d).Info(); i.Type != c.name {
			t.Errorf("%q at %d: %+v", c.bytes, c.off, i)
		}
	}
}

// TestBitLockerToGo makes a FAT volume with the mark that tells that its
// clusters hold something else.
func TestBitLockerToGo(t *testing.T) {
	d := made(t, 40<<20, "dosfstools", "mkfs.vfat", "-F", "32", "-s", "1")
	copy(d[424:], []byte{0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01})
	if i := opened(t, d).Info(); i.Type != "BitLocker To Go" || i.WholeReason == "" {
		t.Errorf("%+v", i)
	}
}

func TestDamaged(t *testing.T) {
	d := made(t, 8<<20, "ntfs-3g", "mkntfs", "-F", "-q")
	d[13] = 3
	if i := opened(t, d).Info(); i.Type != "NTFS" || !strings.Contains(i.WholeReason, "offset 13") {
		t.Errorf("%+v", i)
	}
	d = made(t, 8<<20, "dosfstools", "mkfs.vfat")
	d[13] = 3
	if i := opened(t, d).Info(); i.Type != "unknown" || i.WholeReason == "" {
		t.Errorf("%+v", i)
	}
	d[13] = 4
	opened(t, d[:20000])
}

// TestTiny opens partitions too small for what is sought in them.
func TestTiny(t *testing.T) {
	for n := range 5000 {
		opened(t, make(disk, n))
	}
}

// TestRandom opens bytes that mean nothing.
func TestRandom(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{5})
	d := make(disk, 200000)
	for range 200 {
		_, _ = rng.Read(d)
		opened(t, d)
	}
}

type unreadable struct{ disk }

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errors.New("bad sector") }

func TestUnreadable(t *testing.T) {
	if _, err := Open(unreadable{make(disk, 1<<20)}); err == nil || !strings.Contains(err.Error(), "bad sector") {
		t.Errorf("%v", err)
	}
}

func TestHuge(t *testing.T) {
	i := opened(t, ntfstest.Huge(1<<40, 3000, 16)).Info()
	if i.Type != "NTFS" || i.WholeReason != "" || i.Label != "Huge" {
		t.Errorf("%+v", i)
	}
}

// TestNTFSFiles reads a file of an NTFS volume by what Files promises.
func TestNTFSFiles(t *testing.T) {
	d := made(t, 8<<20, "ntfs-3g", "mkntfs", "-F", "-q")
	tree := opened(t, d).Files()
	info, err := tree.Lstat("$Boot")
	if err != nil {
		t.Fatal(err)
	}
	n := info.Sys()
	_, isNode := n.(Node)
	_, isStreams := n.(Streams)
	_, isTimes := n.(Times)
	_, isAttributes := n.(Attributes)
	_, isSecurity := n.(Security)
	_, isReparse := n.(Reparse)
	if !isNode || !isStreams || !isTimes || !isAttributes || !isSecurity || !isReparse {
		t.Errorf("%T is not all that it should be", n)
	}
	b, err := fs.ReadFile(tree, "$boot")
	if err != nil || !bytes.Equal(b, d[:len(b)]) || len(b) != 8192 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	// A volume whose $MFT cannot be found has no tree.
	for off := 0; off+4 <= len(d); off += 512 {
		if string(d[off:off+4]) == "FILE" {
			d[off] = 'X'
		}
	}
	if v := opened(t, d); v.Files() != nil || v.Info().WholeReason == "" {
		t.Errorf("%v, %+v", v.Files(), v.Info())
	}
}
