package xfs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestFeatures makes volumes with all that mkfs.xfs and the kernel know, fills
// them, and copies them.
func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		size int64
		args string
	}{
		{40 << 20, ""},
		{40<<20 + 512*3, "-m rmapbt=1,reflink=1,finobt=1,inobtcount=1,bigtime=1 -i sparse=1,nrext64=1"},
		{48 << 20, "-m finobt=0,reflink=0 -i sparse=0 -d agcount=1"},
		{96 << 20, "-b size=1024 -d agcount=5 -m rmapbt=1"},
		{96 << 20, "-b size=2048 -s size=2048 -d agcount=2 -l su=256k,size=20m"},
		{64 << 20, "-s size=4096 -d agcount=3 -l sunit=64"},
		{96 << 20, "-b size=16384 -i size=2048"},
		{160 << 20, "-b size=65536 -d agcount=2"},
	} {
		t.Run(c.args, func(t *testing.T) {
			path := makeVolume(t, c.size, strings.Fields(c.args)...)
			open(t, volumetest.Load(t, path))
			volumetest.LoopMounted(t, path, "rw", func(dir string) {
				volumetest.Churn(t, dir, uint64(c.size), 8<<20)
				if !strings.Contains(c.args, "reflink=0") {
					reflinks(t, dir)
				}
			})
			v := checkAgainstTools(t, path, true)
			if f := v.Facts(); f.UsedBytes > c.size*3/4 || f.Version != 5 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// reflinks makes copies that share their blocks, and changes parts of them.
func reflinks(t testing.TB, dir string) {
	t.Helper()
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte(strings.Repeat("iron", 200000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		name := filepath.Join(dir, "new"+strconv.Itoa(i))
		volumetest.RunTool(t, "coreutils", "cp", "--reflink=always", old, name)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("gold"), int64(i)*90000); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
}

// TestVersion4 is for volumes without checksums.
func TestVersion4(t *testing.T) {
	for _, args := range []string{"", "-l lazy-count=0", "-b size=512 -d agcount=3", "-s size=4096 -n ftype=0"} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 128<<20, append(strings.Fields(args), "-m", "crc=0", "-p", protoTree(t))...)
			if v := checkAgainstTools(t, path, false); v.Facts().Version != 4 || v.Facts().UsedBytes > 40<<20 {
				t.Errorf("%+v", v.Facts())
			}
		})
	}
}

// fragment fills a volume with small files and removes each second one.
func fragment(t testing.TB, dir string) {
	t.Helper()
	name := func(i int) string { return filepath.Join(dir, strconv.Itoa(i%50), strconv.Itoa(i)) }
	for i := range 50 {
		if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	full := 0
	for ; os.WriteFile(name(full), []byte(strings.Repeat("x", 1500)), 0o644) == nil; full++ {
	}
	_ = os.Remove(name(full))
	for i := 0; i < full; i += 2 {
		if err := os.Remove(name(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFragmented has trees of three levels, and before that a full volume.
func TestFragmented(t *testing.T) {
	path := makeVolume(t, 60<<20, "-b", "size=1024", "-d", "agcount=1", "-i", "maxpct=90", "-m", "rmapbt=1")
	volumetest.LoopMounted(t, path, "rw", func(dir string) { fragment(t, dir) })
	v := checkAgainstTools(t, path, true)
	g, err := v.readGroup(0)
	if err != nil || g.bno.levels < 3 || g.btreeBlocks < 100 {
		t.Errorf("the volume is no test: %+v, %v", g, err)
	}
}

func TestFullAndEmptied(t *testing.T) {
	path := makeVolume(t, 24<<20)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := 0; os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), make([]byte, 300<<10), 0o644) == nil; i++ {
		}
	})
	if f := checkAgainstTools(t, path, true).Facts(); f.FreeClusters*f.ClusterSize > f.TotalClusters*f.ClusterSize/8 {
		t.Errorf("%+v is not full", f)
	}
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.RunTool(t, "findutils", "find", dir, "-mindepth", "1", "-not", "-name", "1", "-delete")
	})
	checkAgainstTools(t, path, true)
}

// TestGrown has a last group that is short, and copies of the superblock that
// were written later. The volume has not grown over all of the partition yet.
func TestGrown(t *testing.T) {
	path := makeVolume(t, 70<<20, "-d", "agsize=16m,size=40m")
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.RunTool(t, "xfsprogs", "xfs_growfs", "-D", "16000", dir)
		volumetest.Churn(t, dir, 4, 5<<20)
	})
	v := checkAgainstTools(t, path, true)
	if v.super.Groups != 4 || v.super.groupLen(3) >= v.super.GroupBlocks {
		t.Errorf("%+v", v.super)
	}
}

// TestLaps unmounts the volume at many places of its log, in several laps.
func TestLaps(t *testing.T) {
	path := makeVolume(t, 20<<20, "-l", "size=1416b,su=32k", "-d", "agcount=1")
	laps := map[uint32]bool{}
	for i := range 9 {
		volumetest.LoopMounted(t, path, "rw", func(dir string) {
			for k := range 60 + 3*i {
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("f%d-%d", i, k)))
				if err == nil {
					err = f.Sync()
				}
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				os.Remove(f.Name())
			}
		})
		v := open(t, volumetest.Load(t, path))
		lap, err := ring{v, v.super.LogStart * v.super.BlockSize, v.super.LogBlocks * 8}.lap(0)
		if err != nil {
			t.Fatal(err)
		}
		laps[lap] = true
	}
	if len(laps) < 3 {
		t.Errorf("the log was written in the laps %v only", laps)
	}
}

