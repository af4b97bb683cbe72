package xfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// seed is a volume of two groups whose trees have two levels, of version 5 or,
// with the checks of that taken off, of version 4.
func seed(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 40<<20, "-b", "size=1024", "-d", "agcount=2", "-m", "reflink=0,finobt=0,inobtcount=0,bigtime=0")
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		name := func(i int) string { return filepath.Join(dir, strconv.Itoa(i%2), strconv.Itoa(i)) }
		for i := range 2 {
			makeDir(t, filepath.Join(dir, strconv.Itoa(i)))
		}
		for i := range 1600 {
			if err := os.WriteFile(name(i), []byte(strings.Repeat("x", 1500)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		volumetest.RunTool(t, "coreutils", "sync", "-f", dir)
		for i := 0; i < 1600; i += 4 {
			if err := errorsOf(os.Remove(name(i)), os.Remove(name(i+1))); err != nil {
				t.Fatal(err)
			}
		}
	})
	return volumetest.Load(t, path)
}

// place is a structure on the volume, with the place of its checksum.
type place struct {
	block.Extent
	crc int
}

// hotPlaces are all structures that Open reads.
func hotPlaces(t testing.TB, d disk) []place {
	t.Helper()
	v := open(t, d)
	s := &v.super
	var out []place
	for no := range s.Groups {
		g, err := v.readGroup(no)
		if err != nil || g.bno.levels < 2 {
			t.Fatalf("%+v, %v", g, err)
		}
		for i, crc := range []int{superCRC, agfCRC, agiCRC, agflCRC} {
			out = append(out, place{block.Extent{Off: g.first*s.BlockSize + int64(i)*s.SectorSize, Len: s.SectorSize}, crc})
		}
		for b := range g.length { // blocks of the trees, by their marks
			off := (g.first + b) * s.BlockSize
			if m := string(d[off : off+4]); m == "AB3B" || m == "AB3C" {
				out = append(out, place{block.Extent{Off: off, Len: s.BlockSize}, btreeCRC})
			}
		}
	}
	return out
}

