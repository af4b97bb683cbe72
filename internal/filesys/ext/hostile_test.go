package ext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// maxVisits is how many files a hostile tree may have: that of the seeds has
// some dozens, and no damage makes new inodes.
const maxVisits = 20000

// exercise does all there is to do with a volume; what comes out does not
// matter as long as it comes out soon, and the map keeps its promises.
func exercise(t testing.TB, r block.Reader) {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		return
	}
	end := int64(-1)
	for e, err := range v.Used().Extents() {
		if err != nil {
			t.Fatalf("a map that was proven: %v", err)
		}
		if e.Len <= 0 || e.Off <= end || e.End() > r.Size() {
			t.Fatalf("extent %v behind %d on %d bytes", e, end, r.Size())
		}
		end = e.End()
	}
	_, _ = v.Contains(`\Folder\F79`)
	if v.Files() == nil {
		return
	}
	readTree(t, v.Files())
	for e, err := range v.Files().Metadata() {
		if err == nil && (e.Len <= 0 || e.Off < 0 || e.End() > v.super.blocks*v.super.blockSize) {
			t.Fatalf("metadata at %v", e)
		}
	}
}

// readTree reads all of a tree and gives what it has found, by path: numbers,
// contents, and errors.
func readTree(t testing.TB, tree *Tree) map[string]string {
	t.Helper()
	out := map[string]string{}
	visits := 0
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if visits++; visits > maxVisits {
			t.Fatalf("a tree without an end: %s", path)
		}
		if err != nil {
			out[path] = err.Error()
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			out[path] = err.Error()
			return nil
		}
		out[path] = describe(tree, path, info)
		return nil
	})
	if err != nil {
		out["."] += err.Error()
	}
	return out
}

// describe reads a file, at most its first 64 KiB.
func describe(tree *Tree, path string, info fs.FileInfo) string {
	n := info.Sys().(Node)
	attrs, err := n.Xattrs()
	text := fmt.Sprint(info.Mode(), info.Size(), info.ModTime(), n.ID(), n.Links(), attrs, err)
	target, err := tree.ReadLink(path)
	text += fmt.Sprint(target, err)
	var sum int64
	for e, err := range n.Extents() {
		if err != nil {
			text += err.Error()
		}
		sum += e.Len
	}
	f, err := tree.Open(path)
	if err != nil {
		return text + err.Error()
	}
	defer f.Close()
	b := make([]byte, min(1<<16, info.Size()))
	k, err := f.Read(b)
	return text + fmt.Sprint(sum, err, crc32c(0, b[:max(k, 0)]))
}

// TestCircles makes folders that contain themselves, each other, or one folder
// many times.
func TestCircles(t *testing.T) {
	clean := circular(t)
	at := func(name string) (place int, number uint32) {
		place = bytes.Index(clean, append([]byte{byte(len(name)), 2}, name...)) - 6
		return place, binary.LittleEndian.Uint32(clean[place:])
	}
	a, aNumber := at("folder A")
	b, bNumber := at("folder B")
	c, _ := at("folder C")
	for what, set := range map[string]map[int]uint32{
		"":                           {},
		"a folder in itself":         {b: aNumber},
		"the root in a folder":       {b: rootInode},
		"the root in the root":       {a: rootInode},
		"two names":                  {c: bNumber},
		"each in the other":          {a: bNumber, b: aNumber},
		"an inode that is not there": {b: 1 << 30},
		"an inode of no file":        {b: 1},
	} {
		d := slices.Clone(clean)
		for at, number := range set {
			binary.LittleEndian.PutUint32(d[at:], number)
		}
		got := readTree(t, open(t, d).Files())
		all := fmt.Sprint(slices.Collect(maps.Values(got)))
		if bad := strings.Contains(all, "lstat") || strings.Contains(all, "readdir"); bad != (what != "") || len(got) > 8 {
			t.Errorf("%q: %q", what, got)
		}
	}
}

// circular is a volume with the folders A, A/B and A/C, without checksums.
func circular(t testing.TB) disk {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"folder A/folder B", "folder A/folder C"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return volumetest.Load(t, makeVolume(t, 256<<10, "-t", "ext4", "-O", "^metadata_csum,^has_journal", "-b", "1024", "-d", dir))
}

// TestFlips flips bits of what is read, many times over.
func TestFlips(t *testing.T) {
	for name, args := range kinds() {
		t.Run(name, func(t *testing.T) {
			d := seed(t, args)
			areas := hotAreas(t, d)
			rng := rand.New(rand.NewPCG(3, 9))
			for range 400 {
				undo := damage(d, areas, rng, 1<<rng.IntN(4))
				exercise(t, d)
				undo()
			}
		})
	}
}

