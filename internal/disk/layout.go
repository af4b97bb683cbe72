package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"ingot/internal/block"
)

// Scheme is the kind of partition table a disk carries.
type Scheme string

// The schemes a Layout can have.
const (
	SchemeGPT  Scheme = "gpt"
	SchemeMBR  Scheme = "mbr"
	SchemeNone Scheme = "none" // no table: the disk is one volume
)

// Layout is how a disk is cut into partitions, with the bytes that say so.
type Layout struct {
	Scheme     Scheme
	SectorSize int64 // bytes in a logical sector
	Size       int64 // bytes on the disk

	// ID names the disk: the disk GUID in upper case (GPT), the disk
	// signature as eight upper-case hex digits (MBR), or "".
	ID string

	// Track0 is the disk from byte 0 to its first partition, at most 1 MiB
	// of it; with SchemeNone the first sector. When the primary GPT was
	// damaged, it is the repaired one here, made from the backup.
	Track0 []byte

	// EBRs are the extended boot records of an MBR disk in chain order.
	EBRs []BootRecord

	// Partitions are those that hold content, in order of offset. The
	// containers of logical partitions are not among them.
	Partitions []Partition

	// Extended are the containers of logical partitions (MBR types 05, 0F
	// and 85).
	Extended []Partition

	// Warnings are what is odd about the table but does no harm to a copy.
	Warnings []string
}

// BootRecord is one extended boot record: the first 512 bytes of its sector.
type BootRecord struct {
	Off    int64 // byte offset on the disk
	Number int   // of the logical partition it describes, 0 when it describes none
	Sector [512]byte
}

// Partition is one partition of a Layout.
type Partition struct {
	// Number is the index of the entry + 1 (GPT); the slot, 1 to 4, of a
	// primary and 5 and up in chain order of a logical partition (MBR);
	// 1 for a disk without a table.
	Number   int
	Off, Len int64 // bytes on the disk

	Type     string // GPT: type GUID in upper case; MBR: two upper-case hex digits; else ""
	TypeName string // usual name of the type

	Name, GUID string // GPT: the entry's name and unique GUID
	Attributes uint64 // GPT: UEFI 2.10, table 5-8

	MBRType, Status byte     // MBR: type and boot indicator
	Entry           [16]byte // MBR: the entry as it lies in the MBR or, for a logical partition, in its EBR

	Active, Logical, ESP, MSR, Recovery bool
}

// End is the offset of the first byte behind the partition.
func (p Partition) End() int64 { return p.Off + p.Len }

// The most of a disk that is kept as track 0.
const maxTrack0 = 1 << 20

// Parse reads the partition table of the disk r. sectorSize is the disk's
// logical sector in bytes, a power of two from 512 to 65536; 0 finds it out
// from where the GPT header lies and takes 512 when there is none.
func Parse(r block.Reader, sectorSize int64) (*Layout, error) {
	return parse(medium{Reader: r}, sectorSize)
}

// FromImage is Parse of what an image keeps of a disk of size bytes: its track
// 0 and its extended boot records. The backup GPT is not looked for. Bytes of
// track0 that lie in the first partition are dropped.
func FromImage(track0 []byte, ebrs []BootRecord, sectorSize, size int64) (*Layout, error) {
	if int64(len(track0)) > size {
		return nil, fmt.Errorf("read partition table of an image: track 0 has %d bytes, the disk only %d", len(track0), size)
	}
	return parse(medium{Reader: kept{track0, ebrs, size}, partial: true}, sectorSize)
}

func parse(m medium, sectorSize int64) (*Layout, error) {
	if sectorSize != 0 && (sectorSize < 512 || sectorSize > 65536 || sectorSize&(sectorSize-1) != 0) {
		return nil, fmt.Errorf("read partition table: a sector of %d bytes is not a power of two from 512 to 65536", sectorSize)
	}
	if m.Size() < 512 {
		return nil, fmt.Errorf("read partition table: the disk has %d bytes, less than a sector", m.Size())
	}
	m.ss = cmp.Or(sectorSize, 512)
	if sectorSize == 0 {
		m.ss = detectSector(m)
	}
	l, err := parseTable(m)
	if err != nil {
		return nil, fmt.Errorf("read partition table: %w", err)
	}
	return l, nil
}

