package btrfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"ingot/internal/block"
)

// Pieces of files (btrfs_tree.h, struct btrfs_file_extent_item).
const (
	pieceHeader = 21 // bytes; the contents of an inline piece follow
	pieceSize   = 53

	pieceInline, pieceRegular, piecePlanned = 0, 1, 2 // planned: allocated, and not written yet
)

// piece is a part of a file: length bytes from byte off of it on. They are those
// from byte skip on of what the stored bytes of the volume, from logical address
// at on, are when decompressed, size in all; or inline; or zeros.
type piece struct {
	off, length int64
	how         byte // it is compressed
	inline      []byte
	at          uint64
	stored      int64
	skip, size  int64
	zeros       bool // a hole, or not written
}

func (p *piece) end() int64 { return p.off + p.length }

// parsePiece reads the piece of a file at byte off.
func parsePiece(off uint64, b []byte) (piece, error) {
	le := binary.LittleEndian
	if len(b) < pieceHeader {
		return piece{}, fmt.Errorf("an item of %d bytes", len(b))
	}
	p := piece{off: int64(off), how: b[16]}
	size, kind := le.Uint64(b[8:]), b[20]
	switch {
	case off > 1<<62:
		return p, fmt.Errorf("it begins at byte %d", off)
	case b[17] != 0 || le.Uint16(b[18:]) != 0:
		return p, errors.New("it is encrypted or encoded, which is not read here")
	case kind == pieceInline:
		p.inline, p.length, p.size = b[pieceHeader:], int64(size), int64(size)
		if size > maxNode || p.how == plain && size > uint64(len(p.inline)) {
			return p, fmt.Errorf("%d bytes in an item of %d", size, len(b))
		}
		return p, nil
	case kind > piecePlanned:
		return p, fmt.Errorf("it is of kind %d", kind)
	case len(b) < pieceSize:
		return p, fmt.Errorf("an item of %d bytes", len(b))
	}
	at, stored, skip, length := le.Uint64(b[21:]), le.Uint64(b[29:]), le.Uint64(b[37:]), le.Uint64(b[45:])
	if length == 0 || length > 1<<62 || stored > 1<<62 || skip > 1<<62 || size > 1<<62 || at > 1<<62 {
		return p, fmt.Errorf("%d bytes from byte %d on of %d, stored in %d at %d", length, skip, size, stored, at)
	}
	p.at, p.stored, p.skip, p.length, p.size = at, int64(stored), int64(skip), int64(length), int64(size)
	p.zeros = at == 0 || kind == piecePlanned
	most := p.stored
	if p.how != plain {
		most = p.size
		if p.size > maxPacked || p.stored > maxPacked {
			return p, fmt.Errorf("%d bytes, compressed to %d", size, stored)
		}
	}
	if at != 0 && p.skip+p.length > most {
		return p, fmt.Errorf("%d bytes from byte %d on of %d", length, skip, most)
	}
	return p, nil
}

// find gives the piece of a file that byte off is in. A hole ends with the
// piece behind it, at the latest with the last byte there can be.
func (i *inode) find(off int64) (piece, error) {
	c := i.t.cursor(i.tree)
	it, ok, err := c.floor(key{i.number, kindExtentOf, uint64(off)})
	for err == nil && ok && it.key.compare(key{i.number, kindExtentOf, 0}) < 0 {
		it, ok, err = c.next()
	}
	hole := piece{off: off, length: 1<<62 - off, zeros: true}
	for ; err == nil && ok && it.id == i.number && it.kind == kindExtentOf; it, ok, err = c.next() {
		p, err := parsePiece(it.off, it.data)
		if err != nil {
			return p, fmt.Errorf("piece at byte %d: %w", it.off, err)
		}
		if p.off > off {
			hole.length = p.off - off
			return hole, nil
		}
		if off < p.end() {
			return p, nil
		}
	}
	return hole, err
}

// contents are the bytes of a file, readable at any offset.
type contents struct{ i *inode }

// Contents implements fstree.Inode.
func (i *inode) Contents() io.ReaderAt { return contents{i} }

// ReadAt implements io.ReaderAt.
func (c contents) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	var end error
	if left := max(0, c.i.size-off); int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	for done := 0; done < len(p); {
		at := off + int64(done)
		row, err := c.i.find(at)
		n := 0
		if err == nil {
			part := p[done:]
			part = part[:min(int64(len(part)), row.end()-at)]
			n, err = c.i.read(part, &row, at-row.off)
		}
		if err != nil {
			return done, fmt.Errorf("inode %d of tree %d at byte %d: %w", c.i.number, c.i.tree.owner, at, err)
		}
		done += n
	}
	return len(p), end
}

// read fills the front of b from byte in of a piece on, and gives how many bytes
// it filled.
func (i *inode) read(b []byte, p *piece, in int64) (int, error) {
	switch {
	case p.zeros:
		clear(b)
		return len(b), nil
	case p.inline != nil || p.how != plain:
		all, err := i.unpacked(p)
		if err != nil {
			return 0, err
		}
		return copy(b, all[p.skip+in:]), nil
	}
	return i.readData(b, p.at+uint64(p.skip+in))
}

// packKey names an extent that was decompressed.
type packKey struct {
	at  uint64
	how byte
	len int64
}

// unpacked is all of what a piece has when it is decompressed.
func (i *inode) unpacked(p *piece) ([]byte, error) {
	sector := int(i.t.super.SectorSize)
	switch {
	case p.inline != nil && p.how == plain:
		return p.inline[:p.size], nil
	case p.inline != nil:
		return unpack(p.how, p.inline, int(p.size), sector)
	}
	return i.t.packed.Get(packKey{p.at, p.how, p.size}, func() ([]byte, error) {
		b := make([]byte, p.stored)
		for done := 0; done < len(b); {
			n, err := i.readData(b[done:], p.at+uint64(done))
			if err != nil {
				return nil, err
			}
			done += n
		}
		return unpack(p.how, b, int(p.size), sector)
	})
}

