package btrfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// seed is a volume with metadata once and an extent tree of two levels.
func seed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 120<<20, "-n", "4096", "-m", "single")
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.Churn(t, dir, 11, 3<<20)
		for i := range 150 {
			writeFile(t, dir+"/f"+strconv.Itoa(i), bytes.Repeat([]byte("x"), 4097))
		}
	})
	return volumetest.Load(t, path)
}

// place is a structure on the device that begins with its checksum.
type place struct {
	block.Extent
	tree uint64 // 0: superblock
}

// hotPlaces are all structures that Open reads.
func hotPlaces(t testing.TB, d disk) []place {
	t.Helper()
	v := open(t, d)
	out := []place{{block.Extent{Off: superOffset, Len: superSize}, 0}}
	var collect func(r root)
	collect = func(r root) {
		n, err := v.read(make([]byte, v.super.NodeSize), r)
		if err != nil {
			t.Fatal(err)
		}
		c := v.chunks.find(r.at, v.super.NodeSize)
		for _, at := range c.at[:c.copies] {
			out = append(out, place{block.Extent{Off: at + int64(r.at) - c.logical, Len: v.super.NodeSize}, r.owner})
		}
		for i := 0; r.level > 0 && i < n.count; i++ {
			collect(n.child(i, r.owner))
		}
	}
	roots := []root{v.super.root, v.super.chunkRoot}
	for _, id := range []uint64{treeExtent, treeDevice, treeFreeSpace} {
		r, err := v.findRoot(id)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, r)
	}
	for _, r := range roots {
		collect(r)
	}
	return out
}

// seal makes the CRC32C of a place right again.
func (p place) seal(d disk) {
	binary.LittleEndian.PutUint32(d[p.Off:], crc32.Checksum(d[p.Off+sumSize:p.End()], crc32.MakeTable(crc32.Castagnoli)))
}

// exercise opens a volume and checks that its map keeps its promises: it is
// the true one or everything.
func exercise(t testing.TB, r block.Reader, truth block.Extents) {
	t.Helper()
	start := time.Now()
	v, err := Open(r)
	if err != nil {
		return
	}
	var used block.Extents
	for e, err := range v.Used().Extents() {
		if err != nil {
			t.Fatalf("a map that was proven: %v", err)
		}
		used = append(used, e)
	}
	n, _ := block.Bytes(used)
	if !slices.Equal(used, block.NewExtents(used...)) || n != v.Facts().UsedBytes {
		t.Fatalf("%d bytes in %v: %+v", n, used, v.Facts())
	}
	if f := v.Facts(); f.WholeReason == "" && truth != nil && !slices.Equal(used, truth) {
		for i := range min(len(used), len(truth)) {
			if used[i] != truth[i] {
				t.Fatalf("a wrong map: %+v\n%v instead of %v", f, used[i], truth[i])
			}
		}
		t.Fatalf("a wrong map: %+v\n%d extents instead of %d", f, len(used), len(truth))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("took %v", took)
	}
}

