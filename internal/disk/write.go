package disk

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Write is bytes to be written at an offset of a disk.
type Write struct {
	Off  int64
	Data []byte
}

// Writes gives everything that makes a disk of size bytes carry this table, in
// the order to write it: the backup GPT, the EBRs, track 0, and the first
// sector last of all, so that a disk half written has no table. It also moves
// the backup GPT of a table that was made for a disk of another size and
// corrects the fields that name its place; all else is kept byte for byte.
// The disk must have sectors of l.SectorSize. A size below MinSize is an error.
func (l *Layout) Writes(size int64) ([]Write, error) {
	if least := l.MinSize(); size < least {
		return nil, fmt.Errorf("write partition table: a disk of %d bytes is too small, the partitions need %d bytes", size, least)
	}
	track0 := slices.Clone(l.Track0)
	if int64(len(track0)) < min(l.SectorSize, l.Size) {
		return nil, fmt.Errorf("write partition table: track 0 has %d bytes, less than a sector", len(track0))
	}
	var ws []Write
	if l.Scheme == SchemeGPT {
		backup, err := l.relocate(track0, size)
		if err != nil {
			return nil, fmt.Errorf("write partition table: %w", err)
		}
		ws = append(ws, backup...)
	}
	for _, r := range l.EBRs {
		sector := make([]byte, l.SectorSize)
		copy(sector, r.Sector[:])
		ws = append(ws, Write{r.Off, sector})
	}
	first := min(l.SectorSize, int64(len(track0)))
	if rest := track0[first:]; len(rest) > 0 {
		ws = append(ws, Write{first, rest})
	}
	return append(ws, Write{0, track0[:first]}), nil
}

// MinSize is the size in bytes of the smallest disk this layout fits on,
// counting the backup GPT.
func (l *Layout) MinSize() int64 {
	var end int64
	for _, p := range slices.Concat(l.Partitions, l.Extended) {
		end = max(end, p.End())
	}
	for _, r := range l.EBRs {
		end = max(end, r.Off+l.SectorSize)
	}
	end = max(end, int64(len(l.Track0)))
	if l.Scheme != SchemeGPT {
		return end
	}
	t, err := l.table(l.Track0)
	if err != nil {
		return max(end, l.Size) // Writes tells the error
	}
	sectors := max((end+l.SectorSize-1)/l.SectorSize, t.firstUsable+1)
	return (sectors + t.entriesSectors + 1) * l.SectorSize
}

// table is the primary GPT in track0.
func (l *Layout) table(track0 []byte) (gptTable, error) {
	m := medium{Reader: kept{track0: track0, size: int64(len(track0))}, ss: l.SectorSize, partial: true}
	t, err := readGPT(m, 1)
	if err != nil {
		return t, fmt.Errorf("primary GPT in track 0: %w", err)
	}
	return t, nil
}

// relocate makes the primary GPT in track0 one for a disk of size bytes, when
// it is not yet, and returns the backup for that disk. The backup's entries lie
// right before its header, which lies in the last sector (UEFI 2.10, 5.3.2).
func (l *Layout) relocate(track0 []byte, size int64) ([]Write, error) {
	t, err := l.table(track0)
	if err != nil {
		return nil, err
	}
	ss, last := l.SectorSize, size/l.SectorSize-1
	entries := last - t.entriesSectors
	if t.altLBA != last || t.lastUsable >= entries {
		l.resizeProtective(track0, t.altLBA, last)
		t.altLBA, t.lastUsable = last, entries-1
		copy(track0[ss:], t.encode())
	}
	backup := t.gptHeader
	backup.myLBA, backup.altLBA, backup.entriesLBA = last, 1, entries
	return []Write{{entries * ss, slices.Clone(t.entries)}, {last * ss, backup.encode()}}, nil
}

// resizeProtective makes a protective slot that covered the disk cover the new
// one: its count is the sectors behind the first, or all ones when there are
// more (UEFI 2.10, 5.2.3). One of all ones stays so, as some systems always
// write it, unless the old disk was that large.
func (l *Layout) resizeProtective(track0 []byte, oldLast, last int64) {
	limit := func(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }
	for i := range 4 {
		s := track0[mbrFirstSlot+i*mbrSlotLen:][:mbrSlotLen]
		count := binary.LittleEndian.Uint32(s[12:])
		if s[4] != 0xEE || binary.LittleEndian.Uint32(s[8:]) != 1 {
			continue
		}
		if count == limit(oldLast) || count == limit(l.Size/l.SectorSize-1) {
			binary.LittleEndian.PutUint32(s[12:], limit(last))
		}
	}
}