func TestTruncations(t *testing.T) {
	for name, args := range kinds() {
		t.Run(name, func(t *testing.T) {
			d := seed(t, args)
			for n := 0; n < len(d); n += 1531 {
				exercise(t, d[:n])
			}
			exercise(t, d)
		})
	}
}

// TestNeverWrong flips bits of superblock, descriptors, bitmaps and inodes: where a map
// is proven nevertheless, the bytes in it hold every file that was there.
func TestNeverWrong(t *testing.T) {
	for name, args := range kinds() {
		t.Run(name, func(t *testing.T) {
			d := seed(t, args)
			groups, inodes := mapAreas(t, d)
			hot := slices.Concat(groups, inodes)
			rng := rand.New(rand.NewPCG(4, 4))
			proven := 0
			for range 400 {
				undo := damage(d, hot, rng, 1)
				if keepsAll(t, d) {
					proven++
				}
				undo()
			}
			t.Logf("%d of 400 damaged volumes had a map", proven)
		})
	}
}

// TestNeverWrongByTools is TestNeverWrong as e2fsck and debugfs see it, for
// fewer volumes.
func TestNeverWrongByTools(t *testing.T) {
	for name, args := range kinds() {
		t.Run(name, func(t *testing.T) {
			d := seed(t, args)
			hot, _ := mapAreas(t, d) // a damaged size makes debugfs write for hours
			rng := rand.New(rand.NewPCG(5, 5))
			for proven := 0; proven < 8; {
				undo := damage(d, hot, rng, 1)
				v, err := Open(d)
				if err == nil && v.Facts().WholeReason == "" {
					proven++
					copied := volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, d)
					if want, got := toolsSay(t, d), toolsSay(t, copied); want != got {
						t.Errorf("of the copy the tools say\n%s\nof the volume\n%s", got, want)
					}
				}
				undo()
			}
		})
	}
}

// toolsSay is what e2fsck finds wrong and debugfs can read.
func toolsSay(t testing.TB, d disk) string {
	t.Helper()
	path, to := d.Save(t), t.TempDir()
	check, _ := exec.Command("/usr/sbin/e2fsck", "-fn", path).CombinedOutput()
	if _, err := exec.Command("/usr/sbin/debugfs", "-R", "rdump / "+to, path).CombinedOutput(); err != nil {
		t.Fatal(err)
	}
	// What a file should have is out of e2fsck's memory where a header was bad.
	text := regexp.MustCompile(`(i_blocks is \d+, should be) \d+|`+regexp.QuoteMeta(path)).ReplaceAllString(string(check), "$1")
	return fmt.Sprint(text, volumetest.Hashes(t, to))
}

// keepsAll reports whether a volume has a proven map, and checks that its bytes
// are enough to read all that can be read.
func keepsAll(t testing.TB, d disk) bool {
	t.Helper()
	v, err := Open(d)
	if err != nil || v.Facts().WholeReason != "" {
		return false
	}
	c, err := Open(volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, d))
	if err != nil || c.Facts().WholeReason != "" {
		t.Fatalf("a copy of the used bytes: %v, %+v", err, c.Facts())
	}
	if want, got := readTree(t, v.Files()), readTree(t, c.Files()); !maps.Equal(want, got) {
		t.Fatalf("the copy has %q, want %q", got, want)
	}
	return true
}

// TestMapInCircles lets the block map of a file lead to itself.
func TestMapInCircles(t *testing.T) {
	d := seed(t, kinds()["ext2"])
	tree := open(t, d).Files()
	i, err := tree.resolve("open", "pieces")
	if err != nil {
		t.Fatal(err)
	}
	at := pointer(i.block[:], direct) // the indirect block
	for k := range int64(256) {
		binary.LittleEndian.PutUint32(d[at*1024+4*k:], uint32(at))
	}
	binary.LittleEndian.PutUint32(i.block[4*(direct+2):], uint32(at))
	for _, err = range newTree(d, tree.s).pieces(i) {
	}
	if err == nil || !strings.Contains(err.Error(), "more blocks than the volume") {
		t.Errorf("%v", err)
	}
}

