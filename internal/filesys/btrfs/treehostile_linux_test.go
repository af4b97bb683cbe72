package btrfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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

// treeSeed is a small volume with all kinds of items that files have.
func treeSeed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 20<<20, "--mixed", "-n", "4096", "-m", "single", "-d", "single")
	for _, how := range []string{"zlib", "lzo", "zstd"} {
		volumetest.LoopMounted(t, path, "rw,compress-force="+how, func(dir string) {
			text := bytes.Repeat([]byte("cast iron and "), 20000)
			for _, n := range []int{10, 1800, 3000, 150000} {
				volumetest.Write(t, dir, fmt.Sprintf("%s/%d", how, n), text[:n])
			}
		})
	}
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := range 60 {
			volumetest.Write(t, dir, fmt.Sprintf("many/n%d", i), nil)
		}
		volumetest.Write(t, dir, "a/b/c/d", []byte("deep"))
		volumetest.Write(t, dir, "plain", volumetest.Content(100000, 1))
		err := errors.Join(os.Truncate(dir+"/plain", 400000), os.Symlink(strings.Repeat("t", 900), dir+"/link"),
			unix.Setxattr(dir+"/plain", "user.name", make([]byte, 600), 0))
		f, err2 := os.Create(filepath.Join(dir, "planned"))
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, 100000), f.Close())
		btrfs(t, "subvolume", "create", dir+"/sub")
		btrfs(t, "subvolume", "create", dir+"/sub/sub")
		volumetest.Write(t, dir, "sub/sub/file", []byte("inside"))
		btrfs(t, "subvolume", "snapshot", dir+"/sub", dir+"/snap")
		if err != nil {
			t.Fatal(err)
		}
	})
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

// treePlaces are the tree blocks that files are read from, and what is data.
func treePlaces(t testing.TB, d disk) (blocks []place, data []block.Extent) {
	t.Helper()
	v := open(t, d)
	r := &recorder{disk: d, reads: map[block.Extent]bool{}}
	tree, err := readTree(r, v.super)
	if err != nil {
		t.Fatal(err)
	}
	if n := readAll(t, tree); n != 0 {
		t.Fatalf("%d errors in a sound volume", n)
	}
	for e := range r.reads {
		if e.Len == v.super.NodeSize && bytes.Equal(d[e.Off+offNodeFSID:e.Off+offNodeFSID+16], v.super.FSID[:]) {
			blocks = append(blocks, place{e, binary.LittleEndian.Uint64(d[e.Off+offNodeOwner:])})
		} else {
			data = append(data, e)
		}
	}
	slices.SortFunc(blocks, func(a, b place) int { return int(a.Off - b.Off) })
	slices.SortFunc(data, func(a, b block.Extent) int { return int(a.Off - b.Off) })
	return blocks, data
}

// readAll reads what there is, of large files only a part.
func readAll(t testing.TB, tree *Tree) (errs int) {
	t.Helper()
	start, count := time.Now(), 0
	fail := func(err error) {
		if err != nil {
			errs++
		}
	}
	var walk func(list []fs.DirEntry, path string)
	walk = func(list []fs.DirEntry, path string) {
		for _, e := range list {
			if count++; count > 3000 {
				return
			}
			info, err := e.Info()
			fail(err)
			if err != nil {
				continue
			}
			n := info.Sys().(Node)
			fail(readNode(t, tree, n))
			if info.IsDir() {
				below, err := n.Entries()
				fail(err)
				walk(below, path+e.Name()+"/")
			}
			_, err = tree.Lstat(path + e.Name())
			fail(err)
		}
	}
	list, err := tree.ReadDir(".")
	fail(err)
	walk(list, "")
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
	return errs
}

func readNode(t testing.TB, tree *Tree, n Node) error {
	_, err := n.Xattrs()
	_, err2 := n.i.Target()
	if err2 == fs.ErrInvalid {
		err2 = nil
	}
	for e, err3 := range n.Extents() {
		if err3 != nil {
			return err3
		}
		if e.Off <= 0 || e.Len <= 0 || e.End() > tree.r.Size() {
			t.Fatalf("inode %d has the extent %v", n.i.number, e)
		}
	}
	b := make([]byte, min(200000, n.i.size))
	for _, off := range []int64{0, n.i.size / 2, max(0, n.i.size-20000)} {
		if n.i.kind() != modeFile {
			break
		}
		if _, err3 := n.i.Contents().ReadAt(b, off); err3 != nil && err3 != io.EOF {
			return err3
		}
	}
	return errors.Join(err, err2)
}

