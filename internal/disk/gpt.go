package disk

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unicode/utf16"
)

// The GPT header (UEFI 2.10, table 5-5): offsets in its sector.
const (
	gptSignature   = "EFI PART"
	hdrRevision    = 8
	hdrSize        = 12
	hdrCRC         = 16
	hdrMyLBA       = 24
	hdrAltLBA      = 32
	hdrFirstUsable = 40
	hdrLastUsable  = 48
	hdrGUID        = 56
	hdrEntriesLBA  = 72
	hdrCount       = 80
	hdrEntrySize   = 84
	hdrEntriesCRC  = 88
	hdrMinSize     = 92
)

// maxEntries is the most bytes an entry array may have. Track 0 ends long
// before; this bounds what is read to find that out.
const maxEntries = 4 << 20

// gptHeader is a header whose checksum is right. LBAs are int64 and far enough
// from overflow to be multiplied by any sector size.
type gptHeader struct {
	sector                             []byte // the whole sector it lies in
	myLBA, altLBA                      int64
	firstUsable, lastUsable            int64
	entriesLBA, count, entrySize       int64
	entriesCRC                         uint32
	id                                 string
	entriesSectors, entriesArrayLength int64
}

// parseHeader takes the header out of the sector lba.
func parseHeader(sec []byte, lba int64) (gptHeader, error) {
	le := binary.LittleEndian
	if len(sec) < 512 || string(sec[:8]) != gptSignature {
		return gptHeader{}, errors.New("no signature EFI PART")
	}
	if r := le.Uint32(sec[hdrRevision:]); r>>16 != 1 {
		return gptHeader{}, fmt.Errorf("revision at offset %d is %08X, not 1.x", hdrRevision, r)
	}
	n := int64(le.Uint32(sec[hdrSize:]))
	if n < hdrMinSize || n > int64(len(sec)) {
		return gptHeader{}, fmt.Errorf("header size at offset %d is %d, not from %d to %d", hdrSize, n, hdrMinSize, len(sec))
	}
	if got, want := headerSum(sec), le.Uint32(sec[hdrCRC:]); got != want {
		return gptHeader{}, fmt.Errorf("header CRC at offset %d is %08X, the header has %08X", hdrCRC, want, got)
	}
	h := gptHeader{
		sector: sec, entriesCRC: le.Uint32(sec[hdrEntriesCRC:]), id: guid(sec[hdrGUID:]),
		count: int64(le.Uint32(sec[hdrCount:])), entrySize: int64(le.Uint32(sec[hdrEntrySize:])),
	}
	for _, f := range []struct {
		name string
		off  int
		to   *int64
	}{
		{"my LBA", hdrMyLBA, &h.myLBA}, {"alternate LBA", hdrAltLBA, &h.altLBA}, {"first usable LBA", hdrFirstUsable, &h.firstUsable},
		{"last usable LBA", hdrLastUsable, &h.lastUsable}, {"partition entry LBA", hdrEntriesLBA, &h.entriesLBA},
	} {
		v := le.Uint64(sec[f.off:])
		if v > math.MaxInt64>>17 {
			return gptHeader{}, fmt.Errorf("%s at offset %d is %d, outside of any disk", f.name, f.off, v)
		}
		*f.to = int64(v)
	}
	return h, h.check(lba, int64(len(sec)))
}

// check compares the fields with each other and sets the sizes of the array.
func (h *gptHeader) check(lba, ss int64) error {
	switch {
	case h.myLBA != lba:
		return fmt.Errorf("my LBA at offset %d is %d, but the header lies at LBA %d", hdrMyLBA, h.myLBA, lba)
	case h.firstUsable > h.lastUsable:
		return fmt.Errorf("first usable LBA at offset %d is %d, behind the last usable LBA %d", hdrFirstUsable, h.firstUsable, h.lastUsable)
	case h.entriesLBA < 2:
		return fmt.Errorf("partition entry LBA at offset %d is %d, on the MBR or the header", hdrEntriesLBA, h.entriesLBA)
	case h.entrySize < 128 || h.entrySize&(h.entrySize-1) != 0:
		return fmt.Errorf("size of an entry at offset %d is %d, not 128 times a power of two", hdrEntrySize, h.entrySize)
	case h.count == 0 || h.count > maxEntries/h.entrySize:
		return fmt.Errorf("number of entries at offset %d is %d, not from 1 to %d", hdrCount, h.count, maxEntries/h.entrySize)
	}
	h.entriesArrayLength = h.count * h.entrySize
	h.entriesSectors = (h.entriesArrayLength + ss - 1) / ss
	return nil
}

// headerSum is the CRC32 of the header in sec, with the CRC field taken as 0.
// The header size has been checked.
func headerSum(sec []byte) uint32 {
	n := binary.LittleEndian.Uint32(sec[hdrSize:])
	sum := crc32.ChecksumIEEE(sec[:hdrCRC])
	sum = crc32.Update(sum, crc32.IEEETable, []byte{0, 0, 0, 0})
	return crc32.Update(sum, crc32.IEEETable, sec[hdrCRC+4:n])
}

