package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Byte offsets in an MBR (UEFI 2.10, table 5-1).
const (
	mbrDiskSignature = 440
	mbrFirstSlot     = 446
	mbrSlotLen       = 16
	mbrMagic         = 510
)

// maxLogical is how many links of an extended partition are followed. Windows
// and Linux stop far below.
const maxLogical = 256

// slot is one entry of an MBR or EBR as it lies on the disk.
type slot [mbrSlotLen]byte

func (s slot) status() byte   { return s[0] }
func (s slot) typ() byte      { return s[4] }
func (s slot) start() int64   { return int64(binary.LittleEndian.Uint32(s[8:])) } // sectors
func (s slot) sectors() int64 { return int64(binary.LittleEndian.Uint32(s[12:])) }
func (s slot) used() bool     { return s.sectors() != 0 }
func (s slot) extended() bool { return s.typ() == 0x05 || s.typ() == 0x0F || s.typ() == 0x85 }

// slots are the four entries of a table.
type slots [4]slot

// mbrSlots takes the four entries out of a first sector or an EBR and says
// whether it is signed with 55 AA at all.
func mbrSlots(sector []byte) (t slots, signed bool) {
	if len(sector) < 512 || sector[mbrMagic] != 0x55 || sector[mbrMagic+1] != 0xAA {
		return t, false
	}
	for i := range t {
		copy(t[i][:], sector[mbrFirstSlot+i*mbrSlotLen:])
	}
	return t, true
}

// blank says that no slot is used. A disk that has boot code and a signature
// but no partition is taken as one volume: nothing says what its bytes are, so
// all of them are copied.
func (t slots) blank() bool { return !slices.ContainsFunc(t[:], slot.used) }

// badStatus is the number (from 1) of the first slot whose boot indicator is
// neither 00 nor 80, or 0. Linux takes no table with one for a table.
func (t slots) badStatus() int {
	return 1 + slices.IndexFunc(t[:], func(s slot) bool { return s.status()&0x7F != 0 })
}

// atZero is the number (from 1) of the first used slot that begins at sector 0,
// or 0. Hybrid ISO images have such a one, and others inside of it.
func (t slots) atZero() int {
	return 1 + slices.IndexFunc(t[:], func(s slot) bool { return s.used() && s.start() == 0 })
}

// protective says that the table stands before a GPT: a slot of type EE from
// sector 1, as Linux wants it, or one anywhere in an otherwise sane table.
func (t slots) protective() bool {
	return slices.ContainsFunc(t[:], func(s slot) bool {
		return s.typ() == 0xEE && (s.start() == 1 || t.badStatus() == 0)
	})
}

// plausible says that the used slots make a table one would write: types, and
// ranges inside of a disk of n sectors that do not overlap.
func (t slots) plausible(n int64) bool {
	for i, s := range t {
		if !s.used() {
			continue
		}
		if s.typ() == 0 || s.start() == 0 || s.start()+s.sectors() > n {
			return false
		}
		for _, o := range t[:i] {
			if o.used() && o.start() < s.start()+s.sectors() && s.start() < o.start()+o.sectors() {
				return false
			}
		}
	}
	return t.badStatus() == 0 && !t.blank()
}

// looksLikeFileSystem says that a first sector has the jump and the parameters
// of a FAT, exFAT, NTFS or BitLocker boot sector, which also ends with 55 AA.
// Boot loaders may keep such parameters in an MBR, so that the slots decide.
func looksLikeFileSystem(b []byte) bool {
	if b[0] != 0xE9 && (b[0] != 0xEB || b[2] != 0x90) {
		return false
	}
	for _, oem := range []string{"NTFS    ", "EXFAT   ", "-FVE-FS-"} {
		if bytes.Equal(b[3:11], []byte(oem)) {
			return true
		}
	}
	bytesPerSector, perCluster := binary.LittleEndian.Uint16(b[11:]), b[13]
	reserved, fats, media := binary.LittleEndian.Uint16(b[14:]), b[16], b[21]
	return bytesPerSector >= 512 && bytesPerSector <= 4096 && bytesPerSector&(bytesPerSector-1) == 0 &&
		perCluster != 0 && perCluster&(perCluster-1) == 0 &&
		reserved != 0 && (fats == 1 || fats == 2) && (media == 0xF0 || media >= 0xF8)
}

