package xfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// treeSeed is a small volume with all kinds of folders, forks and attributes.
func treeSeed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 20<<20, "-b", "size=1024", "-d", "agcount=1")
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for _, n := range []int{3, 30, 200, 700} {
			for i := range n {
				volumetest.Write(t, dir, fmt.Sprintf("%d/n%d", n, i), nil)
			}
		}
		volumetest.Write(t, dir, "a/b/c/d", []byte("deep"))
		f, err := os.Create(filepath.Join(dir, "pieces"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(60) {
			if _, err := f.WriteAt([]byte("piece"), i*65536); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		for k, n := range []int{10, 900} {
			name := filepath.Join(dir, fmt.Sprintf("link%d", k))
			if err := os.Symlink(strings.Repeat("t", n), name); err != nil {
				t.Fatal(err)
			}
		}
		for k, sizes := range [][]int{{10}, {100, 300, 400}, {20, 900, 5000}} {
			name := filepath.Join(dir, fmt.Sprintf("a%d", k))
			err := os.WriteFile(name, nil, 0o600)
			for i, n := range sizes {
				err = errorsOf(err, unix.Setxattr(name, fmt.Sprintf("user.%d", i), make([]byte, n), 0))
			}
			for i := range 60 * k * (k - 1) / 2 {
				err = errorsOf(err, unix.Setxattr(name, fmt.Sprintf("user.many%d", i), []byte("x"), 0))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	return volumetest.Load(t, path)
}

// asVersion4 is a volume of version 4, made by mkfs.xfs.
func asVersion4(t testing.TB) disk {
	t.Helper()
	src := t.TempDir()
	for _, n := range []int{3, 30, 200, 700} {
		for i := range n {
			volumetest.Write(t, src, fmt.Sprintf("%d/n%d", n, i), nil)
		}
	}
	if err := os.Symlink(strings.Repeat("t", 900), filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	path := makeVolume(t, 20<<20, "-m", "crc=0", "-b", "size=1024", "-d", "agcount=1", "-p", protoOf(t, src, ""))
	setAttributes(t, path, "/link", "/3/n1")
	return volumetest.Load(t, path)
}

// recorder notes what is read.
type recorder struct {
	disk
	mu    sync.Mutex
	reads map[block.Extent]bool
}

func (r *recorder) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	r.reads[block.Extent{Off: off, Len: int64(len(p))}] = true
	r.mu.Unlock()
	return r.disk.ReadAt(p, off)
}

// treePlaces are the structures that the files are read from: inodes in use,
// and blocks of all kinds, with the places of their checksums.
func treePlaces(t testing.TB, d disk) (out []place) {
	t.Helper()
	r := &recorder{disk: d, reads: map[block.Extent]bool{}}
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	r.reads = map[block.Extent]bool{}
	readTree(t, v)
	for e := range r.reads {
		if e.Len == pageSize {
			for at := e.Off; at < e.End(); at += v.super.tree.inodeSize {
				if string(d[at:at+2]) == "IN" && binary.BigEndian.Uint16(d[at+2:]) != 0 {
					out = append(out, place{block.Extent{Off: at, Len: v.super.tree.inodeSize}, inodeCRC})
				}
			}
		} else if crc := crcOf(d[e.Off:e.End()]); crc >= 0 {
			out = append(out, place{e, crc})
		}
	}
	slices.SortFunc(out, func(a, b place) int { return int(a.Off - b.Off) })
	for i := 0; i < len(out); i++ { // nearly all are the many small files
		if i > 40 && out[i].crc == inodeCRC && i%16 != 0 {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// crcOf is where a block has its checksum, -1 when it has none.
func crcOf(b []byte) int {
	if len(b) < 256 {
		return -1
	}
	switch string(b[:4]) {
	case "XDD3", "XDB3", "XD2D", "XD2B":
		return dataCRC
	case "BMA3", "BMAP":
		return bmapCRC
	case "XSLM", "XARM":
		return 12
	case "IAB3", "FIB3", "IABT":
		return btreeCRC
	}
	switch binary.BigEndian.Uint16(b[daMark:]) {
	case markNode4, markNode5, markLeaf4, markLeaf5, markLeafN4, markLeafN5, markAttr4, markAttr5:
		return daCRC
	}
	return -1
}

// readTree reads what there is, of large files only a part, and checks what
// must hold of any volume.
func readTree(t testing.TB, v *Volume) (errs int) {
	t.Helper()
	start, tree := time.Now(), v.Files()
	if tree == nil {
		return 1
	}
	count := 0
	fail := func(err error) {
		if err != nil {
			errs++
		}
	}
	var walk func(list []fs.DirEntry, path string)
	walk = func(list []fs.DirEntry, path string) {
		for _, e := range list {
			if count++; count > 5000 {
				return
			}
			info, err := e.Info()
			fail(err)
			if err != nil {
				continue
			}
			n := info.Sys().(Node)
			fail(readNode(t, v, n))
			if info.IsDir() {
				below, err := n.Entries()
				fail(err)
				walk(below, path+e.Name()+"/")
			}
			if _, err := tree.Lstat(path + e.Name()); count%8 == 0 {
				fail(err)
			}
		}
	}
	list, err := tree.ReadDir(".")
	fail(err)
	walk(list, "")
	for _, err := range tree.Metadata() {
		fail(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
	return errs
}

func readNode(t testing.TB, v *Volume, n Node) error {
	_, err := n.Xattrs()
	_, err2 := n.i.Target()
	if err2 == fs.ErrInvalid {
		err2 = nil
	}
	for e, err3 := range n.Extents() {
		if err3 != nil {
			return err3
		}
		if e.Off <= 0 || e.Len <= 0 || e.End() > v.super.Blocks*v.super.BlockSize {
			t.Fatalf("inode %d has the extent %v", n.ID(), e)
		}
	}
	b := make([]byte, min(30000, n.i.size))
	for _, off := range []int64{0, n.i.size / 2, max(0, n.i.size-20000)} {
		if n.i.kind() != modeFile {
			break
		}
		if _, err3 := n.i.Contents().ReadAt(b, off); err3 != nil && err3 != io.EOF {
			return err3
		}
	}
	return errorsOf(err, err2)
}

// seal5 makes the checksum of a place right, where the volume has some.
func seal5(d disk, p place) {
	if d[101]&0xf == 5 {
		p.seal(d)
	}
}

// TestTreeDamage flips bits of all structures: with a wrong checksum nothing of
// the structure is believed, with a right one all has an end.
func TestTreeDamage(t *testing.T) {
	for name, d := range map[string]disk{"version 5": treeSeed(t), "version 4": asVersion4(t)} {
		sound := bytes.Clone(d)
		v := open(t, d)
		if n := readTree(t, v); n != 0 {
			t.Fatalf("%s: %d errors in a sound volume", name, n)
		}
		places := treePlaces(t, d)
		if len(places) < 40 {
			t.Fatalf("%s: %d places", name, len(places))
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 100 {
			var changed []place
			for range 1 + i%3 {
				p := places[rng.IntN(len(places))]
				d[p.Off+rng.Int64N(min(p.Len, 256))] ^= 1 << rng.IntN(8)
				seal5(d, p)
				changed = append(changed, p)
			}
			if v, err := Open(d); err == nil {
				readTree(t, v)
			}
			for _, p := range changed {
				copy(d[p.Off:p.End()], sound[p.Off:p.End()])
			}
		}
		if name == "version 4" {
			continue
		}
		for _, p := range places {
			d[p.Off+rng.Int64N(p.Len)] ^= 1 << rng.IntN(8)
			// Of a damaged index, the names tell.
			mark := int(binary.BigEndian.Uint16(sound[p.Off+daMark:]))
			index := p.crc == daCRC && (mark == markLeaf5 || mark == markLeafN5)
			n := readTree(t, &Volume{super: v.super, files: newTree(d, &v.super)})
			if (n == 0) != index && mark != markNode5 {
				t.Errorf("damage of the block at byte %d (%q) was not seen, or mattered", p.Off, sound[p.Off:p.Off+10])
			}
			copy(d[p.Off:p.End()], sound[p.Off:p.End()])
		}
	}
}

func TestTreeTruncated(t *testing.T) {
	d := treeSeed(t)
	for n := len(d); n > 0; n -= len(d) / 40 {
		if v, err := Open(d[:n]); err == nil {
			readTree(t, v)
		}
	}
}

// TestCircles has a folder that is in itself, by a name in it and by the one
// above it, and one folder under two names.
func TestCircles(t *testing.T) {
	d := treeSeed(t)
	v := open(t, d)
	tree := v.Files()
	at := func(path string) *inode {
		info, err := tree.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(Node).i
	}
	a, b, c := at("a"), at("a/b"), at("a/b/c")
	put := func(folder *inode, off int, number uint64) {
		at, err := v.super.bytesAt(folder.number)
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint32(d[at+core3+int64(off):], uint32(number))
		place{block.Extent{Off: at, Len: v.super.tree.inodeSize}, inodeCRC}.seal(d)
	}
	put(b, 2+4+3+1+1, a.number) // a/b/c is a
	put(a, 2, b.number)         // and says that it is in a/b
	for _, path := range []string{"a", "a/b/c"} {
		_, err := open(t, d).Files().Lstat(path)
		if err == nil || !strings.Contains(err.Error(), "belongs into") {
			t.Errorf("%s: %v", path, err)
		}
	}
	put(b, 2+4+3+1+1, c.number)
	put(a, 2, v.super.tree.root)
	put(c, 2, c.number)
	if _, err := open(t, d).Files().Lstat("a/b/c"); err == nil || !strings.Contains(err.Error(), "belongs into") {
		t.Error(err)
	}
}

// FuzzTree writes 4-byte patches (place, two bytes of offset, byte) on a volume
// and makes its checksums right.
func FuzzTree(f *testing.F) {
	seeds := []disk{treeSeed(f), asVersion4(f)}
	places := [][]place{treePlaces(f, seeds[0]), treePlaces(f, seeds[1])}
	supers := []Super{open(f, seeds[0]).super, open(f, seeds[1]).super}
	f.Add(false, []byte{0, 0, 4, 1})
	f.Add(true, []byte{1, 0, 20, 0xff, 9, 0, 14, 7})
	f.Fuzz(func(t *testing.T, old bool, patches []byte) {
		k := 0
		if old {
			k = 1
		}
		d := seeds[k]
		var undo []func()
		for ; len(patches) >= 4 && len(undo) < 16; patches = patches[4:] {
			p := places[k][int(patches[0])%len(places[k])]
			keep := bytes.Clone(d[p.Off:p.End()])
			undo = append(undo, func() { copy(d[p.Off:], keep) })
			d[p.Off+int64(binary.BigEndian.Uint16(patches[1:]))%p.Len] = patches[3]
			seal5(d, p)
		}
		s := supers[k]
		readTree(t, &Volume{super: s, files: newTree(d, &s)})
		for _, u := range slices.Backward(undo) {
			u()
		}
	})
}

// TestSuperblocks reads superblocks whose files cannot be read.
func TestSuperblocks(t *testing.T) {
	sound := volumetest.Load(t, makeVolume(t, 20<<20))
	for what, change := range map[string]func(d disk){
		"size of inodes":  func(d disk) { binary.BigEndian.PutUint16(d[104:], 300) },
		"inodes in block": func(d disk) { d[123]++ },
		"folder blocks":   func(d disk) { d[192] = 9 },
		"feature":         func(d disk) { d[offIncompat] = 0x80 },
		"metadir":         func(d disk) { d[offIncompat+2] |= 1 },
		"in progress":     func(d disk) { d[126] = 1 },
	} {
		d := disk(bytes.Clone(sound))
		change(d)
		clear(d[superCRC : superCRC+4])
		binary.LittleEndian.PutUint32(d[superCRC:], crc32.Checksum(d[:512], crc32.MakeTable(crc32.Castagnoli)))
		v, err := Open(d)
		if err != nil || v.Files() != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if has, err := v.Contains("x"); has || err != nil {
			t.Errorf("%s: %v, %v", what, has, err)
		}
	}
	d := disk(bytes.Clone(sound)) // files can be read where the map is in doubt
	d[offIncompat+3] |= incompatNeedsFix
	clear(d[superCRC : superCRC+4])
	binary.LittleEndian.PutUint32(d[superCRC:], crc32.Checksum(d[:512], crc32.MakeTable(crc32.Castagnoli)))
	v, err := Open(d)
	if err != nil || v.Files() == nil || v.Facts().WholeReason == "" || !strings.Contains(strings.Join(v.Facts().Warnings, ""), "xfs_repair") {
		t.Errorf("%+v, %v", v.Facts(), err)
	}
}

// TestAtOnce reads one tree from many places at once.
func TestAtOnce(t *testing.T) {
	v := open(t, treeSeed(t))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if n := readTree(t, v); n != 0 {
				t.Errorf("%d errors", n)
			}
		})
	}
	group.Wait()
}

// TestRealtime has a file that says that its contents are on another device.
func TestRealtime(t *testing.T) {
	d := treeSeed(t)
	v := open(t, d)
	info, err := v.Files().Lstat("pieces")
	if err != nil {
		t.Fatal(err)
	}
	at, err := v.super.bytesAt(info.Sys().(Node).ID())
	if err != nil {
		t.Fatal(err)
	}
	d[at+91] |= flagRealtime
	place{block.Extent{Off: at, Len: v.super.tree.inodeSize}, inodeCRC}.seal(d)
	tree := open(t, d).Files()
	if _, err := fs.ReadFile(tree, "pieces"); err == nil || !strings.Contains(err.Error(), "realtime device") {
		t.Error(err)
	}
	if info, err = tree.Lstat("pieces"); err != nil {
		t.Fatal(err)
	}
	for _, err := range info.Sys().(Node).Extents() {
		if err == nil || !strings.Contains(err.Error(), "realtime device") {
			t.Error(err)
		}
	}
}