// truthOf is the used map of a sound volume.
func truthOf(t testing.TB, d disk) (out block.Extents) {
	t.Helper()
	for e, err := range open(t, d).Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestTruncations(t *testing.T) {
	d := seed(t)
	for n := 0; n < len(d); n += 400009 {
		exercise(t, d[:n], nil)
	}
	for n := superOffset; n < superOffset+superSize; n += 17 {
		exercise(t, d[:n], nil)
	}
}

// TestFlips flips one to eight bits in what is read, many times over, half of
// the times with checksums made right again, as memory that fails does.
func TestFlips(t *testing.T) {
	d := seed(t)
	hot, truth := hotPlaces(t, d), truthOf(t, d)
	rng := rand.New(rand.NewPCG(3, 9))
	for round := range 4000 {
		p := hot[rng.IntN(len(hot))]
		keep := bytes.Clone(d[p.Off:p.End()])
		for range 1 << rng.IntN(4) {
			d[p.Off+rng.Int64N(p.Len)] ^= 1 << rng.IntN(8)
		}
		if round%2 == 0 {
			p.seal(d)
		}
		exercise(t, d, truth)
		copy(d[p.Off:], keep)
	}
}

// TestSecondCopy damages all first copies of metadata, then the second ones.
func TestSecondCopy(t *testing.T) {
	path := makeVolume(t, 120<<20, "-m", "dup")
	d := volumetest.Load(t, path)
	truth, v := truthOf(t, d), open(t, d)
	damage := func(which int) {
		for _, p := range hotPlaces(t, volumetest.Load(t, path))[1:] {
			for _, c := range v.chunks {
				if off := p.Off - c.at[which]; off >= 0 && off < c.length {
					d[p.Off+200] ^= 4
				}
			}
		}
	}
	damage(0)
	exercise(t, d, truth)
	w, err := Open(d)
	if err != nil || w.Facts().WholeReason != "" || len(w.Facts().Warnings) != 1 {
		t.Fatalf("%+v, %v", w.Facts(), err)
	}
	damage(1)
	w, err = Open(d)
	if err != nil || !strings.Contains(w.Facts().WholeReason, "checksum") {
		t.Fatalf("%+v, %v", w.Facts(), err)
	}
}

// TestRefused is what the format allows and this package does not read, or
// what it must see by itself.
func TestRefused(t *testing.T) {
	sound := seed(t)
	hot := hotPlaces(t, sound)
	find := func(tree uint64, level byte) place {
		return hot[slices.IndexFunc(hot, func(p place) bool { return p.tree == tree && sound[p.Off+offNodeLevel] == level })]
	}
	super, leaf, node, chunk := hot[0], find(treeExtent, 0), find(treeExtent, 1), find(treeChunk, 0)
	device, free := find(treeDevice, 0), find(treeFreeSpace, 0)
	le := binary.LittleEndian
	named := func(p place, kind byte) int64 { // where the key of an item of a kind is
		for i := range int64(le.Uint32(sound[p.Off+offNodeItems:])) {
			if at := nodeHeader + i*itemSize; sound[p.Off+at+8] == kind {
				return at
			}
		}
		t.Fatalf("no item of kind %d", kind)
		return 0
	}
	item := func(p place, kind byte) int64 { // and where its contents are
		return nodeHeader + int64(le.Uint32(sound[p.Off+named(p, kind)+keySize:]))
	}
	flip := func(p place, off int64) []byte { return []byte{sound[p.Off+off] ^ 1} }
	var data place
	var length int64 // where in it the key of an extent of 8 KiB says so
	for _, p := range hot {
		for i := int64(1); p.tree == treeExtent && sound[p.Off+offNodeLevel] == 0 && i < int64(le.Uint32(sound[p.Off+offNodeItems:])); i++ {
			if k := parseKey(sound[p.Off+nodeHeader+i*itemSize:]); k.kind == kindExtent && k.off == 8192 {
				data, length = p, nodeHeader+i*itemSize+9
			}
		}
	}
	last := nodeHeader + (int64(le.Uint32(sound[leaf.Off+offNodeItems:]))-1)*itemSize
	for _, c := range []struct {
		want string
		at   place
		off  int64
		put  []byte
	}{
		{"on 2 devices", super, offDevices, []byte{2}},
		{"flags 0x100000001", super, offFlags, []byte{1, 0, 0, 0, 1}},
		{"incompatible features 0x1000", super, offIncompat + 1, []byte{sound[super.Off+offIncompat+1] | 0x10}},
		{"read-only compatible features 0x100", super, offCompatRO + 1, []byte{1}},
		{"log tree", super, offLogRoot, []byte{0, 0, 1}},
		{"the partition has", super, offDevItem + 8 + 4, []byte{9}},
		{"superblock counts", super, offBytesUsed + 1, flip(super, offBytesUsed+1)},
		{"of chunks at offset", super, offArraySize + 1, []byte{0xff}},
		{"lies in no chunk", super, offChunkRoot + 5, []byte{9}},
		{"instead of", super, offChunkGen, flip(super, offChunkGen)},
		{"is not that of the superblock", super, offDevItem + 16, flip(super, offDevItem+16)},
		{"another device", super, offDevItem + offDevItemUUID, flip(super, offDevItem+offDevItemUUID)},
		{"chunk tree: its device", chunk, item(chunk, kindDevice) + 8, flip(chunk, item(chunk, kindDevice)+8)},
		{"not single or DUP", chunk, item(chunk, kindChunk) + 24, []byte{0x11}},
		{"stripes in", chunk, item(chunk, kindChunk) + 44, []byte{2}},
		{"a length of", chunk, item(chunk, kindChunk), []byte{1}},
		{"do not lie on the device", chunk, item(chunk, kindChunk) + chunkHeader + 8 + 5, []byte{9}},
		{"belongs to tree 3", node, offNodeOwner, []byte{3}},
		{"level at offset", leaf, offNodeLevel, []byte{3}},
		{"another volume", leaf, offNodeFSID, flip(leaf, offNodeFSID)},
		{"that it lies at", leaf, offNodeBytenr + 2, flip(leaf, offNodeBytenr+2)},
		{"its generation", leaf, offNodeGeneration, flip(leaf, offNodeGeneration)},
		{"do not fit", leaf, offNodeItems, []byte{0xff, 0xff}},
		{"does not come after", leaf, last, make([]byte, 6)},
		{"contents of item", leaf, last + keySize + 2, []byte{0xff}},
		{"does not begin with the key", node, nodeHeader + keySize, sound[node.Off+nodeHeader+pointerSize+keySize : node.Off+nodeHeader+pointerSize+pointerSize]},
		{"device tree: at byte", device, item(device, kindDeviceExtent) + 16 + 2, flip(device, item(device, kindDeviceExtent)+16+2)},
		{"device tree: it lacks chunk", device, nodeHeader + (int64(le.Uint32(sound[device.Off+offNodeItems:]))-1)*itemSize, []byte{2}},
		{"free space tree", free, named(free, kindFreeExtent) + 9 + 1, []byte{sound[free.Off+named(free, kindFreeExtent)+9+1] ^ 0x10}},
		{"free space tree", free, named(free, kindFreeExtent) + 8, []byte{kindFreeBitmap}},
		{"its block group says", data, length, []byte{0, 0x10}},
	} {
		d := disk(bytes.Clone(sound))
		copy(d[c.at.Off+c.off:], c.put)
		c.at.seal(d)
		v, err := Open(d)
		var got string
		if err != nil {
			got = err.Error()
		} else if got = v.Facts().WholeReason; v.Facts().UsedBytes != d.Size() || v.Facts().FreeClusters != 0 {
			t.Errorf("%s: %+v", c.want, v.Facts())
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q instead of %q", got, c.want)
		}
	}
}

// TestCopies has a first superblock that is damaged or older than its copy.
func TestCopies(t *testing.T) {
	d := seed(t)
	d[superOffset+offLabel] ^= 1
	if _, err := Open(d); err == nil || !strings.Contains(err.Error(), "copy at byte 67108864 is sound") {
		t.Errorf("%v", err)
	}
	d[superOffset+offLabel] ^= 1
	d[copyOffset1+offGeneration]++
	place{block.Extent{Off: copyOffset1, Len: superSize}, 0}.seal(d)
	if _, err := Open(d); err == nil || !strings.Contains(err.Error(), "generation") {
		t.Errorf("%v", err)
	}
	clear(d[copyOffset1 : copyOffset1+superSize])
	open(t, d)
}

// TestBlockGroupTree reads a volume that mkfs.btrfs 6.19 made with
// -O block-group-tree, which older ones do not know, and Linux 6.18 filled.
func TestBlockGroupTree(t *testing.T) {
	packed, err := os.ReadFile("testdata/block-group-tree.zst")
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	b, err := dec.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := disk(b).Save(t)
	v := checkAgainstTools(t, path, true)
	if v.super.compatRO&compatROBlockGroupTree == 0 {
		t.Errorf("%+v", v.super)
	}
}

// FuzzBtrfs writes 4-byte patches (place, two bytes of offset, byte) on a
// volume and makes its checksums right.
func FuzzBtrfs(f *testing.F) {
	d := seed(f)
	hot := hotPlaces(f, d)
	f.Add([]byte{0, 0, 80, 1})
	f.Add([]byte{1, 0, 100, 0xff, 9, 0, 101, 7})
	f.Fuzz(func(t *testing.T, patches []byte) {
		var undo []func()
		for ; len(patches) >= 4; patches = patches[4:] {
			p := hot[int(patches[0])%len(hot)]
			keep := bytes.Clone(d[p.Off:p.End()])
			undo = append(undo, func() { copy(d[p.Off:], keep) })
			d[p.Off+int64(binary.BigEndian.Uint16(patches[1:]))%p.Len] = patches[3]
			p.seal(d)
		}
		exercise(t, d, nil)
		for _, u := range slices.Backward(undo) {
			u()
		}
	})
}

// FuzzParse gives bytes to the parsers of single structures.
func FuzzParse(f *testing.F) {
	d := seed(f)
	for _, p := range hotPlaces(f, d) {
		f.Add([]byte(d[p.Off:p.End()]))
	}
	sound, err := superAt(d, superOffset)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if s, err := ParseSuper(b, superOffset); err == nil {
			_, _ = systemChunks(&s)
		}
		_, _ = parseChunk(1<<20, b, &sound)
		if len(b) < nodeHeader {
			return
		}
		want := root{at: binary.LittleEndian.Uint64(b[offNodeBytenr:]), level: int(b[offNodeLevel] & 1)}
		place{Extent: block.Extent{Len: int64(len(b))}}.seal(b)
		if n, err := parseNode(b, want, &sound); err == nil {
			for i := range n.count {
				n.key(i)
			}
		}
	})
}
