package disk

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Drawing is a partition table that is to be made: what Layout makes of it is as
// if it had been read from a disk.
type Drawing struct {
	Scheme     Scheme // SchemeGPT or SchemeMBR
	SectorSize int64
	Size       int64  // of the disk, in bytes
	ID         string // disk GUID, or signature of eight hex digits; "" draws one
	Partitions []Drawn
}

// Drawn is a partition of a Drawing. MBR disks have up to four, primary ones.
type Drawn struct {
	Number   int // of the entry or slot, from 1; 0: the next one
	Off, Len int64
	Type     string // GPT: GUID; MBR: two hex digits
	// GPT only; an empty GUID is drawn.
	GUID, Name string
	Attributes uint64
	Active     bool // MBR only
}

// Types of partitions that are drawn for Windows.
const (
	TypeESP      = typeESP
	TypeMSR      = typeMSR
	TypeRecovery = typeRecovery
	TypeBasic    = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
)

const (
	gptCount     = 128 // entries of a drawn GPT
	gptEntrySize = 128
)

// Layout makes the table.
func (d Drawing) Layout() (*Layout, error) {
	l, err := d.layout()
	if err != nil {
		return nil, fmt.Errorf("draw partition table: %w", err)
	}
	return l, nil
}

func (d Drawing) layout() (*Layout, error) {
	ss := d.SectorSize
	if ss < 512 || ss > 65536 || ss&(ss-1) != 0 || d.Size < 4*ss {
		return nil, fmt.Errorf("a disk of %d bytes with sectors of %d", d.Size, ss)
	}
	track0, err := d.front()
	if err != nil {
		return nil, err
	}
	draw := d.mbr
	if d.Scheme == SchemeGPT {
		draw = d.gpt
	}
	if err := draw(track0); err != nil {
		return nil, err
	}
	l, err := FromImage(track0, nil, ss, d.Size)
	if err == nil && len(l.Partitions) != len(d.Partitions) {
		err = errors.New("it does not read back as it was drawn")
	}
	return l, err
}

// front is an empty track 0, after a look at the partitions.
func (d *Drawing) front() ([]byte, error) {
	ss, first := d.SectorSize, min(maxTrack0, d.Size)
	d.Partitions = slices.Clone(d.Partitions)
	used := map[int]bool{}
	for i := range d.Partitions {
		p := &d.Partitions[i]
		if p.Off < ss || p.Len <= 0 || p.Off%ss != 0 || p.Len%ss != 0 || p.Off > d.Size-p.Len {
			return nil, fmt.Errorf("partition %d: %d bytes at %d of %d", i+1, p.Len, p.Off, d.Size)
		}
		for p.Number == 0 || used[p.Number] {
			if p.Number != 0 {
				return nil, fmt.Errorf("partition number %d stands there twice", p.Number)
			}
			for n := 1; p.Number == 0; n++ {
				if !used[n] && !slices.ContainsFunc(d.Partitions, func(o Drawn) bool { return o.Number == n }) {
					p.Number = n
				}
			}
		}
		used[p.Number] = true
		first = min(first, p.Off)
	}
	return make([]byte, first), nil
}

// mbr draws a table of primary partitions.
func (d *Drawing) mbr(track0 []byte) error {
	id, err := hex.DecodeString(d.ID)
	if d.ID == "" {
		id = make([]byte, 4)
		rand.Read(id)
	}
	if err != nil || len(id) != 4 || d.Scheme != SchemeMBR {
		return fmt.Errorf("scheme %q with disk signature %q", d.Scheme, d.ID)
	}
	binary.LittleEndian.PutUint32(track0[440:], binary.BigEndian.Uint32(id))
	for _, p := range d.Partitions {
		typ, err := strconv.ParseUint(p.Type, 16, 8)
		first, n := p.Off/d.SectorSize, p.Len/d.SectorSize
		switch {
		case p.Number > 4:
			return fmt.Errorf("partition %d: only four primary partitions can be drawn on an MBR disk", p.Number)
		case err != nil || typ == 0:
			return fmt.Errorf("partition %d: type %q is not two hex digits", p.Number, p.Type)
		case first+n > math.MaxUint32:
			return fmt.Errorf("partition %d ends behind what an MBR can say", p.Number)
		}
		s := track0[mbrFirstSlot+(p.Number-1)*mbrSlotLen:]
		if p.Active {
			s[0] = 0x80
		}
		// Start and end in cylinders, heads and sectors lie behind what can be said.
		copy(s[1:], []byte{0xfe, 0xff, 0xff, byte(typ), 0xfe, 0xff, 0xff})
		binary.LittleEndian.PutUint32(s[8:], uint32(first))
		binary.LittleEndian.PutUint32(s[12:], uint32(n))
	}
	track0[510], track0[511] = 0x55, 0xaa
	return nil
}

