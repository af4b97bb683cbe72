package filesys

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// extentsOf gives the extents of a file.
func extentsOf(t *testing.T, v Volume, path string) (out []block.Extent) {
	t.Helper()
	info, err := v.Files().Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range info.Sys().(Node).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// excluded leaves tmp out of a volume, casts it over garbage with zeros for what
// is left out, and opens that.
func excluded(t *testing.T, d disk) (Volume, Excluded) {
	t.Helper()
	v, x, err := Exclude(opened(t, d), []string{"TMP/**"})
	if err != nil || x.Reason != "" {
		t.Fatal(x, err)
	}
	cast := volumetest.CastOver(t, v.Used(), v.Info().UsedBytes, d)
	for _, e := range v.Zeroed() {
		clear(cast[e.Off:e.End()])
	}
	return opened(t, cast), x
}

func fileBytes(t *testing.T, v Volume, path string) []byte {
	t.Helper()
	b, err := fs.ReadFile(v.Files(), path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExcludeCrossLinked has the chain of a kept file run into that of one that
// matches, on FAT: what both claim is kept.
func TestExcludeCrossLinked(t *testing.T) {
	path := volumetest.Make(t, 40<<20, "dosfstools", "mkfs.vfat", "-F", "32", "-s", "1")
	dir := t.TempDir()
	gone, keep := bytes.Repeat([]byte("gone"), 2000), bytes.Repeat([]byte("keep"), 1000)
	volumetest.Write(t, dir, "tmp/gone", gone)
	volumetest.Write(t, dir, "keep", keep)
	volumetest.RunTool(t, "mtools", "mcopy", "-s", "-i", path, filepath.Join(dir, "tmp"), filepath.Join(dir, "keep"), "::")
	d := volumetest.Load(t, path)
	v, x := excluded(t, d)
	if got := fileBytes(t, v, "tmp/gone"); len(got) != len(gone) || len(bytes.Trim(got, "\x00")) > 0 || x.Files != 1 || x.Bytes != 8192 {
		t.Errorf("%d bytes of zeros, %+v", len(got), x)
	}
	if !bytes.Equal(fileBytes(t, v, "keep"), keep) {
		t.Error("the kept file has changed")
	}
	fresh := opened(t, d)
	info := fresh.Info()
	cluster := func(off int64) int64 { return (off-info.DataStart)/info.ClusterSize + 2 }
	from, into := extentsOf(t, fresh, "keep"), extentsOf(t, fresh, "tmp/gone")
	last, middle := cluster(from[len(from)-1].End())-1, cluster(into[0].Off)+5
	for table := range int64(2) {
		tableSize := (info.DataStart - info.FATOffset) / 2
		binary.LittleEndian.PutUint32(d[info.FATOffset+table*tableSize+4*last:], uint32(middle))
	}
	v, x = excluded(t, d)
	want := bytes.Clone(gone)
	clear(want[:5*512])
	if got := fileBytes(t, v, "tmp/gone"); !bytes.Equal(got, want) || x.Bytes != 5*512 {
		t.Errorf("what a kept file claims was not kept, or more: %+v", x)
	}
}

// TestExcludeOwnFiles has a file that matches claim clusters of the file
// system's own, on exFAT.
func TestExcludeOwnFiles(t *testing.T) {
	path := volumetest.Make(t, 8<<20, "exfatprogs", "mkfs.exfat")
	volumetest.Mount(t, path, func(dir string) { volumetest.Write(t, dir, "tmp/gone", []byte("to be zeros")) }, "exfat-fuse", "mount.exfat-fuse")
	d := volumetest.Load(t, path)
	v, x := excluded(t, d)
	if got := fileBytes(t, v, "tmp/gone"); len(got) != 11 || len(bytes.Trim(got, "\x00")) > 0 || x.Files != 1 {
		t.Errorf("%q, %+v", got, x)
	}
	fresh := opened(t, d)
	info, err := fresh.Files().Lstat("tmp/gone")
	if err != nil {
		t.Fatal(err)
	}
	set := d[info.Sys().(Node).ID():][:96]
	binary.LittleEndian.PutUint32(set[32+20:], 2) // the allocation bitmap
	var sum uint16
	for i, c := range set {
		if i != 2 && i != 3 {
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	binary.LittleEndian.PutUint16(set[2:], sum)
	if _, x = excluded(t, d); x.Bytes != 0 {
		t.Errorf("the allocation bitmap became zeros: %+v", x)
	}
}