// TestTreeDamage flips bits of all that is read: with a wrong checksum nothing
// is believed, with a right one all has an end.
func TestTreeDamage(t *testing.T) {
	d := treeSeed(t)
	sound := bytes.Clone(d)
	s := open(t, d).super
	blocks, data := treePlaces(t, d)
	if len(blocks) < 8 || len(data) < 6 {
		t.Fatalf("the volume is no test: %d blocks, %d of data", len(blocks), len(data))
	}
	errs := func() int {
		tree, err := readTree(d, s)
		if err != nil {
			return 1
		}
		return readAll(t, tree)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		p := blocks[rng.IntN(len(blocks))]
		for range 1 + i%3 {
			d[p.Off+sumSize+rng.Int64N(p.Len-sumSize)] ^= 1 << rng.IntN(8)
		}
		p.seal(d)
		if v, err := Open(d); err == nil && v.Files() != nil {
			readAll(t, v.Files())
		}
		copy(d[p.Off:p.End()], sound[p.Off:p.End()])
	}
	for _, p := range blocks {
		data = append(data, p.Extent)
	}
	for _, p := range data {
		for range 2 {
			d[p.Off+rng.Int64N(p.Len)] ^= 1 << rng.IntN(8)
			if errs() == 0 {
				t.Errorf("damage of the %d bytes at byte %d was not seen", p.Len, p.Off)
			}
			copy(d[p.Off:p.End()], sound[p.Off:p.End()])
		}
	}
	if n := errs(); n != 0 {
		t.Fatalf("%d errors", n)
	}
}

func TestTreeTruncated(t *testing.T) {
	d := treeSeed(t)
	for n := len(d); n > 0; n -= len(d) / 40 {
		if v, err := Open(d[:n]); err == nil && v.Files() != nil {
			readAll(t, v.Files())
		}
	}
}

// patched is a volume with an item of a tree changed, and its block sealed.
func patched(t testing.TB, d disk, r root, k key, change func(data []byte)) disk {
	t.Helper()
	return patchedLeaf(t, d, r, k, func(leaf []byte, slot int) {
		b := leaf[nodeHeader+slot*itemSize+keySize:]
		from, n := nodeHeader+binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		change(leaf[from : from+n])
	})
}

// rekeyed is a volume with an item under another key, which must stand in the
// same place.
func rekeyed(t testing.TB, d disk, r root, k, now key) disk {
	t.Helper()
	return patchedLeaf(t, d, r, k, func(leaf []byte, slot int) {
		b := leaf[nodeHeader+slot*itemSize:]
		binary.LittleEndian.PutUint64(b, now.id)
		binary.LittleEndian.PutUint64(b[9:], now.off)
	})
}