// parseTable decides which table the disk has. The order matters: a protective
// entry is trusted before the other slots are looked at, since firmware and
// Linux do so too, and a table is believed only when it cannot be the boot
// code of a file system.
func parseTable(m medium) (*Layout, error) {
	first := make([]byte, min(m.ss, m.Size()))
	if err := m.fill(first, 0); err != nil {
		return nil, err
	}
	t, signed := mbrSlots(first)
	switch {
	case !signed, t.blank():
		return m.whole(first, "")
	case t.protective():
		return parseGPT(m, first)
	case looksLikeFileSystem(first) && !t.plausible(m.sectors()):
		return m.whole(first, "")
	case t.badStatus() != 0:
		return m.whole(first, fmt.Sprintf("the first sector ends with 55 AA, but slot %d has the boot indicator %02X: no partition table, the disk is taken as one volume",
			t.badStatus(), t[t.badStatus()-1].status()))
	case t.atZero() != 0:
		return m.whole(first, fmt.Sprintf("slot %d of the MBR begins at sector 0 and so holds the table itself: the disk is taken as one volume", t.atZero()))
	}
	return parseMBR(m, first, t)
}

// whole is the Layout of a disk without a table.
func (m medium) whole(first []byte, warning string) (*Layout, error) {
	l := m.layout(SchemeNone)
	l.Track0 = first
	l.Partitions = []Partition{{Number: 1, Len: m.Size(), TypeName: "Whole disk"}}
	if warning != "" {
		l.warn("%s", warning)
	}
	l.warnStaleGPT(m)
	return l, nil
}

func (l *Layout) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// warnStaleGPT tells of a GPT header that nothing points to: no protective MBR
// stands before it, so it is not in force (UEFI 2.10, 5.2.3).
func (l *Layout) warnStaleGPT(m medium) {
	if sec, err := m.read(1, 1); err == nil && bytes.HasPrefix(sec, []byte(gptSignature)) {
		l.warn("a GPT header lies at byte %d, but the first sector is no protective MBR: the GPT is not used", m.ss)
	}
}

// finish puts the partitions in order, checks that no two overlap and cuts out
// track 0. limit is a byte behind which track 0 may not reach.
func (l *Layout) finish(m medium, limit int64) error {
	byOffset := func(a, b Partition) int { return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(a.Number, b.Number)) }
	slices.SortFunc(l.Partitions, byOffset)
	for i := 1; i < len(l.Partitions); i++ {
		if a, b := l.Partitions[i-1], l.Partitions[i]; b.Off < a.End() {
			return fmt.Errorf("partition %d begins at byte %d, inside of partition %d, which ends at byte %d", b.Number, b.Off, a.Number, a.End())
		}
	}
	n := min(maxTrack0, limit, m.Size())
	for _, p := range slices.Concat(l.Partitions, l.Extended) {
		n = min(n, p.Off)
	}
	if k, ok := m.Reader.(kept); ok {
		n = min(n, int64(len(k.track0)))
	}
	l.Track0 = make([]byte, n)
	return m.fill(l.Track0, 0)
}

// medium is what a table is read from, with the size of its sectors.
type medium struct {
	block.Reader
	ss      int64
	partial bool // only what an image keeps is there: no backup GPT
}

// sectors is the number of whole sectors.
func (m medium) sectors() int64 { return m.Size() / m.ss }

// layout is an empty Layout of this medium.
func (m medium) layout(s Scheme) *Layout {
	return &Layout{Scheme: s, SectorSize: m.ss, Size: m.Size()}
}

// fill reads len(p) bytes at off.
func (m medium) fill(p []byte, off int64) error {
	if n, err := m.ReadAt(p, off); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %d bytes at byte %d: %w", len(p), off, err)
	}
	return nil
}

// read reads n sectors from lba. The caller has bounded n.
func (m medium) read(lba, n int64) ([]byte, error) {
	if lba < 0 || n < 0 || lba > m.sectors()-n {
		return nil, fmt.Errorf("sectors %d to %d lie outside of the disk's %d sectors", lba, lba+n-1, m.sectors())
	}
	p := make([]byte, n*m.ss)
	return p, m.fill(p, lba*m.ss)
}

// kept is the disk as far as an image keeps it outside of partitions.
type kept struct {
	track0 []byte
	ebrs   []BootRecord
	size   int64
}

func (k kept) Size() int64 { return k.size }

func (k kept) ReadAt(p []byte, off int64) (int, error) {
	if off >= 0 && off <= int64(len(k.track0)-len(p)) {
		return copy(p, k.track0[off:]), nil
	}
	for i := range k.ebrs {
		if k.ebrs[i].Off == off && off > 0 {
			n := copy(p, k.ebrs[i].Sector[:])
			clear(p[n:])
			return len(p), nil
		}
	}
	return 0, errors.New("the image does not keep these bytes")
}
