package ext

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ingot/internal/filesys/volumetest"
)

// debugfs runs commands on a file system, to change it.
func debugfs(t testing.TB, path string, commands ...string) {
	t.Helper()
	for _, c := range commands {
		volumetest.RunTool(t, "e2fsprogs", "debugfs", "-w", "-R", c, path)
	}
}

// TestStates makes what tells that a map is not to be trusted, or not alone.
func TestStates(t *testing.T) {
	for what, c := range map[string]struct {
		commands                   []string
		whole, unsettled, warnings string
	}{
		"errors":                   {[]string{"ssv state 3"}, "errors in the file system", "", "having errors"},
		"not clean":                {[]string{"ssv state 0"}, "", "not unmounted cleanly", "not marked as clean"},
		"needs_recovery":           {[]string{"feature needs_recovery"}, "", "journal has not been replayed", "not been replayed"},
		"journal elsewhere":        {[]string{"ssv journal_inum 0", "ssv journal_uuid 3326e100-aefc-49df-8cca-76860233b6c7"}, "", "", "UUID 3326e100-aefc-49df-8cca-76860233b6c7"},
		"no journal there":         {[]string{"ssv journal_inum 9"}, "", "journal cannot be read", "journal cannot be read"},
		"an unknown feature":       {[]string{"feature FEATURE_I30"}, "incompatible features 0x40000000", "", ""},
		"one for reading":          {[]string{"feature FEATURE_R27"}, "read-only compatible features 0x8000000", "", ""},
		"one that should not mind": {[]string{"feature FEATURE_C27"}, "compatible features 0x8000000", "", ""},
		"compression":              {[]string{"feature compression"}, "incompatible features 0x1", "", ""},
		"wrong sum":                {[]string{"ssv free_blocks_count 17"}, "the superblock says 17", "", ""},
		"wrong group":              {[]string{"set_bg 1 free_blocks_count 17"}, "descriptor of group 1: checksum", "", ""},
		"nothing that is wrong":    {[]string{"ssv mtime 20200101"}, "", "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			path := makeVolume(t, 20<<20, "-t", "ext4", "-b", "1024", "-O", "^flex_bg")
			mounted(t, path, "rw", func(dir string) {
				check(t, os.WriteFile(filepath.Join(dir, "large"), content(12<<20, 1), 0o600))
			})
			debugfs(t, path, c.commands...)
			v, err := Open(volumetest.Load(t, path))
			if err != nil {
				t.Fatal(err)
			}
			f := v.Facts()
			for _, p := range [][2]string{{f.WholeReason, c.whole}, {f.Unsettled, c.unsettled}, {strings.Join(f.Warnings, "\n"), c.warnings}} {
				if !strings.Contains(p[0], p[1]) || p[0] != "" && p[1] == "" {
					t.Errorf("%q, want %q", p[0], p[1])
				}
			}
			if (f.WholeReason != "") != (f.UsedBytes == 20<<20) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestForged changes a group in ways that agree with its checksum: all else
// must tell.
func TestForged(t *testing.T) {
	path := makeVolume(t, 20<<20, "-t", "ext4", "-b", "1024", "-O", "^flex_bg,^64bit,uninit_bg,^metadata_csum")
	mounted(t, path, "rw", func(dir string) {
		check(t, os.WriteFile(filepath.Join(dir, "large"), content(12<<20, 1), 0o600))
	})
	clean := volumetest.Load(t, path)
	put16, put32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	free := func(d disk, b []byte, bits ...int64) { // frees blocks of group 1, and counts them
		at := int64(le32(b, 0)) * 1024
		for _, bit := range bits {
			d[at+bit/8] &^= 1 << (bit % 8)
		}
		put16(b[0xc:], uint16(le16(b, 0xc)+len(bits)))
		put32(d[1024+0xc:], le32(d[1024:], 0xc)+uint32(len(bits)))
	}
	for what, change := range map[string]func(d disk, b []byte){
		"":                   func(disk, []byte) {},
		"descriptor says 17": func(_ disk, b []byte) { put16(b[0xc:], 17) },
		"the 81 blocks of metadata from block 8193": func(d disk, b []byte) { free(d, b, 0) },
		"the 1 blocks of metadata":                  func(d disk, b []byte) { free(d, b, int64(le32(b, 0))-8193) },
		"the 426 blocks of metadata":                func(d disk, b []byte) { free(d, b, int64(le32(b, 8))-8193+425) },
		"hold metadata of a group":                  func(_ disk, b []byte) { put32(b[8:], 20000) },
		"inode table of 426 blocks at block 0":      func(_ disk, b []byte) { put32(b[8:], 0) },
		"block bitmap of 1 blocks at block 20480":   func(_ disk, b []byte) { put32(b, 20480) },
		"group 1: 7683 clusters are free":           func(_ disk, b []byte) { b[0x12] |= blockUninit },
	} {
		d := disk(bytes.Clone(clean))
		b := d[2048+32 : 2048+64]
		v := open(t, clean)
		change(d, b)
		put16(b[0x1e:], v.super.descCsum(b, 1))
		v, err := Open(d)
		if err != nil || what == "" != (v.Facts().WholeReason == "") || !strings.Contains(v.Facts().WholeReason, what) {
			t.Errorf("%q, %v; want %q", v.Facts().WholeReason, err, what)
		}
	}
}

// TestBitmapChecksum makes one used block of a bitmap a free one, and one that
// is free a used one: only the checksum can tell.
func TestBitmapChecksum(t *testing.T) {
	for _, args := range []string{"", ",^64bit"} {
		d := volumetest.Load(t, makeVolume(t, 4<<20, "-t", "ext4", "-b", "1024", "-O", "metadata_csum"+args))
		b, err := open(t, d).Files().desc(0)
		check(t, err)
		bits := d[b.bitmap*1024 : b.bitmap*1024+512]
		bits[bytes.IndexByte(bits, 0)], bits[20] = 1, 0xfe
		v, err := Open(d)
		if err != nil || !strings.Contains(v.Facts().WholeReason, "bitmap of group 0: its checksum") {
			t.Errorf("%+v, %v", v.Facts(), err)
		}
	}
}

// TestNoSuperblock opens what is none.
func TestNoSuperblock(t *testing.T) {
	path := makeVolume(t, 20<<20, "-t", "ext4", "-b", "1024")
	clean := volumetest.Load(t, path)
	for what, change := range map[string]func(d disk){
		"no magic number": func(d disk) { d[1024+56] = 0 },
		"checksum":        func(d disk) { d[1024+0x78] ^= 1 },
	} {
		d := disk(strings.Clone(string(clean)))
		change(d)
		if _, err := Open(d); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Open(disk(nil)); err == nil {
		t.Error("nothing")
	}
	journal := volumetest.Load(t, makeVolume(t, 20<<20, "-O", "journal_dev", "-b", "4096"))
	if _, err := Open(journal); err == nil || !strings.Contains(err.Error(), "journal of another") {
		t.Errorf("a journal: %v", err)
	}
}

// TestMounted copies what lies on the disk under a mounted file system, as it
// happens to be and while it is frozen.
func TestMounted(t *testing.T) {
	for _, args := range []string{"-t ext4", "-t ext4 -O ^has_journal"} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 40<<20, append(strings.Fields(args), "-b", "1024")...)
			var live, frozen disk
			mounted(t, path, "rw", func(dir string) {
				fill(t, dir, 5, 1<<25)
				live = volumetest.Load(t, path)
				volumetest.RunTool(t, "util-linux", "fsfreeze", "--freeze", dir)
				frozen = volumetest.Load(t, path)
				volumetest.RunTool(t, "util-linux", "fsfreeze", "--unfreeze", dir)
			})
			if v, err := Open(live); err != nil || v.Facts().Unsettled == "" || len(v.Facts().Warnings) == 0 {
				t.Errorf("%+v, %v", v.Facts(), err)
			}
			v := open(t, frozen)
			if journal := !strings.Contains(args, "^has"); (v.Facts().Unsettled == "") != journal {
				t.Errorf("%+v", v.Facts())
			}
			copied := volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, frozen).Save(t)
			volumetest.RunTool(t, "e2fsprogs", "e2fsck", "-fn", copied)
			mounted(t, path, "ro", func(dir string) { same(t, v, dir, true) })
		})
	}
}