// maxRead is how many bytes of data are read and checked at once.
const maxRead = 256 << 10

// readData fills the front of b with data from a logical address on, and checks
// whole sectors, from a copy that is sound if there is one.
func (i *inode) readData(b []byte, at uint64) (int, error) {
	t := i.t
	sector := uint64(t.super.SectorSize)
	from := at / sector * sector
	want := int64((at+uint64(len(b))+sector-1)/sector*sector - from)
	places, run, kind, err := t.space.places(from, min(want, maxRead))
	if err == nil && (kind&typeData == 0 || run < int64(sector)) {
		err = errors.New("it lies in no chunk of data")
	}
	if err != nil {
		return 0, fmt.Errorf("data at %d: %w", from, err)
	}
	run = run / int64(sector) * int64(sector)
	sums, err := i.sums(from, run)
	if err != nil {
		return 0, err
	}
	buf := b
	if from != at || run > int64(len(b)) {
		buf = make([]byte, run)
	}
	if err := t.readCopies(buf[:run], places, from, sums); err != nil {
		return 0, err
	}
	if from != at || run > int64(len(b)) {
		return copy(b, buf[at-from:]), nil
	}
	return int(run), nil
}

// readCopies fills b, and takes each sector that is damaged from another copy.
func (t *Tree) readCopies(b []byte, places []int64, at uint64, sums []byte) error {
	sector := int(t.super.SectorSize)
	got, err := t.r.ReadAt(b, places[0])
	if got == len(b) {
		err = nil
	}
	for off := 0; off < len(b); off += sector {
		s := b[off : off+sector]
		bad := error(nil)
		if got < off+sector {
			bad = err
		} else if bad = t.sumCheck(s, sums, off/sector); bad == nil {
			continue
		}
		for _, place := range places[1:] {
			if n, err := t.r.ReadAt(s, place+int64(off)); n == len(s) && t.sumCheck(s, sums, off/sector) == nil {
				bad = nil
				break
			} else if n < len(s) && bad == nil {
				bad = err
			}
		}
		if bad != nil {
			return fmt.Errorf("data at %d (byte %d of the device): %w", at+uint64(off), places[0]+int64(off), bad)
		}
	}
	return nil
}

// sumCheck compares a sector with its checksum; without sums it is nil.
func (t *Tree) sumCheck(s, sums []byte, n int) error {
	if sums == nil {
		return nil
	}
	sum, err := sumOf(t.super.sumKind, s)
	if err == nil && !bytes.Equal(sum, sums[n*len(sum):(n+1)*len(sum)]) {
		err = errors.New("the checksum is wrong")
	}
	return err
}

// sums are the checksums of the sectors of n bytes of data; nil for a file that
// has none. One that lacks where it should be is an error, as it is for the
// kernel.
func (i *inode) sums(at uint64, n int64) ([]byte, error) {
	t := i.t
	if i.flags&flagNoSums != 0 {
		return nil, nil
	}
	one, err := sumOf(t.super.sumKind, nil)
	if err != nil {
		return nil, err
	}
	size, sector := len(one), uint64(t.super.SectorSize)
	out := make([]byte, 0, int(n/int64(sector))*size)
	c := t.cursor(t.sumRoot)
	it, ok, err := c.floor(key{idSums, kindSum, at})
	for want := at; err == nil && want < at+uint64(n); it, ok, err = c.next() {
		if !ok || it.id != idSums || it.kind != kindSum || it.off > want {
			return nil, fmt.Errorf("data at %d: it has no checksum", want)
		}
		skip := (want - it.off) / sector
		if have := uint64(len(it.data) / size); skip < have {
			take := min(have-skip, (at+uint64(n)-want)/sector)
			out = append(out, it.data[int(skip)*size:int(skip+take)*size]...)
			want += take * sector
		} else if it.off < at && len(out) == 0 {
			continue // ends before: the next one may hold it
		} else {
			return nil, fmt.Errorf("data at %d: it has no checksum", want)
		}
	}
	return out, err
}

// The items of the tree of checksums: one for each sector, of data in a row.
const (
	idSums  = 1<<64 - 10
	kindSum = 128
)

// extents gives the extents of a file to emit, in order, until that returns
// false.
func (i *inode) extents(emit func(block.Extent) bool) (stopped bool, err error) {
	if i.missing != 0 || i.kind() != modeFile && i.kind() != modeLink {
		return false, nil
	}
	err = i.items(kindExtentOf, func(it item) error {
		p, err := parsePiece(it.off, it.data)
		if err != nil {
			return fmt.Errorf("piece at byte %d: %w", it.off, err)
		}
		if p.inline != nil || p.at == 0 {
			return nil
		}
		at, n := p.at+uint64(p.skip), p.length
		if p.how != plain {
			at, n = p.at, p.stored
		}
		for n > 0 {
			places, run, _, err := i.t.space.places(at, n)
			if err != nil {
				return fmt.Errorf("data at %d: %w", at, err)
			}
			for _, place := range places {
				if place > i.t.r.Size()-run {
					return fmt.Errorf("data at %d: it lies behind the end of the device", at)
				}
				if !emit(block.Extent{Off: place, Len: run}) {
					stopped = true
					return errStop
				}
			}
			at, n = at+uint64(run), n-run
		}
		return nil
	})
	return stopped, err
}

// errStop ends a walk whose caller has enough.
var errStop = errors.New("stop")
