package ntfs

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// wornVolume has a file in many runs, described by several records, and a
// folder with index blocks. It gives the numbers of both.
func wornVolume(t *testing.T) (d disk, file, dir int64) {
	t.Helper()
	path := makeVolume(t, 9<<20, "-c", "512")
	mounted(t, path, "rw", func(dir string) {
		wear(t, dir)
		writeFile(t, dir+"/many.txt", content(1_200_000, 8))
	})
	d = volumetest.Load(t, path)
	return d, numberOf(t, d, "many.txt"), numberOf(t, d, "worn")
}

func numberOf(t *testing.T, d disk, path string) int64 {
	t.Helper()
	ref, found, err := open(t, d).lookup(path)
	if err != nil || !found {
		t.Fatal(path, found, err)
	}
	return int64(ref & (1<<48 - 1))
}

// placeOf is where a record is on the volume, whatever the runs of $MFT.
func placeOf(t *testing.T, d disk, number int64) []byte {
	t.Helper()
	v := open(t, d)
	off := number * v.boot.RecordSize
	s := &v.mft.data
	r := s.runs[0]
	for _, r = range s.runs {
		if (r.vcn+r.n)*s.clusterSize > off {
			break
		}
	}
	at := r.lcn*s.clusterSize + off - r.vcn*s.clusterSize
	if (r.vcn+r.n)*s.clusterSize < off+v.boot.RecordSize {
		t.Fatalf("record %d is in two runs", number)
	}
	return d[at : at+v.boot.RecordSize]
}

// touch writes a record anew with the same contents: its update sequence number
// is another one.
func touch(b []byte) {
	off := int(binary.LittleEndian.Uint16(b[4:]))
	b[off]++
	for end := 510; end < len(b); end += 512 {
		copy(b[end:], b[off:off+2])
	}
}

// extensions are the records of a file behind its base record.
func extensions(t *testing.T, d disk, file int64) (out []int64) {
	t.Helper()
	v := open(t, d)
	for i := int64(firstFile); i < v.mft.count(); i++ {
		if rec, err := v.mft.record(i); err == nil && rec.base != 0 && rec.owner() == file {
			out = append(out, i)
		}
	}
	return out
}

// wholeFile says whether all clusters of a file are to be read, and whether none
// of its data is.
func wholeFile(t *testing.T, now, was disk, file int64) (all, none bool) {
	t.Helper()
	must, reason := told(t, now, was, StateOptions{Granule: 512})
	if reason != "" {
		t.Fatal(reason)
	}
	v := open(t, now)
	rec, err := v.mft.record(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.mft.open(rec, typeData, "")
	if err != nil {
		t.Fatal(err)
	}
	need := bytesIn(t, block.Whole(now.Size()), s.extents())
	read := bytesIn(t, must, s.extents())
	return read == need, read < need/2
}

// TestOneRecordTells changes one record of a file of many.
func TestOneRecordTells(t *testing.T) {
	was, file, _ := wornVolume(t)
	ext := extensions(t, was, file)
	if len(ext) < 2 {
		t.Fatalf("%d extension records: the volume is no test", len(ext))
	}
	if _, none := wholeFile(t, was, was, file); !none {
		t.Error("an unchanged file is read")
	}
	for name, number := range map[string]int64{"base": file, "first": ext[0], "last": ext[len(ext)-1]} {
		now := disk(bytes.Clone(was))
		touch(placeOf(t, now, number))
		if all, _ := wholeFile(t, now, was, file); !all {
			t.Errorf("%s record changed: the file is not read whole", name)
		}
	}
	for _, gone := range ext {
		without := disk(bytes.Clone(was))
		b := placeOf(t, without, gone)
		b[22] &^= flagInUse
		touch(b)
		if all, _ := wholeFile(t, was, without, file); !all {
			t.Errorf("record %d was not in use before: the file is not read whole", gone)
		}
		// The other way round the base record need not show it either.
		must, _ := told(t, without, was, StateOptions{Granule: 512})
		left := dataOf(t, without, append(slices.DeleteFunc(slices.Clone(ext), func(n int64) bool { return n == gone }), file))
		if n := bytesIn(t, must, left); n == 0 || n != bytesIn(t, block.Whole(was.Size()), left) {
			t.Errorf("record %d was taken out of use: %d bytes of what is left of the file are read", gone, n)
		}
	}
}

// dataOf are the places of the data that some records describe.
func dataOf(t *testing.T, d disk, records []int64) (out []block.Extent) {
	t.Helper()
	v := open(t, d)
	for _, number := range records {
		rec, err := v.mft.record(number)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rec.attrs {
			if rec.attrs[i].typ == typeData && !rec.attrs[i].resident {
				s := &stream{clusterSize: 512}
				s.runs, _ = decodeRuns(nil, rec.attrs[i].pairs, 1<<32)
				out = append(out, s.extents()...)
			}
		}
	}
	return out
}

// bytesIn is how many bytes of the extents a map holds.
func bytesIn(t *testing.T, m block.Map, in []block.Extent) (n int64) {
	t.Helper()
	for _, e := range in {
		one, err := block.Bytes(block.Clip(m, e.Off, e.Len))
		if err != nil {
			t.Fatal(err)
		}
		n += one
	}
	return n
}

// TestMetadataIsAlwaysRead changes what no record tells of: index blocks, an
// attribute list in clusters, the backup boot sector.
func TestMetadataIsAlwaysRead(t *testing.T) {
	was, file, dir := wornVolume(t)
	v := open(t, was)
	places := map[string]block.Extent{"backup boot sector": {Off: was.Size() - 512, Len: 512}}
	for name, a := range map[string]struct {
		number int64
		typ    uint32
	}{"index": {dir, typeIndexAllocation}, "list": {file, typeAttributeList}} {
		rec, err := v.mft.record(a.number)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rec.attrs {
			if rec.attrs[i].typ == a.typ && !rec.attrs[i].resident {
				runs, _ := decodeRuns(nil, rec.attrs[i].pairs, 1<<32)
				places[name] = block.Extent{Off: runs[0].lcn * 512, Len: runs[0].n * 512}
			}
		}
	}
	if len(places) != 3 {
		t.Fatalf("the volume is no test: %v", places)
	}
	must, reason := told(t, was, was, StateOptions{Granule: 512})
	if reason != "" {
		t.Fatal(reason)
	}
	for name, e := range places {
		if n := bytesIn(t, must, []block.Extent{e}); n != e.Len {
			t.Errorf("%s: %d bytes of %d are read", name, n, e.Len)
		}
	}
}