// seal makes the checksum of a place right again.
func (p place) seal(d disk) {
	b := d[p.Off:p.End()]
	clear(b[p.crc : p.crc+4])
	binary.LittleEndian.PutUint32(b[p.crc:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// exercise opens a volume and checks that its map keeps its promises: it is
// the true one, which holds all that is in use, or everything.
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
		t.Fatalf("a wrong map: %+v\n%v\n%v", f, used, truth)
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
	for n := 0; n < len(d); n += 40009 {
		exercise(t, d[:n], nil)
	}
	for n := 0; n < 40000; n += 97 {
		exercise(t, d[:n], nil)
	}
}

// TestFlips flips one to eight bits in what is read, many times over, half of
// the times with checksums made right again.
func TestFlips(t *testing.T) {
	d := seed(t)
	hot, truth := hotPlaces(t, d), truthOf(t, d)
	rng := rand.New(rand.NewPCG(3, 9))
	for round := range 6000 {
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

// TestFlipsVersion4 does so where there are no checksums.
func TestFlipsVersion4(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 24<<20, "-m", "crc=0", "-b", "size=1024", "-d", "agcount=1", "-p", protoTree(t)))
	v, truth := open(t, d), truthOf(t, d)
	g, err := v.readGroup(0)
	if err != nil {
		t.Fatal(err)
	}
	hot := []block.Extent{{Off: 0, Len: 208}, {Off: 512, Len: 64}, {Off: 1024, Len: 64}, {Off: 1536, Len: 64},
		{Off: g.bno.root * 1024, Len: 64}, {Off: g.cnt.root * 1024, Len: 64}}
	for _, e := range hot {
		for bit := range e.Len * 8 {
			d[e.Off+bit/8] ^= 1 << (bit % 8)
			exercise(t, d, truth)
			d[e.Off+bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestFuzzedByXFSDB has xfs_db write other values into the fields of each kind
// of structure, with checksums that are right.
func TestFuzzedByXFSDB(t *testing.T) {
	path := seed(t).Save(t)
	sound := volumetest.Load(t, path)
	truth := truthOf(t, sound)
	const bno, cnt = "agf 0;addr bnoroot", "agf 0;addr cntroot"
	for _, c := range []struct{ where, fields string }{
		{"sb 0", "blocksize dblocks agblocks agcount logstart logblocks agblklog fdblocks features_incompat features_ro_compat"},
		{"agf 1", "magicnum seqno length bnoroot cntroot bnolevel cntlevel flfirst fllast flcount freeblks longest btreeblks uuid"},
		{"agi 0", "seqno length root"},
		{"agfl 0", "seqno bno[1] uuid"},
		{bno, "level numrecs leftsib rightsib bno owner uuid ptrs[1]"},
		{cnt, "magic level numrecs leftsib bno owner ptrs[1]"},
		{bno + ";addr ptrs[1]", "numrecs rightsib recs[1].startblock recs[2].blockcount recs[9].startblock"},
		{cnt + ";addr ptrs[1]", "numrecs rightsib recs[1].startblock recs[2].blockcount recs[9].startblock"},
	} {
		for field := range strings.FieldsSeq(c.fields) {
			for _, verb := range []string{"firstbit", "lastbit", "zeroes"} {
				var args []string
				for command := range strings.SplitSeq(c.where+";fuzz -d "+field+" "+verb, ";") {
					args = append(args, "-c", command)
				}
				out := volumetest.RunTool(t, "xfsprogs", "xfs_db", append([]string{"-x", "-f"}, append(args, path)...)...)
				d := volumetest.Load(t, path)
				if bytes.Equal(d, sound) && verb != "zeroes" {
					t.Errorf("%s of %s was not changed by %s: %s", field, c.where, verb, out)
				}
				exercise(t, d, truth)
				mend(t, path, d, sound)
			}
		}
	}
}

// mend writes back what differs in the file at path, which holds d.
func mend(t testing.TB, path string, d, sound disk) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off := 0; off < len(d); off += 4096 {
		if was := sound[off:min(off+4096, len(d))]; !bytes.Equal(d[off:off+len(was)], was) {
			if _, err := f.WriteAt(was, int64(off)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRefused is what the format allows and this package does not read, or
// what it must see by itself.
func TestRefused(t *testing.T) {
	sound := seed(t)
	hot := hotPlaces(t, sound)
	second := hot[slices.IndexFunc(hot, func(p place) bool { return p.Off >= 20<<20 }):]
	trees := hot[4:slices.IndexFunc(hot, func(p place) bool { return p.Off >= 20<<20 })]
	leaf := trees[slices.IndexFunc(trees, func(p place) bool {
		return sound[p.Off+5] == 0 && sound[p.Off+3] == 'B' && string(sound[p.Off+8:p.Off+12]) != "\xff\xff\xff\xff"
	})]
	for _, c := range []struct {
		want string
		at   place
		off  int64
		put  []byte
	}{
		{"needing repair", hot[0], offIncompat + 3, []byte{0x13}},
		{"metadata directory", hot[0], offIncompat + 2, []byte{1}},
		{"incompatible features 0x8000000", hot[0], offIncompat, []byte{8}},
		{"read-only compatible features 0x10", hot[0], offROCompat + 3, []byte{0x10}},
		{"features 0x2 of the log", hot[0], offLogIncompat + 3, []byte{2}},
		{"realtime", hot[0], 23, []byte{1}},
		{"another device", hot[0], 48, make([]byte, 8)},
		{"in progress", hot[0], 126, []byte{1}},
		{"superblock counts", hot[0], 151, []byte{sound[151] ^ 1}},
		{"number of blocks is", second[0], 14, []byte{0x9f}},
		{"another volume", second[0], 32, []byte("another")},
		{"another volume", second[1], agfUUID, []byte("another")},
		{"it is of group 0", second[1], 11, []byte{0}},
		{"version at offset 4", second[2], 7, []byte{2}},
		{"another group", second[3], 7, []byte{0}},
		{"height of a tree", hot[1], levelBno + 3, []byte{99}},
		{"free blocks at offset 52", hot[1], 52, []byte{0x80}},
		{"none of the", hot[1], rootCnt, []byte{0x80}},
		{"bnobt of allocation group 0 holds", hot[1], 55, []byte{sound[512+55] ^ 1}},
		{"blocks from place", hot[1], 51, []byte{sound[512+51] ^ 1}},
		{"left sibling", leaf, 11, []byte{sound[leaf.Off+11] ^ 1}},
		{"sibling", leaf, 12, []byte{0x7f}},
		{"do not fit", leaf, 6, []byte{9}},
		{"empty leaf", leaf, 6, []byte{0, 0}},
		{"it is of group 1", leaf, btreeOwner + 3, []byte{1}},
		{"lies in sector", leaf, 16, []byte{1}},
		{"does not lie in the group", leaf, header5, []byte{1}},
		{"does not come after", leaf, header5 + 8, sound[leaf.Off+header5 : leaf.Off+header5+8]},
	} {
		d := disk(bytes.Clone(sound))
		copy(d[c.at.Off+c.off:], c.put)
		c.at.seal(d)
		v, err := Open(d)
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		if f := v.Facts(); !strings.Contains(f.WholeReason, c.want) || f.UsedBytes != d.Size() || f.FreeClusters != 0 {
			t.Errorf("%s: %+v", c.want, f)
		}
	}
}

// TestRing gives a tree whose leaves form a circle.
func TestRing(t *testing.T) {
	d := seed(t)
	hot := hotPlaces(t, d)
	var leaves []place
	for _, p := range hot {
		if string(d[p.Off:p.Off+4]) == "AB3B" && d[p.Off+5] == 0 && p.Off < 20<<20 {
			leaves = append(leaves, p)
		}
	}
	last := leaves[slices.IndexFunc(leaves, func(p place) bool { return d[p.Off+12] == 0xff })]
	first := leaves[slices.IndexFunc(leaves, func(p place) bool { return d[p.Off+8] == 0xff })]
	binary.BigEndian.PutUint32(d[last.Off+12:], uint32(first.Off/1024))
	binary.BigEndian.PutUint32(d[first.Off+8:], uint32(last.Off/1024))
	last.seal(d)
	first.seal(d)
	exercise(t, d, block.Extents{})
	binary.BigEndian.PutUint32(d[first.Off+8:], noBlock)
	first.seal(d)
	exercise(t, d, block.Extents{})
}

// TestOtherDevices has logs and realtime devices elsewhere.
func TestOtherDevices(t *testing.T) {
	for option, want := range map[string]string{"-l\x00logdev=": "log lies on another device", "-r\x00rtdev=": "realtime device"} {
		other := filepath.Join(t.TempDir(), "other")
		if err := errorsOf(os.WriteFile(other, nil, 0o600), os.Truncate(other, 64<<20)); err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(option, "\x00")
		v, err := Open(volumetest.Load(t, makeVolume(t, 40<<20, name, value+other)))
		if err != nil {
			t.Fatal(err)
		}
		if f := v.Facts(); !strings.Contains(f.WholeReason, want) || f.UsedBytes != 40<<20 {
			t.Errorf("%+v", f)
		}
	}
}

// FuzzXFS writes 4-byte patches (place, two bytes of offset, byte) on a volume
// and makes its checksums right.
func FuzzXFS(f *testing.F) {
	d := seed(f)
	hot := hotPlaces(f, d)
	f.Add([]byte{0, 0, 4, 1})
	f.Add([]byte{1, 0, 20, 0xff, 9, 0, 14, 7})
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
	f.Fuzz(func(_ *testing.T, b []byte) {
		s, err := ParseSuper(b)
		if err == nil && s.BlockSize*s.Blocks < 0 {
			panic(s)
		}
		if len(b) >= minSector {
			s.Version = int(b[0]&1) + 4
			_, _ = parseNode(b, byNumber(), &s, int(b[1]&3))
			unmounted(b, 0, s.UUID)
			g := group{length: 1000, ring: [3]int64{int64(b[2]), int64(b[3]), int64(b[4])}}
			_ = g.agfl(b, &s)
		}
	})
}

// TestLogDamage flips each bit of the record of an unmount that says so: the
// log is open then.
func TestLogDamage(t *testing.T) {
	d := seed(t)
	v := open(t, d)
	l := ring{v, v.super.LogStart * v.super.BlockSize, v.super.LogBlocks * v.super.BlockSize / unit}
	head, err := l.head()
	if err != nil || head < 2 {
		t.Fatal(head, err)
	}
	record := l.at + (head-2)*unit
	if binary.BigEndian.Uint32(d[record:]) != recordMark {
		t.Fatal("the last record is longer than that of an unmount")
	}
	for _, e := range []block.Extent{{Off: 0, Len: 8}, {Off: 12, Len: 12}, {Off: 40, Len: 4}, {Off: recordUUID, Len: 16}, {Off: unit + 9, Len: 1}} {
		for bit := range e.Len * 8 {
			at, mask := record+e.Off+bit/8, byte(1)<<(bit%8)
			if e.Off == unit+9 && mask != flagUnmount {
				continue
			}
			d[at] ^= mask
			if w, err := Open(d); err != nil || w.Facts().Unsettled == "" {
				t.Errorf("bit %d of byte %d: %+v, %v", bit%8, e.Off+bit/8, w.Facts(), err)
			}
			d[at] ^= mask
		}
	}
}