func parseMBR(m medium, first []byte, t slots) (*Layout, error) {
	l := m.layout(SchemeMBR)
	l.ID = fmt.Sprintf("%08X", binary.LittleEndian.Uint32(first[mbrDiskSignature:]))
	for i, s := range t {
		if err := l.addPrimary(m, s, i+1); err != nil {
			return nil, err
		}
	}
	next := 5
	for _, ext := range l.Extended {
		if err := l.walkExtended(m, ext, &next); err != nil {
			return nil, err
		}
	}
	if err := l.finish(m, maxTrack0); err != nil {
		return nil, err
	}
	if err := l.checkMBR(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(l.Partitions, func(p Partition) bool { return p.MBRType == 0x42 }) {
		l.warn("this is a dynamic disk: its volumes may span disks, and the database at the disk's end lies in no partition")
	}
	l.warnStaleGPT(m)
	return l, nil
}

// addPrimary adds what slot number n of the MBR describes. A slot of type 00
// with a size is a partition for Linux and nothing for Windows: it is kept
// where it can be one.
func (l *Layout) addPrimary(m medium, s slot, n int) error {
	if !s.used() {
		return nil
	}
	p := mbrPartition(m.ss, s, n, 0)
	if p.End() > m.sectors()*m.ss {
		if s.typ() == 0 {
			l.warn("slot %d of the MBR has type 00 and lies outside of the disk: it is ignored", n)
			return nil
		}
		return fmt.Errorf("slot %d of the MBR at byte %d: first sector %d and count %d reach outside of the disk's %d sectors",
			n, mbrFirstSlot+(n-1)*mbrSlotLen, s.start(), s.sectors(), m.sectors())
	}
	if s.extended() {
		l.Extended = append(l.Extended, p)
		return nil
	}
	l.Partitions = append(l.Partitions, p)
	return nil
}

// mbrPartition is the partition that s describes, its start counted in sectors
// of ss bytes from sector base.
func mbrPartition(ss int64, s slot, number int, base int64) Partition {
	return Partition{
		Number: number,
		Off:    (base + s.start()) * ss, Len: s.sectors() * ss,
		Type: fmt.Sprintf("%02X", s.typ()), TypeName: mbrTypeName(s.typ()),
		MBRType: s.typ(), Status: s.status(), Entry: s,
		Active: s.status() == 0x80, ESP: s.typ() == 0xEF, Recovery: s.typ() == 0x27,
	}
}

// walkExtended follows the chain of EBRs in ext. Each holds a logical
// partition, counted from the EBR itself, and a link to the next EBR, counted
// from the start of ext. Logical partitions are numbered from *next.
func (l *Layout) walkExtended(m medium, ext Partition, next *int) error {
	base := ext.Off / m.ss
	seen := map[int64]bool{}
	for at := base; ; {
		if seen[at] {
			return fmt.Errorf("extended partition %d: the link to sector %d goes back to an EBR already seen", ext.Number, at)
		}
		if len(l.EBRs) >= maxLogical {
			return fmt.Errorf("extended partition %d: more than %d EBRs in the chain", ext.Number, maxLogical)
		}
		seen[at] = true
		sec, err := m.read(at, 1)
		if err != nil {
			return fmt.Errorf("extended partition %d: EBR: %w", ext.Number, err)
		}
		t, signed := mbrSlots(sec)
		if !signed && at == base && len(bytes.Trim(sec, "\x00")) == 0 {
			l.warn("extended partition %d begins with zeros where its first EBR should be: it is taken as empty", ext.Number)
			l.EBRs = append(l.EBRs, BootRecord{Off: ext.Off}) // so that a copy has zeros there too
			return nil
		}
		if !signed {
			return fmt.Errorf("extended partition %d: EBR at byte %d: no signature 55 AA at offset 510", ext.Number, at*m.ss)
		}
		link, err := l.addEBR(m, ext, at, sec, t, next)
		if err != nil || link == 0 {
			return err
		}
		at = base + link
	}
}

// addEBR adds the EBR in sector at and its logical partition and returns its
// link, 0 at the end of the chain.
func (l *Layout) addEBR(m medium, ext Partition, at int64, sec []byte, t slots, next *int) (link int64, err error) {
	r := BootRecord{Off: at * m.ss}
	copy(r.Sector[:], sec)
	for i, s := range t {
		where := fmt.Sprintf("extended partition %d: EBR at byte %d: slot %d", ext.Number, r.Off, i+1)
		switch {
		case !s.used():
		case i >= 2 || link != 0 && s.extended() || r.Number != 0 && !s.extended():
			// Two slots are all an EBR has; systems leave garbage in the others.
			l.warn("%s is used, but should not be: it is ignored", where)
		case s.extended():
			if s.start() == 0 || s.start() >= ext.Len/m.ss {
				return 0, fmt.Errorf("%s: the link to sector %d of it leads outside of its %d sectors", where, s.start(), ext.Len/m.ss)
			}
			link = s.start()
		default:
			p := mbrPartition(m.ss, s, *next, at)
			if p.End() > ext.End() {
				return 0, fmt.Errorf("%s: logical partition %d ends at byte %d, behind the extended one, which ends at byte %d", where, p.Number, p.End(), ext.End())
			}
			p.Logical = true
			r.Number = p.Number
			l.Partitions = append(l.Partitions, p)
			*next++
		}
	}
	l.EBRs = append(l.EBRs, r)
	return link, nil
}

// checkMBR finds what finish does not: containers and EBRs that overlap
// partitions. The lists are short: four slots, 256 links.
func (l *Layout) checkMBR() error {
	for _, p := range l.Partitions {
		for _, r := range l.EBRs {
			if r.Off < p.End() && p.Off < r.Off+l.SectorSize {
				return fmt.Errorf("the EBR at byte %d lies inside of partition %d at byte %d", r.Off, p.Number, p.Off)
			}
		}
		for _, e := range l.Extended {
			if !p.Logical && p.Off < e.End() && e.Off < p.End() {
				return fmt.Errorf("partition %d at byte %d overlaps extended partition %d at byte %d", p.Number, p.Off, e.Number, e.Off)
			}
		}
	}
	return nil
}
