package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"ingot/internal/fatchain"
	"ingot/internal/fstree"
)

// maxDirSize is the largest a directory may be: 65,536 entries.
const maxDirSize = 2 << 20

// Attribute bits of a directory entry (FAT specification, "Directory
// Structure"); a long-name part has the first four at once.
const (
	attrReadOnly = 0x01
	attrLabel    = 0x08
	attrFolder   = 0x10
	attrLong     = 0x0f
	attrMask     = 0x3f
)

const entrySize = 32

// dirEntry is a directory entry with the long name that stood before it.
type dirEntry struct {
	off         int64 // in the volume
	short, long string
	attr        byte
	cluster     int64
	size        int64
	written     time.Time
	created     time.Time
	read        time.Time // a day
}

// name is the long name where there is one.
func (e *dirEntry) name() string {
	if e.long != "" {
		return e.long
	}
	return e.short
}

// rootLabel is the volume label of the root directory, "" if there is none.
func (v *Volume) rootLabel() (string, error) {
	for e, err := range v.entries(v.root) {
		if err != nil {
			return "", err
		}
		if e.attr&(attrLabel|attrFolder) == attrLabel {
			return e.long, nil
		}
	}
	return "", nil
}

// entries goes through the entries of a folder, labels and "." among them.
func (v *Volume) entries(folder *node) iter.Seq2[dirEntry, error] {
	return func(yield func(dirEntry, error) bool) {
		p := dirParser{narrow: v.boot.Bits != 32}
		for piece, err := range v.pieces(folder) {
			if err != nil {
				yield(dirEntry{}, fmt.Errorf("read folder: %w", err))
				return
			}
			for i := 0; i < len(piece.Data); i += entrySize {
				b := piece.Data[i:][:entrySize]
				if b[0] == 0 {
					return
				}
				if e, ok := p.add(b); ok {
					e.off = piece.Off + int64(i)
					if !yield(e, nil) {
						return
					}
				}
			}
		}
	}
}

var errEndless = errors.New("the chain does not end where a folder must")