// TestFlags reads what is marked as encrypted or casefolded.
func TestFlags(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secret/file", "Folded/Groß", "plain/Case", "plain/case"} {
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		check(t, os.WriteFile(filepath.Join(dir, name), []byte("contents"), 0o644))
	}
	check(t, os.Symlink("target", filepath.Join(dir, "secret/link")))
	path := makeVolume(t, 4<<20, "-t", "ext4", "-O", "casefold,encrypt", "-d", dir)
	debugfs(t, path, "sif /Folded flags 0x40080000", "sif /secret/file flags 0x80800", "sif /secret/link flags 0x800", "sif /secret flags 0x80800")
	v := open(t, volumetest.Load(t, path))
	tree := v.Files()
	if _, err := tree.ReadDir("secret"); err == nil || !strings.Contains(err.Error(), "the names in the folder of inode") || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("%v", err)
	}
	if _, err := fs.ReadFile(tree, "secret/file"); err == nil || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("%v", err)
	}
	for name, want := range map[string]bool{"Folded/GROSS": false, "Folded/GROß": true, "Folded/Groß": true, "folded/Groß": false, "plain/CASE": false, "plain/case": true} {
		if b, err := fs.ReadFile(tree, name); (err == nil && string(b) == "contents") != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for name, want := range map[string]bool{
		"": true, `\`: true, `\PLAIN\CASE`: true, "plain/Case/more": false, "/folded/groß": true, "none": false, "lost+FOUND": true, "plain/none": false,
	} {
		if got, err := v.Contains(name); err != nil || got != want {
			t.Errorf("Contains(%q) = %v, %v", name, got, err)
		}
	}
}

// TestFS lets the standard library look at a tree.
func TestFS(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "a/d", "e"} {
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		check(t, os.WriteFile(filepath.Join(dir, name), content(9000, 1), 0o644))
	}
	check(t, os.Symlink("d", filepath.Join(dir, "a/link")))
	v := open(t, volumetest.Load(t, makeVolume(t, 4<<20, "-t", "ext4", "-d", dir)))
	if err := fstest.TestFS(v.Files(), "a/b/c", "a/d", "e", "lost+found"); err != nil {
		t.Error(err)
	}
}

// TestAtOnce reads one file from many places at once.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	want := content(3<<20, 1)
	check(t, os.WriteFile(filepath.Join(dir, "file"), want, 0o644))
	v := open(t, volumetest.Load(t, makeVolume(t, 8<<20, "-t", "ext2", "-d", dir)))
	f, err := v.Files().Open("file")
	check(t, err)
	var group sync.WaitGroup
	for i := range int64(8) {
		group.Go(func() {
			for off := i * 1000; off < int64(len(want)); off += 100_000 {
				b := make([]byte, 70_000)
				n, err := f.(io.ReaderAt).ReadAt(b, off)
				if !bytes.Equal(b[:n], want[off:min(off+70_000, int64(len(want)))]) || err != nil && err != io.EOF {
					t.Errorf("at byte %d: %d bytes, %v", off, n, err)
				}
			}
			if has, err := v.Contains("/lost+found"); !has || err != nil {
				t.Errorf("%v, %v", has, err)
			}
		})
	}
	group.Wait()
}