// gpt draws a protective MBR, header and entries (UEFI 2.10, 5.2.3 and 5.3).
func (d *Drawing) gpt(track0 []byte) error {
	ss, le := d.SectorSize, binary.LittleEndian
	sectors, entrySectors := d.Size/ss, (int64(gptCount*gptEntrySize)+ss-1)/ss
	if int64(len(track0)) < (2+entrySectors)*ss {
		return fmt.Errorf("the first partition begins at byte %d, within the table", len(track0))
	}
	entries := track0[2*ss:][:gptCount*gptEntrySize]
	for _, p := range d.Partitions {
		if p.Number > gptCount {
			return fmt.Errorf("partition %d: a table has %d", p.Number, gptCount)
		}
		if p.Off+p.Len > (sectors-entrySectors-1)*ss {
			return fmt.Errorf("partition %d ends at byte %d, where the backup table must be", p.Number, p.Off+p.Len)
		}
		if err := p.encode(entries[(p.Number-1)*gptEntrySize:][:gptEntrySize], ss); err != nil {
			return fmt.Errorf("partition %d: %w", p.Number, err)
		}
	}
	id, err := parseGUID(d.ID)
	if err != nil {
		return err
	}
	track0[mbrFirstSlot+2], track0[mbrFirstSlot+4] = 2, 0xee
	copy(track0[mbrFirstSlot+5:], []byte{0xff, 0xff, 0xff})
	le.PutUint32(track0[mbrFirstSlot+8:], 1)
	le.PutUint32(track0[mbrFirstSlot+12:], uint32(min(sectors-1, math.MaxUint32)))
	track0[510], track0[511] = 0x55, 0xaa
	h := track0[ss:][:ss]
	copy(h, gptSignature)
	le.PutUint32(h[hdrRevision:], 1<<16)
	le.PutUint32(h[hdrSize:], hdrMinSize)
	le.PutUint64(h[hdrMyLBA:], 1)
	le.PutUint64(h[hdrAltLBA:], uint64(sectors-1))
	le.PutUint64(h[hdrFirstUsable:], uint64(2+entrySectors))
	le.PutUint64(h[hdrLastUsable:], uint64(sectors-entrySectors-2))
	copy(h[hdrGUID:], id[:])
	le.PutUint64(h[hdrEntriesLBA:], 2)
	le.PutUint32(h[hdrCount:], gptCount)
	le.PutUint32(h[hdrEntrySize:], gptEntrySize)
	le.PutUint32(h[hdrEntriesCRC:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[hdrCRC:], headerSum(h))
	return nil
}

// encode writes the entry of a GPT (UEFI 2.10, table 5-6).
func (p *Drawn) encode(e []byte, ss int64) error {
	typ, err := parseGUID(p.Type)
	if err != nil || p.Type == "" {
		return fmt.Errorf("type: %q is no GUID", p.Type)
	}
	id, err := parseGUID(p.GUID)
	if err != nil {
		return err
	}
	copy(e, typ[:])
	copy(e[16:], id[:])
	binary.LittleEndian.PutUint64(e[32:], uint64(p.Off/ss))
	binary.LittleEndian.PutUint64(e[40:], uint64((p.Off+p.Len)/ss-1))
	binary.LittleEndian.PutUint64(e[48:], p.Attributes)
	name := utf16.Encode([]rune(p.Name))
	for i, u := range name[:min(len(name), 36)] {
		binary.LittleEndian.PutUint16(e[56+2*i:], u)
	}
	return nil
}

// parseGUID reads a printed GUID, with or without braces; "" draws a random one
// (RFC 9562, version 4).
func parseGUID(text string) (g [16]byte, err error) {
	if text == "" {
		rand.Read(g[:])
		g[7] = g[7]&0x0f | 0x40
		g[8] = g[8]&0x3f | 0x80
		return g, nil
	}
	text = strings.Trim(text, "{}")
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 || len(text) != 36 {
		return g, fmt.Errorf("%q is no GUID", text)
	}
	copy(g[:], b)
	slices.Reverse(g[:4])
	slices.Reverse(g[4:6])
	slices.Reverse(g[6:8])
	return g, nil
}