// gptTable is a header with its entry array: whole sectors, of which the first
// entriesArrayLength bytes are the array.
type gptTable struct {
	gptHeader
	entries []byte
}

// readGPT reads the table whose header lies at lba; both checksums are right.
func readGPT(m medium, lba int64) (gptTable, error) {
	sec, err := m.read(lba, 1)
	if err != nil {
		return gptTable{}, err
	}
	h, err := parseHeader(sec, lba)
	if err != nil {
		return gptTable{}, err
	}
	entries, err := readEntries(m, h, h.entriesLBA)
	return gptTable{h, entries}, err
}

// readEntries reads the array of h from lba and compares its checksum.
func readEntries(m medium, h gptHeader, lba int64) ([]byte, error) {
	if m.partial && (lba+h.entriesSectors)*m.ss > maxTrack0 {
		return nil, fmt.Errorf("entries: partition entry LBA at offset %d is %d: the array does not lie in track 0", hdrEntriesLBA, lba)
	}
	entries, err := m.read(lba, h.entriesSectors)
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	if got := crc32.ChecksumIEEE(entries[:h.entriesArrayLength]); got != h.entriesCRC {
		return nil, fmt.Errorf("entries CRC at offset %d is %08X, the %d entries have %08X", hdrEntriesCRC, h.entriesCRC, h.count, got)
	}
	return entries, nil
}

func parseGPT(m medium, first []byte) (*Layout, error) {
	l := m.layout(SchemeGPT)
	t, primaryErr := readGPT(m, 1)
	if primaryErr != nil {
		backup, err := findBackup(m)
		if err != nil {
			return nil, fmt.Errorf("the first sector announces a GPT, but neither copy is sound: primary: %w; backup: %w", primaryErr, err)
		}
		l.warn("the primary GPT is damaged (%v): the backup at byte %d is used", primaryErr, backup.myLBA*m.ss)
		t = backup
	}
	l.ID = t.id
	if err := l.addEntries(m, t); err != nil {
		return nil, err
	}
	// Only a disk without partitions has track 0 end at the last usable sector.
	if err := l.finish(m, (t.lastUsable+1)*m.ss); err != nil {
		return nil, err
	}
	if primaryErr != nil {
		t = t.asPrimary(m, l)
	}
	if end := (t.entriesLBA + t.entriesSectors) * m.ss; end > int64(len(l.Track0)) {
		return nil, fmt.Errorf("the GPT entries at bytes %d to %d do not lie in track 0, which has %d bytes", t.entriesLBA*m.ss, end, len(l.Track0))
	}
	if primaryErr != nil {
		copy(l.Track0[m.ss:], t.sector)
		copy(l.Track0[t.entriesLBA*m.ss:], t.entries)
	}
	l.checkUsable(m, t)
	l.checkMBRSlots(first)
	if !m.partial {
		l.checkBackup(m, t)
	}
	return l, nil
}

// findBackup looks for a sound backup in the last sector, and where a damaged
// primary header says.
func findBackup(m medium) (gptTable, error) {
	if m.partial {
		return gptTable{}, errors.New("an image does not keep it")
	}
	last := m.sectors() - 1
	t, err := readGPT(m, last)
	if err == nil {
		return t, nil
	}
	err = fmt.Errorf("at LBA %d: %w", last, err)
	sec, readErr := m.read(1, 1)
	if readErr != nil || len(sec) < hdrMinSize {
		return t, err
	}
	if alt := binary.LittleEndian.Uint64(sec[hdrAltLBA:]); alt > 1 && alt < uint64(last) {
		if t, altErr := readGPT(m, int64(alt)); altErr == nil {
			return t, nil
		}
	}
	return t, err
}

// asPrimary makes the primary table out of the backup t. Its entries go where
// the damaged header says when that can be believed, since a table that was
// moved leaves room for a boot loader in front of it; else to LBA 2.
func (t gptTable) asPrimary(m medium, l *Layout) gptTable {
	at := int64(2)
	if sec, err := m.read(1, 1); err == nil {
		h, headerErr := parseHeader(sec, 1)
		raw := int64(binary.LittleEndian.Uint64(sec[hdrEntriesLBA:]))
		if room := int64(len(l.Track0))/m.ss - t.entriesSectors; raw >= 2 && raw <= room {
			_, entriesErr := readEntries(m, t.gptHeader, raw)
			if entriesErr == nil || headerErr == nil && h.entriesArrayLength == t.entriesArrayLength {
				at = raw
			}
		}
	}
	t.altLBA, t.myLBA, t.entriesLBA = t.myLBA, 1, at
	t.sector = t.encode()
	return t
}

// encode is the header's sector with the LBAs of h and a new checksum.
func (h gptHeader) encode() []byte {
	sec, le := slices.Clone(h.sector), binary.LittleEndian
	le.PutUint64(sec[hdrMyLBA:], uint64(h.myLBA))
	le.PutUint64(sec[hdrAltLBA:], uint64(h.altLBA))
	le.PutUint64(sec[hdrLastUsable:], uint64(h.lastUsable))
	le.PutUint64(sec[hdrEntriesLBA:], uint64(h.entriesLBA))
	le.PutUint32(sec[hdrCRC:], headerSum(sec))
	return sec
}