func patchedLeaf(t testing.TB, d disk, r root, k key, change func(leaf []byte, slot int)) disk {
	t.Helper()
	out := disk(bytes.Clone(d))
	v := open(t, d)
	tree := v.Files()
	c := tree.cursor(r)
	it, ok, err := c.seek(k)
	if err != nil || !ok || it.key != k {
		t.Fatalf("no item %v: %v, %v", k, it.key, err)
	}
	places, _, err := tree.space.all(binary.LittleEndian.Uint64(c.path[0].b[offNodeBytenr:]), v.super.NodeSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range places {
		change(out[at:at+v.super.NodeSize], c.slot[0])
		place{block.Extent{Off: at, Len: v.super.NodeSize}, r.owner}.seal(out)
	}
	return out
}

// TestCircles has a folder and a subvolume that are in themselves.
func TestCircles(t *testing.T) {
	d := treeSeed(t)
	tree := open(t, d).Files()
	at := func(path string) *inode {
		info, err := tree.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(Node).i
	}
	indexOf := func(folder *inode) (k key) {
		if err := folder.items(kindDirIndex, func(it item) error { k = it.key; return nil }); err != nil {
			t.Fatal(err)
		}
		return k
	}
	a, b, sub := at("a"), at("a/b"), at("sub")
	to := func(b []byte, number uint64) { binary.LittleEndian.PutUint64(b, number) }
	c := patched(t, d, tree.top, indexOf(b), func(item []byte) { to(item, a.number) })
	c = patched(t, c, tree.top, key{b.number, kindDirItem, nameHash("c")}, func(item []byte) { to(item, a.number) })
	list, err := open(t, c).Files().ReadDir("a/b")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, err := list[0].Info(); err == nil || !strings.Contains(err.Error(), "belongs into") {
		t.Error(err)
	}
	if _, err := open(t, c).Files().Lstat("a/b/c"); err == nil || !strings.Contains(err.Error(), "belongs into") {
		t.Error(err)
	}
	// sub/sub leads to sub; the root tree knows of no such thing, or is made to.
	own := key{sub.tree.owner, kindRootRef, sub.tree.owner}
	c = patched(t, d, sub.tree, key{firstFree, kindDirItem, nameHash("sub")}, func(item []byte) { to(item, sub.tree.owner) })
	if info, err := open(t, c).Files().Lstat("sub/sub"); err == nil && info.Sys().(Node).i.missing == 0 {
		t.Error("a subvolume is in itself")
	}
	c = rekeyed(t, c, tree.super.root, key{sub.tree.owner, kindRootRef, at("sub/sub").tree.owner}, own)
	if _, err := open(t, c).Files().Lstat("sub/sub"); err == nil || !strings.Contains(err.Error(), "belongs into") {
		t.Error(err)
	}
	back := key{sub.tree.owner, kindRootBack, treeTop}
	c = rekeyed(t, d, tree.super.root, back, key{sub.tree.owner, kindRootBack, treeTop + 1})
	if _, err := open(t, c).Files().Lstat("sub"); err == nil || !strings.Contains(err.Error(), "belongs elsewhere") {
		t.Error(err)
	}
	ref := key{treeTop, kindRootRef, sub.tree.owner}
	c = patched(t, d, tree.super.root, back, func(item []byte) { to(item, 257) })
	if _, err := open(t, c).Files().Lstat("sub"); err == nil || !strings.Contains(err.Error(), "belongs elsewhere") {
		t.Error(err)
	}
	c = patched(t, d, tree.super.root, ref, func(item []byte) { item[len(item)-1]++ })
	if info, err := open(t, c).Files().Lstat("sub"); err != nil || info.Sys().(Node).i.missing == 0 {
		t.Error(info, err)
	}
}

// FuzzTree writes 4-byte patches (place, two bytes of offset, byte) on a volume
// and makes its checksums right.
func FuzzTree(f *testing.F) {
	d := treeSeed(f)
	s := open(f, d).super
	places, _ := treePlaces(f, d)
	f.Add([]byte{0, 0, 104, 1})
	f.Add([]byte{1, 0, 120, 0xff, 5, 3, 14, 7})
	f.Fuzz(func(t *testing.T, patches []byte) {
		var undo []func()
		for ; len(patches) >= 4 && len(undo) < 16; patches = patches[4:] {
			p := places[int(patches[0])%len(places)]
			keep := bytes.Clone(d[p.Off:p.End()])
			undo = append(undo, func() { copy(d[p.Off:], keep) })
			d[p.Off+int64(binary.BigEndian.Uint16(patches[1:]))%p.Len] = patches[3]
			p.seal(d)
		}
		if tree, err := readTree(d, s); err == nil {
			readAll(t, tree)
		}
		for _, u := range slices.Backward(undo) {
			u()
		}
	})
}

// FuzzUnpack gives bytes to the three decompressors.
func FuzzUnpack(f *testing.F) {
	for how, b := range packedSamples(f) {
		f.Add(how, b, 4096)
	}
	f.Fuzz(func(t *testing.T, how byte, b []byte, size int) {
		size = max(0, min(size, 128<<10))
		if out, err := unpack(how%4, b, size, 4096); err == nil && len(out) != size {
			t.Errorf("%d bytes instead of %d", len(out), size)
		}
	})
}

// FuzzPieces gives bytes to the parsers of single items.
func FuzzPieces(f *testing.F) {
	f.Add(make([]byte, pieceSize))
	f.Add(append(make([]byte, 200), "a name and more"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePiece(uint64(len(b)), b); err == nil && (p.length < 0 || p.end() < 0 || p.inline != nil && p.how == plain && p.size > int64(len(p.inline))) {
			t.Errorf("%+v", p)
		}
		_ = names(b, func(dirItem) error { return nil })
		_, _ = parseInode(b)
		if c, err := parseSpread(4096, b, &Super{}); err == nil {
			s := space{[]spread{c}}
			if at, run, _, err := s.places(4096, 65536); err == nil && (len(at) == 0 || run <= 0) {
				t.Errorf("%v, %d", at, run)
			}
		}
	})
}

// TestAtOnce reads one tree from many places at once.
func TestAtOnce(t *testing.T) {
	tree := open(t, treeSeed(t)).Files()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if n := readAll(t, tree); n != 0 {
				t.Errorf("%d errors", n)
			}
		})
	}
	group.Wait()
}
