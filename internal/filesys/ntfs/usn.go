package ntfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// usnPage is the unit in which the change journal is written; no record
	// lies across the border of one (FSCTL_READ_USN_JOURNAL, USN_PAGE_SIZE).
	usnPage = 4096
	// maxJournal is how much of a change journal is read. Windows keeps 32 MiB
	// to a few hundred unless told otherwise.
	maxJournal = 4 << 30
	// maxOpenFiles bounds the memory for the files that are open at one place
	// of the journal.
	maxOpenFiles = 1 << 20

	reasonClose = 0x80000000
)

// journal is the change journal of a volume, $Extend\$UsnJrnl. A USN is the
// offset of its record in the stream $J.
type journal struct {
	data        *stream
	id          uint64
	first, next int64 // the USNs of the oldest record kept, and of the next to come
}

// journal finds the change journal; nil when the volume has none. The stream
// $Max says which one it is: u64 maximum size, u64 allocation delta, u64 id,
// i64 lowest valid USN (ntfs-3g and libfsntfs describe both streams; the
// records are Microsoft's USN_RECORD_V2 to V4).
func (v *Volume) journal() (*journal, error) {
	ref, found, err := v.lookup(`$Extend\$UsnJrnl`)
	if err != nil || !found {
		return nil, err
	}
	rec, err := v.mft.byReference(ref)
	if err != nil {
		return nil, err
	}
	head, err := v.mft.open(rec, typeData, "$Max")
	if err != nil {
		return nil, err
	}
	b := make([]byte, 32)
	if _, err := head.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("$UsnJrnl:$Max: %w", err)
	}
	j := &journal{id: binary.LittleEndian.Uint64(b[16:])}
	if j.data, err = v.mft.open(rec, typeData, "$J"); err != nil {
		return nil, err
	}
	j.next = j.data.size
	j.first = max(j.data.allocated(), int64(binary.LittleEndian.Uint64(b[24:])))
	if j.first > j.next || j.first < 0 {
		return nil, fmt.Errorf("$UsnJrnl: its first record is at %d of %d", j.first, j.next)
	}
	if j.next-j.first > maxJournal {
		return nil, fmt.Errorf("$UsnJrnl: %d bytes are more than are read", j.next-j.first)
	}
	return j, nil
}

// allocated is the offset of the first byte that is in a cluster: the front of a
// change journal is given back as it goes on.
func (s *stream) allocated() int64 {
	if s.resident != nil {
		return 0
	}
	for _, r := range s.runs {
		if r.lcn != sparse {
			return min(r.vcn*s.clusterSize, s.size)
		}
	}
	return s.size
}

// usnRecord is one record: what happened to a file since it was opened.
type usnRecord struct {
	usn    int64
	file   int64 // MFT record
	reason uint32
}

// records walks the records from the first one on.
func (j *journal) records(ctx context.Context, f func(usnRecord) error) error {
	buf := make([]byte, pieceSize)
	for off := j.first &^ (usnPage - 1); off < j.next; off += pieceSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(pieceSize, j.next-off)]
		if _, err := j.data.ReadAt(b, off); err != nil {
			return fmt.Errorf("$UsnJrnl: %w", err)
		}
		for at := 0; at < len(b); at += usnPage {
			page := b[at:min(at+usnPage, len(b))]
			if err := usnRecords(page, off+int64(at), j.first, f); err != nil {
				return fmt.Errorf("$UsnJrnl: %w", err)
			}
		}
	}
	return nil
}

// usnRecords gives the records of a page, the first of whose bytes is at USN
// base, from USN first on. A length of zero ends the page.
func usnRecords(page []byte, base, first int64, f func(usnRecord) error) error {
	for at := int(max(first-base, 0)); at+8 <= len(page); {
		n := int64(binary.LittleEndian.Uint32(page[at:]))
		if n == 0 {
			return nil
		}
		if n > int64(len(page)-at) || n%8 != 0 {
			return fmt.Errorf("record at USN %d: length %d, of %d bytes", base+int64(at), n, len(page)-at)
		}
		rec, err := parseUSN(page[at : at+int(n)])
		if err == nil && rec.usn != base+int64(at) {
			err = fmt.Errorf("it says it is at USN %d", rec.usn)
		}
		if err != nil {
			return fmt.Errorf("record at USN %d: %w", base+int64(at), err)
		}
		if err := f(rec); err != nil {
			return err
		}
		at += int(n)
	}
	return nil
}

// parseUSN reads a record of version 2, 3 or 4 (winioctl.h, USN_RECORD_V2,
// USN_RECORD_V3, USN_RECORD_V4). The file ids of the latter two have 16 bytes,
// of which NTFS uses eight.
func parseUSN(b []byte) (r usnRecord, err error) {
	major := 0
	if len(b) >= 8 {
		major = int(binary.LittleEndian.Uint16(b[4:]))
	}
	var usn, reason, least int
	switch major {
	case 2:
		usn, reason, least = 24, 40, 60
	case 3:
		usn, reason, least = 40, 56, 76
	case 4:
		usn, reason, least = 40, 48, 64
	default:
		return r, fmt.Errorf("version %d at offset 4", major)
	}
	if len(b) < least {
		return r, fmt.Errorf("length %d, a record of version %d has %d", len(b), major, least)
	}
	return usnRecord{
		usn:    int64(binary.LittleEndian.Uint64(b[usn:])),
		file:   int64(binary.LittleEndian.Uint64(b[8:]) & (1<<48 - 1)),
		reason: binary.LittleEndian.Uint32(b[reason:]),
	}, nil
}

// journals has files read whose changes the MFT need not show yet: those that
// were open for writing at either time, which the journal shows by a last
// record without CLOSE, and those with a record since.
func (s *survey) journals() error {
	a, err := s.now.journal()
	if err != nil {
		return fmt.Errorf("its change journal cannot be read: %w", err)
	}
	b, err := s.was.journal()
	if err != nil {
		return fmt.Errorf("its change journal cannot be read in the backup: %w", err)
	}
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil || b == nil:
		return errors.New("its change journal was made or deleted since the last backup")
	case a.id != b.id:
		return errors.New("its change journal is another one than at the last backup")
	case a.first > b.next:
		return fmt.Errorf("its change journal begins at %d, behind %d, where it was at the last backup", a.first, b.next)
	case a.next < b.next:
		return fmt.Errorf("its change journal was at %d at the last backup, and is at %d", b.next, a.next)
	}
	for _, j := range []*journal{b, a} {
		if err := s.open(j, b.next); err != nil {
			return err
		}
	}
	return nil
}

// open has files read that are open at the end of a journal, or have a record
// from USN since on.
func (s *survey) open(j *journal, since int64) error {
	open := make(map[int64]struct{})
	err := j.records(s.ctx, func(r usnRecord) error {
		if r.usn >= since {
			s.changed.set(r.file)
		}
		if r.reason&reasonClose != 0 {
			delete(open, r.file)
			return nil
		}
		open[r.file] = struct{}{}
		if len(open) > maxOpenFiles {
			return errors.New("its change journal shows too many open files to note")
		}
		return nil
	})
	for file := range open {
		s.changed.set(file)
	}
	return err
}
