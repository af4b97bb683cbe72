package ntfs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"ingot/internal/block"
)

// maxClaims bounds the ranges that are looked for at once: files that are in
// more pieces are kept.
const maxClaims = 1 << 20

// claims are the ranges of files that nothing else must have.
type claims struct {
	files []Unneeded
	all   block.Extents // of the files that are not kept
}

// rivals marks the files whose clusters something else on the volume has too:
// it goes through all records of $MFT. It fails when one of them cannot be
// understood, since it might claim anything.
func (m *mft) rivals(files []Unneeded) error {
	c := &claims{files: files}
	if err := c.eachOther(); err != nil {
		return err
	}
	c.gather()
	return m.eachRecord(func(rec record) error {
		return m.eachRun(rec, func(a attribute, e block.Extent) error {
			if !c.own(rec, a) {
				c.meet(e, rec.number)
			}
			return nil
		})
	})
}

// eachOther marks the files that overlap each other, or themselves.
func (c *claims) eachOther() error {
	type claim struct {
		block.Extent
		file int
	}
	var list []claim
	for i, f := range c.files {
		for _, e := range f.Out {
			list = append(list, claim{e, i})
		}
		if len(list) > maxClaims {
			return fmt.Errorf("the files are in more than %d pieces", maxClaims)
		}
	}
	slices.SortFunc(list, func(a, b claim) int { return cmp.Compare(a.Off, b.Off) })
	top := 0 // the one that reaches furthest so far
	for i := 1; i < len(list); i++ {
		if list[i].Off < list[top].End() {
			c.keep(list[i].file, "its bytes %v are those of %s too", list[i].Extent, c.files[list[top].file].Path)
			c.keep(list[top].file, "its bytes %v are those of %s too", list[i].Extent, c.files[list[i].file].Path)
		}
		if list[i].End() > list[top].End() {
			top = i
		}
	}
	return nil
}

// keep notes the first reason to keep a file.
func (c *claims) keep(i int, format string, args ...any) {
	if c.files[i].Kept == "" {
		c.files[i].Kept = fmt.Sprintf(format, args...)
	}
}

// gather joins what the files have that are not kept.
func (c *claims) gather() {
	var all []block.Extent
	for _, f := range c.files {
		if f.Kept == "" {
			all = append(all, f.Out...)
		}
	}
	c.all = block.NewExtents(all...)
}

// own reports whether an attribute is the contents of one of the files.
func (c *claims) own(rec record, a attribute) bool {
	return a.typ == typeData && a.name == "" &&
		slices.ContainsFunc(c.files, func(f Unneeded) bool { return f.number == rec.owner() && len(f.Out) > 0 })
}

// meet marks the files that have some of the bytes that a record claims.
func (c *claims) meet(e block.Extent, number int64) {
	i := sort.Search(len(c.all), func(i int) bool { return c.all[i].End() > e.Off })
	if i == len(c.all) || c.all[i].Off >= e.End() {
		return
	}
	for i, f := range c.files {
		if slices.ContainsFunc(f.Out, func(o block.Extent) bool { return o.Off < e.End() && e.Off < o.End() }) {
			c.keep(i, "its bytes %v are those of MFT record %d too", e, number)
		}
	}
	c.gather()
}

// recordPiece is how much of $MFT is read at a time.
const recordPiece = 1 << 20

// eachRecord calls do for every record of $MFT in use.
func (m *mft) eachRecord(do func(record) error) error {
	size := m.boot.RecordSize
	total := m.data.valid / size
	buf := make([]byte, recordPiece)
	for first := int64(0); first < total; {
		n := min(total-first, recordPiece/size)
		if _, err := m.data.ReadAt(buf[:n*size], first*size); err != nil {
			return fmt.Errorf("MFT records %d to %d: %w", first, first+n-1, err)
		}
		for i := range n {
			if err := oneRecord(buf[i*size:(i+1)*size], first+i, do); err != nil {
				return fmt.Errorf("MFT record %d: %w", first+i, err)
			}
		}
		first += n
	}
	return nil
}

// oneRecord calls do when the record in b is in use. One that was never
// written is zeros.
func oneRecord(b []byte, number int64, do func(record) error) error {
	if binary.LittleEndian.Uint32(b) == 0 || string(b[:4]) == "FILE" && b[22]&1 == 0 {
		return nil
	}
	rec, err := parseRecord(b, number)
	if err != nil {
		return err
	}
	return do(rec)
}
