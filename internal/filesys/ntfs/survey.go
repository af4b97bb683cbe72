package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

const (
	// maxRecords bounds the sets of records: 32 MiB each.
	maxRecords = 256 << 20
	// recExtend is $Extend. It and all before firstFile are read whole.
	recExtend = 11
	firstFile = 24

	flagInUse, flagFolder = 1, 2 // of a record
)

// survey is one comparison under way: two passes over $MFT, the first side by
// side with the earlier one. It holds a few bits for each record and 8 bytes
// for each folder. Records are known by their number; what is said of a file
// is said of its base record.
type survey struct {
	ctx      context.Context
	now, was *Volume
	must     *marks

	changed bitset // files whose contents have to be read
	large   bitset // files with a stream of largeFile or more
	bare    bitset // files with a name that has no extension
	divided bitset // records of files that have more than one
	folders folders
	runs    []run // of one attribute
}

func (s *survey) run() error {
	n := s.now.mft.count()
	if n > maxRecords {
		return fmt.Errorf("its $MFT has %d records, more than can be compared", n)
	}
	s.sets(n)
	s.ends()
	if err := s.journals(); err != nil {
		return err
	}
	return s.records()
}

// sets makes the sets, of n records.
func (s *survey) sets(n int64) {
	for _, set := range []*bitset{&s.changed, &s.large, &s.bare, &s.divided, &s.folders.deep, &s.folders.shallow} {
		*set = newBitset(n)
	}
}

// records goes through all records.
func (s *survey) records() error {
	if err := s.compare(); err != nil {
		return err
	}
	s.folders.resolve()
	for i := range s.changed {
		s.changed[i] |= s.large[i] & s.bare[i]
	}
	if err := s.places(); err != nil {
		return err
	}
	return s.dividedPlaces()
}

// ends marks what belongs to no file: the boot sector and what lies behind the
// last cluster.
func (s *survey) ends() {
	s.must.add(0, s.now.boot.SectorSize)
	s.must.add(s.now.boot.bytes(), s.now.r.Size()-s.now.boot.bytes())
}

// count is the number of records of $MFT that were ever written.
func (m *mft) count() int64 { return min(m.data.valid, m.data.size) / m.boot.RecordSize }

// pieces reads all records in pieces of about 1 MiB, which are valid until the
// next one.
func (s *survey) pieces(v *Volume, count int64, f func(first int64, b []byte) error) error {
	per := max(pieceSize/v.boot.RecordSize, 1)
	buf := make([]byte, min(per, count)*v.boot.RecordSize)
	for first := int64(0); first < count; first += per {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(per, count-first)*v.boot.RecordSize]
		if _, err := v.mft.data.ReadAt(b, first*v.boot.RecordSize); err != nil {
			return fmt.Errorf("$MFT: %w", err)
		}
		if err := f(first, b); err != nil {
			return err
		}
	}
	return nil
}

// compare is the first pass: records that are not what they were, and what
// their names and sizes say. Fix-ups are compared as they are on the disk: they
// change with each write of a record.
func (s *survey) compare() error {
	size, had := s.now.boot.RecordSize, s.was.mft.count()
	var old []byte
	return s.pieces(s.now, s.now.mft.count(), func(first int64, b []byte) error {
		n := max(min(int64(len(b)), (had-first)*size), 0)
		if int64(cap(old)) < n {
			old = make([]byte, len(b))
		}
		old = old[:n]
		if _, err := s.was.mft.data.ReadAt(old, min(first, had)*size); err != nil {
			return fmt.Errorf("$MFT in the backup: %w", err)
		}
		for i := int64(0); i < int64(len(b)); i += size {
			var before []byte
			if i < n {
				before = old[i : i+size]
			}
			if err := s.record(first+i/size, b[i:i+size], before); err != nil {
				return err
			}
		}
		return nil
	})
}

// record compares one record with what it was, nil when there was none.
func (s *survey) record(number int64, b, old []byte) error {
	same := bytes.Equal(b, old)
	if !same && old != nil {
		rec, ok, err := anyRecord(old, number)
		if err != nil {
			return fmt.Errorf("in the backup: %w", err)
		}
		if ok {
			s.changed.set(rec.owner())
		}
	}
	rec, ok, err := anyRecord(b, number)
	if err != nil || !ok {
		return err
	}
	owner := rec.owner()
	if !same || owner < firstFile {
		s.changed.set(owner)
	}
	if owner != number {
		s.divided.set(owner)
		s.divided.set(number)
	}
	return s.named(&rec, binary.LittleEndian.Uint16(b[22:])&flagFolder != 0)
}

// anyRecord reads a record, which it changes and keeps; ok is false when it is
// not in use.
func anyRecord(b []byte, number int64) (rec record, ok bool, err error) {
	if string(b[:4]) == "FILE" && binary.LittleEndian.Uint16(b[22:])&flagInUse == 0 || zeros(b) {
		return rec, false, nil
	}
	if rec, err = parseRecord(b, number); err != nil {
		return rec, false, fmt.Errorf("MFT record %d: %w", number, err)
	}
	return rec, true, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// places is the second pass: it marks the clusters of all that has to be read,
// as far as what is known of a file when one of its records comes up tells.
func (s *survey) places() error {
	size := s.now.boot.RecordSize
	return s.pieces(s.now, s.now.mft.count(), func(first int64, b []byte) error {
		for i := int64(0); i < int64(len(b)); i += size {
			rec, ok, err := anyRecord(b[i:i+size], first+i/size)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			s.placed(&rec)
			if err := s.mark(&rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// placed has files read that lie in folders whose files are.
func (s *survey) placed(rec *record) {
	for i := range rec.attrs {
		if n, ok, _ := rec.attrs[i].linkName(); ok && (s.folders.deep.has(n.folder) || s.folders.shallow.has(n.folder)) {
			s.changed.set(rec.owner())
		}
	}
}

// dividedPlaces does so once more for the files of several records, of which
// all is known now.
func (s *survey) dividedPlaces() error {
	b := make([]byte, s.now.boot.RecordSize)
	for i := s.divided.next(0, true); i >= 0 && i < s.now.mft.count(); i = s.divided.next(i+1, true) {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if _, err := s.now.mft.data.ReadAt(b, i*int64(len(b))); err != nil {
			return fmt.Errorf("$MFT: %w", err)
		}
		rec, ok, err := anyRecord(b, i)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := s.mark(&rec); err != nil {
			return err
		}
	}
	return nil
}

// mark marks the clusters of a record: of its data if the file is to be read,
// and of all else (indexes, lists, bitmaps, reparse points) always.
func (s *survey) mark(rec *record) error {
	all := s.changed.has(rec.owner())
	for i := range rec.attrs {
		a := &rec.attrs[i]
		if a.resident {
			continue
		}
		var err error
		if s.runs, err = decodeRuns(s.runs[:0], a.pairs, s.now.boot.TotalClusters); err != nil {
			return fmt.Errorf("attribute %#x of MFT record %d: %w", a.typ, rec.number, err)
		}
		if a.typ == typeData && !all {
			continue
		}
		for _, r := range s.runs {
			if r.lcn != sparse {
				s.must.add(r.lcn*s.now.boot.ClusterSize, r.n*s.now.boot.ClusterSize)
			}
		}
	}
	return nil
}