// addEntries adds the partitions of t: entries of UEFI 2.10, table 5-6, whose
// type is not zero.
func (l *Layout) addEntries(m medium, t gptTable) error {
	le := binary.LittleEndian
	for i := range t.count {
		e := t.entries[i*t.entrySize:][:t.entrySize]
		typ := guid(e)
		if [16]byte(e) == [16]byte{} {
			continue
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if last < first {
			return fmt.Errorf("GPT entry %d: ending LBA %d at offset 40 lies before the starting LBA %d", i+1, last, first)
		}
		if last >= uint64(m.sectors()) {
			return fmt.Errorf("GPT entry %d: ending LBA %d at offset 40 lies outside of the disk's %d sectors", i+1, last, m.sectors())
		}
		l.Partitions = append(l.Partitions, Partition{
			Number: int(i + 1),
			Off:    int64(first) * m.ss, Len: int64(last-first+1) * m.ss,
			Type: typ, TypeName: gptTypeName(typ), GUID: guid(e[16:]), Attributes: le.Uint64(e[48:]), Name: entryName(e[56:128]),
			ESP: typ == typeESP, MSR: typ == typeMSR, Recovery: typ == typeRecovery,
		})
	}
	return nil
}

// entryName decodes the UTF-16LE name of an entry up to its first zero.
func entryName(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// checkUsable warns of partitions outside of the usable range. Linux takes
// them, so they are copied.
func (l *Layout) checkUsable(m medium, t gptTable) {
	for _, p := range l.Partitions {
		if p.Off < t.firstUsable*m.ss || p.End() > (t.lastUsable+1)*m.ss {
			l.warn("partition %d at byte %d reaches outside of the range the GPT header calls usable, sectors %d to %d", p.Number, p.Off, t.firstUsable, t.lastUsable)
		}
	}
}

// checkMBRSlots warns of slots beside the protective one.
func (l *Layout) checkMBRSlots(first []byte) {
	t, _ := mbrSlots(first)
	if slices.ContainsFunc(t[:], func(s slot) bool { return s.used() && s.typ() != 0xEE }) {
		l.warn("the protective MBR has other partitions too (hybrid MBR): the GPT is used, the MBR is kept as it is")
	}
}

// checkBackup warns when the backup is not what it should be.
func (l *Layout) checkBackup(m medium, t gptTable) {
	last := m.sectors() - 1
	if t.lastUsable >= last {
		l.warn("the GPT calls sectors up to %d usable, but the disk has only %d: it was made for a larger disk", t.lastUsable, m.sectors())
	}
	backup, err := readGPT(m, t.altLBA)
	if err != nil {
		l.warn("the backup GPT at byte %d is missing or damaged: %v", t.altLBA*m.ss, err)
		return
	}
	if t.altLBA != last {
		l.warn("the backup GPT lies at byte %d, not at the disk's end: the disk has grown", t.altLBA*m.ss)
	}
	if backup.id != t.id || backup.count != t.count || backup.entrySize != t.entrySize || backup.entriesCRC != t.entriesCRC {
		l.warn("the backup GPT at byte %d tells of other partitions than the primary: the primary is used", t.altLBA*m.ss)
	}
	tail := min(backup.myLBA, backup.entriesLBA) * m.ss
	for _, p := range l.Partitions {
		if p.End() > tail && p.Off < (backup.myLBA+1)*m.ss {
			l.warn("partition %d at byte %d overlaps the backup GPT, which begins at byte %d", p.Number, p.Off, tail)
		}
	}
}

// detectSector finds the sector size of a GPT disk whose size of sectors is
// unknown: that under which a header is sound, else that under which there is
// the signature of one.
func detectSector(m medium) int64 {
	first := make([]byte, 512)
	if m.fill(first, 0) != nil {
		return 512
	}
	if t, signed := mbrSlots(first); !signed || !t.protective() {
		return 512
	}
	type guess struct{ ss, score int64 }
	best := guess{512, 0}
	for _, ss := range []int64{512, 4096} {
		m.ss = ss
		best = slices.MaxFunc([]guess{best, {ss, headerScore(m)}}, func(a, b guess) int { return cmp.Compare(a.score, b.score) })
	}
	return best.ss
}

// headerScore says how sure it is that a GPT lies on m with its sector size:
// 3 a sound primary header, 2 a sound backup header, 1 a signature, 0 nothing.
func headerScore(m medium) int64 {
	sec, err := m.read(1, 1)
	if err != nil {
		return 0
	}
	if _, err := parseHeader(sec, 1); err == nil {
		return 3
	}
	if !m.partial {
		if end, err := m.read(m.sectors()-1, 1); err == nil {
			if _, err := parseHeader(end, m.sectors()-1); err == nil {
				return 2
			}
		}
	}
	if string(sec[:8]) == gptSignature {
		return 1
	}
	return 0
}