// pieces reads the bytes of a folder: the root of FAT12 and FAT16 lies in its
// own area, all others are chains of clusters.
func (v *Volume) pieces(folder *node) iter.Seq2[fatchain.Piece, error] {
	if folder.parent == nil && v.boot.Bits != 32 {
		return v.rootArea()
	}
	return func(yield func(fatchain.Piece, error) bool) {
		if folder.entry.cluster == 0 {
			yield(fatchain.Piece{}, errors.New("it has no cluster"))
			return
		}
		var sum int
		for p, err := range v.space.Chain(folder.entry.cluster).Pieces(maxDirSize + maxClusterSize) {
			if sum += len(p.Data); sum > maxDirSize && err == nil {
				err = errEndless
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

func (v *Volume) rootArea() iter.Seq2[fatchain.Piece, error] {
	return func(yield func(fatchain.Piece, error) bool) {
		b := make([]byte, v.boot.RootSize)
		if n, err := v.r.ReadAt(b, v.boot.RootOffset); n < len(b) {
			yield(fatchain.Piece{}, fmt.Errorf("read %d bytes at byte %d: %w", len(b), v.boot.RootOffset, err))
			return
		}
		yield(fatchain.Piece{Off: v.boot.RootOffset, Data: b}, nil)
	}
}

// dirParser puts long names and entries together. Parts of long names that do
// not belong to the entry behind them are dropped, as the specification wants.
type dirParser struct {
	narrow bool // clusters have 16 bits; the upper half of their field is another's
	long   longName
}

// add takes the next 32 bytes; ok is false when they are no entry.
func (p *dirParser) add(b []byte) (e dirEntry, ok bool) {
	switch {
	case b[0] == 0xe5: // deleted
		p.long = longName{}
		return e, false
	case b[11]&attrMask == attrLong:
		p.long.add(b)
		return e, false
	}
	e = parseEntry(b, p.long.name(checksum(b[:11])))
	if p.narrow {
		e.cluster &= 0xffff
	}
	p.long = longName{}
	return e, true
}

func parseEntry(b []byte, long string) dirEntry {
	e := dirEntry{
		short:   shortName(b),
		long:    long,
		attr:    b[11],
		cluster: int64(binary.LittleEndian.Uint16(b[20:]))<<16 | int64(binary.LittleEndian.Uint16(b[26:])),
		size:    int64(binary.LittleEndian.Uint32(b[28:])),
		created: timestamp(binary.LittleEndian.Uint16(b[16:]), binary.LittleEndian.Uint16(b[14:]), b[13]),
		written: timestamp(binary.LittleEndian.Uint16(b[24:]), binary.LittleEndian.Uint16(b[22:]), 0),
		read:    timestamp(binary.LittleEndian.Uint16(b[18:]), 0, 0),
	}
	if e.attr&attrLabel != 0 {
		e.long = labelText(b[:11])
	}
	return e
}

// timestamp is a time of an entry (FAT specification, "Date and Time Formats"),
// which is that of the clock on the wall: this machine's zone is taken for its
// own. hundredths are of a second. It is zero when it is none.
func timestamp(date, clock uint16, hundredths byte) time.Time {
	month, day := int(date>>5&15), int(date&31)
	hour, minute, second := int(clock>>11), int(clock>>5&63), int(clock&31)*2
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || hundredths > 199 {
		return time.Time{}
	}
	return time.Date(int(date>>9)+1980, time.Month(month), day, hour, minute, second, int(hundredths)*10_000_000, time.Local)
}

// shortName is the name of 8 and 3 characters, of which Windows NT keeps in two
// bits that either part is written in lower case.
func shortName(b []byte) string {
	raw := [11]byte(b)
	if raw[0] == 0x05 { // stands for a letter that would say "deleted"
		raw[0] = 0xe5
	}
	name := shortPart(raw[:8], b[12]&0x08 != 0)
	if ext := shortPart(raw[8:], b[12]&0x10 != 0); ext != "" {
		name += "." + ext
	}
	return name
}

func shortPart(b []byte, lower bool) string {
	b = bytes.TrimRight(b, " ")
	out := make([]rune, len(b))
	var upper []rune
	for i, c := range b {
		switch {
		case c >= 0x80:
			if upper == nil {
				upper = []rune(codePage437)
			}
			out[i] = upper[c-0x80]
		case lower && c >= 'A' && c <= 'Z':
			out[i] = rune(c) + 'a' - 'A'
		default:
			out[i] = rune(c)
		}
	}
	return string(out)
}

// codePage437 is the upper half of the character set of the first PCs, which
// short names are taken to be written in: what was in use does not stand on the
// disk.
const codePage437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»" +
	"░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
	"αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"

// longName gathers the parts of a long name, which stand before their entry
// with the last part first.
type longName struct {
	units []uint16
	next  byte // number of the part that is due
	sum   byte
}

func (l *longName) add(e []byte) {
	n := e[0] & 0x3f
	if e[0]&0x40 != 0 {
		*l = longName{next: n, sum: e[13]}
	}
	if n == 0 || n != l.next || e[13] != l.sum || n > 20 {
		*l = longName{}
		return
	}
	l.next--
	var part []uint16
	for _, r := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := r[0]; i < r[1]; i += 2 {
			part = append(part, binary.LittleEndian.Uint16(e[i:]))
		}
	}
	l.units = append(part, l.units...)
}

// name is the long name of a short one with the given checksum, or "".
func (l *longName) name(sum byte) string {
	if l.next != 0 || l.sum != sum {
		return ""
	}
	u := l.units
	for i, c := range u {
		if c == 0 {
			u = u[:i]
			break
		}
	}
	return fstree.Name(u)
}

// checksum ties long names to a short one (FAT specification, "Long Directory
// Entries").
func checksum(short []byte) byte {
	var sum byte
	for _, c := range short {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}