// TestChecksums changes a byte of each kind of metadata that has a checksum.
func TestChecksums(t *testing.T) {
	d := seed(t, kinds()["checksums"])
	tree := open(t, d).Files()
	inodeOf := func(path string) (i *inode, at int64) {
		i, err := tree.resolve("open", path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := tree.desc(0)
		if err != nil {
			t.Fatal(err)
		}
		return i, g.table*1024 + int64(i.number-1)*tree.s.inodeSize
	}
	pieces, inodeAt := inodeOf("pieces")
	folder, _ := inodeOf("folder")
	index, err := tree.find(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := tree.find(folder, 2)
	if err != nil || pieces.acl == 0 || le16(pieces.block[:], 6) == 0 {
		t.Fatalf("the volume is no test: %v, %+v", err, pieces)
	}
	tableOf := int64(le32(pieces.block[:], 16)) // the block of extents
	for what, at := range map[string]int64{
		"an inode": inodeAt + 300, "the front of an inode": inodeAt + 8, "extents": tableOf*1024 + 900, "names": leaf.at*1024 + 1,
		"an index": index.at*1024 + 40, "attributes": pieces.acl*1024 + 700,
	} {
		d[at] ^= 0x40
		if all := fmt.Sprint(readTree(t, open(t, d).Files())); !strings.Contains(all, "checksum") {
			t.Errorf("%s: no word of it in %s", what, all)
		}
		d[at] ^= 0x40
	}
	if all := fmt.Sprint(readTree(t, open(t, d).Files())); strings.Contains(all, "checksum") {
		t.Errorf("all is well again: %s", all)
	}
}

// unreadable has bad sectors behind a place.
type unreadable struct {
	disk
	from int64
}

func (u unreadable) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > u.from {
		return 0, errors.New("bad sector")
	}
	return u.disk.ReadAt(p, off)
}

func TestUnreadable(t *testing.T) {
	d := seed(t, kinds()["ext4"])
	if _, err := Open(unreadable{d, 1500}); err == nil {
		t.Error("a superblock that cannot be read")
	}
	for from := int64(2048); from < d.Size(); from += 5 * 1024 {
		exercise(t, unreadable{d, from})
	}
}

func TestChangeDuringWalk(t *testing.T) {
	for name, args := range kinds() {
		t.Run(name, func(t *testing.T) {
			d := seed(t, args)
			v := open(t, d)
			b, err := v.Files().desc(0)
			if err != nil {
				t.Fatal(err)
			}
			d[b.bitmap*1024+20] ^= 1
			for _, err = range v.Used().Extents() {
			}
			if err == nil || !strings.Contains(err.Error(), "block bitmap of group 0") {
				t.Errorf("a changed bitmap gave %v", err)
			}
		})
	}
}

// FuzzExt writes 5-byte patches (place in the hot areas, byte) on a volume, of
// the kind that the first byte chooses.
func FuzzExt(f *testing.F) {
	var disks []disk
	var places [][]int64
	for _, kind := range []string{"ext2", "ext4"} {
		d := seed(f, kinds()[kind])
		var at []int64
		for _, e := range hotAreas(f, d) {
			for i := range e.Len {
				at = append(at, e.Off+i)
			}
		}
		disks, places = append(disks, d), append(places, at)
	}
	f.Add([]byte{0, 24, 0, 0, 0, 2})
	f.Add([]byte{1, 0x60, 0, 0, 0, 0x80, 40, 0, 0, 0, 0xff})
	f.Fuzz(func(t *testing.T, patches []byte) {
		if len(patches) == 0 {
			return
		}
		kind := int(patches[0]) % len(disks)
		c, at := slices.Clone(disks[kind]), places[kind]
		for patches = patches[1:]; len(patches) >= 5; patches = patches[5:] {
			c[at[int(binary.LittleEndian.Uint32(patches))%len(at)]] = patches[4]
		}
		exercise(t, c)
	})
}

// FuzzParts gives bytes to each parser of them.
func FuzzParts(f *testing.F) {
	d := seed(f, kinds()["ext4"])
	v := open(f, d)
	for _, e := range hotAreas(f, d) {
		f.Add([]byte(d[e.Off:e.End()]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseSuper(b)
		_, _ = expandACL(b)
		_ = scanAttrs(b, b, func(attr) error { return nil })
		_ = v.super.scanBlock(b, func(entry) error { return nil })
		if len(b) >= 1024 {
			_, _ = v.super.parseIndex(b[:1024], true)
			_, _ = v.super.parseIndex(b[:1024], false)
			_, _ = v.super.parseDesc(b[:v.super.descSize], 0)
			_, _ = v.super.parseInode(b[:v.super.inodeSize], 1)
			_, _ = v.super.parseExtents(b, -1, 0, maxLogical)
		}
	})
}