// TestMounted copies the device of a mounted volume: its log is open, what
// recovery does with the free space is not known.
func TestMounted(t *testing.T) {
	path := makeVolume(t, 32<<20)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := range 6 {
			volumetest.Churn(t, filepath.Join(dir, strconv.Itoa(i)), uint64(i), 1<<20)
			volumetest.RunTool(t, "coreutils", "sync", "-f", dir)
			v, err := Open(volumetest.Load(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if f := v.Facts(); f.Unsettled == "" && f.WholeReason == "" {
				t.Errorf("%+v", f)
			}
		}
	})
	open(t, volumetest.Load(t, path))
}

// TestFrozen is a snapshot: the log is open and everything in its place.
func TestFrozen(t *testing.T) {
	path := makeVolume(t, 40<<20, "-m", "rmapbt=1")
	var d disk
	var want map[string]string
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.Churn(t, dir, 2, 5<<20)
		volumetest.RunTool(t, "xfsprogs", "xfs_freeze", "-f", dir)
		defer volumetest.RunTool(t, "xfsprogs", "xfs_freeze", "-u", dir)
		want = volumetest.Hashes(t, dir)
		d = volumetest.Load(t, path)
	})
	v, err := Open(d)
	if err != nil {
		t.Fatal(err)
	}
	f := v.Facts()
	if f.Unsettled == "" || f.WholeReason != "" || len(f.Warnings) == 0 {
		t.Errorf("%+v", f)
	}
	for name, hash := range want { // a frozen volume has its files in their places
		b, err := fs.ReadFile(v.Files(), name)
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); err != nil || got != hash {
			t.Errorf("%s: %v", name, err)
		}
	}
	copied := volumetest.CastOver(t, v.Used(), f.UsedBytes, d).Save(t)
	if got := hashes(t, copied); len(want) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d files of %d", len(got), len(want))
	}
	volumetest.RunTool(t, "xfsprogs", "xfs_repair", "-n", "-f", "-o", "force_geometry", copied)
}

// TestChangeDuringWalk gives a volume another tree between Open and Used.
func TestChangeDuringWalk(t *testing.T) {
	path := makeVolume(t, 24<<20)
	d := volumetest.Load(t, path)
	v := open(t, d)
	volumetest.LoopMounted(t, path, "rw", func(dir string) { volumetest.Churn(t, dir, 3, 1<<20) })
	copy(d, volumetest.Load(t, path))
	var err error
	for _, err = range v.Used().Extents() {
	}
	if err == nil || !strings.Contains(err.Error(), "source is changing") {
		t.Errorf("a changed tree gave %v", err)
	}
}

// TestVersion4Levels gives the bnobt of a volume of version 4, which no kernel
// here fragments, a second level by hand. xfs_repair would want more records in
// each leaf; xfs_db reads them.
func TestVersion4Levels(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 24<<20, "-m", "crc=0", "-b", "size=1024", "-d", "agcount=1", "-p", protoTree(t)))
	v := open(t, d)
	g, err := v.readGroup(0)
	if err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	blockAt := func(n int64) []byte { return d[n*1024 : (n+1)*1024] }
	root, cnt, agf := blockAt(g.bno.root), blockAt(g.cnt.root), d[512:1024]
	start, n := be.Uint32(root[header4:]), be.Uint32(root[header4+4:])
	if be.Uint16(root[6:]) != 1 || int64(n) != g.free {
		t.Fatalf("the volume is no test: %d extents, the first of %d blocks", be.Uint16(root[6:]), n)
	}
	// Two blocks in the only extent become leaves, one for each side.
	first := start + 100
	sides := [][]byte{
		be.AppendUint32(be.AppendUint32(nil, start), 100),
		be.AppendUint32(be.AppendUint32(nil, first+2), n-102),
	}
	most := (1024 - header4) / (recordSize + pointerSize)
	for i, record := range sides {
		leaf := blockAt(int64(first) + int64(i))
		clear(leaf)
		copy(leaf, "ABTB\x00\x00\x00\x01")
		be.PutUint32(leaf[8:], []uint32{noBlock, first}[i])
		be.PutUint32(leaf[12:], []uint32{first + 1, noBlock}[i])
		copy(leaf[header4:], record)
		copy(root[header4+i*recordSize:], record)
		copy(cnt[header4+i*recordSize:], record)
		be.PutUint32(root[header4+most*recordSize+i*pointerSize:], first+uint32(i))
	}
	be.PutUint16(root[4:], 1)
	be.PutUint16(root[6:], 2)
	be.PutUint16(cnt[6:], 2)
	be.PutUint32(agf[levelBno:], 2)
	be.PutUint32(agf[52:], n-2)
	be.PutUint32(agf[56:], n-102)
	be.PutUint32(agf[60:], uint32(g.btreeBlocks+2))
	v = open(t, d)
	checkNumbers(t, v, d.Save(t))
}
