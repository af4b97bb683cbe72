package vmdk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"ingot/internal/block"
)

const sector = 512

// Magic is how a sparse extent begins: "KDMV".
const Magic = "KDMV"

// Flags of the header of a sparse extent.
const (
	flagNewline    = 1 << 0
	flagRedundant  = 1 << 1
	flagZeroGrain  = 1 << 2
	flagCompressed = 1 << 16
	flagMarkers    = 1 << 17
)

// Limits of what is believed. 32 MiB of directory are enough for 256 TiB.
const (
	maxDirectory = 32 << 20
	maxGrain     = 4096 // sectors
	heldTables   = 512
	heldGrains   = 4 << 20 // bytes
	atEnd        = 1<<64 - 1
)

// header is that of a sparse extent, sizes and places in bytes.
type header struct {
	flags         uint32
	capacity      int64
	grain         int64
	descriptorOff int64
	descriptorLen int64
	perTable      int64 // entries of a grain table
	directory     int64
}

func (h *header) compressed() bool { return h.flags&flagCompressed != 0 }

// span is how many bytes of the disk a grain table covers.
func (h *header) span() int64 { return h.grain * h.perTable }

// parseHeader reads the header of a sparse extent of size bytes. A stream has
// its directory at the end, and a copy of the header there that says where.
func parseHeader(f io.ReaderAt, size int64) (*header, error) {
	b := make([]byte, sector)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read the header of a sparse extent: %w", err)
	}
	if binary.LittleEndian.Uint64(b[56:]) == atEnd {
		var tail [3 * sector]byte // the footer's marker, the footer, the marker of the end
		if _, err := f.ReadAt(tail[:], size-int64(len(tail))); err != nil || string(tail[sector:][:4]) != Magic {
			return nil, corrupt("it ends without a footer: it was cut short")
		}
		if n, kind := binary.LittleEndian.Uint32(tail[8:]), binary.LittleEndian.Uint32(tail[12:]); n != 0 || kind != markFooter {
			return nil, corrupt("before its footer there is a marker of type %d", kind)
		}
		copy(b, tail[sector:])
	}
	return decodeHeader(b, size)
}

func decodeHeader(b []byte, size int64) (*header, error) {
	le := binary.LittleEndian
	version, algorithm := le.Uint32(b[4:]), le.Uint16(b[77:])
	h := &header{flags: le.Uint32(b[8:]), perTable: int64(le.Uint32(b[44:]))}
	capacity, grain, directory := le.Uint64(b[12:]), le.Uint64(b[20:]), le.Uint64(b[56:])
	switch {
	case string(b[:4]) != Magic:
		return nil, corrupt("a sparse extent does not begin as one")
	case version < 1 || version > 3:
		return nil, fmt.Errorf("%w: version %d", ErrUnsupported, version)
	case capacity > 1<<52 || capacity == 0:
		return nil, corrupt("its capacity is %d sectors", capacity)
	case grain == 0 || grain > maxGrain || grain&(grain-1) != 0:
		return nil, corrupt("its grains have %d sectors", grain)
	case h.perTable == 0 || h.perTable > 4096:
		return nil, corrupt("its grain tables have %d entries", h.perTable)
	case h.compressed() && (algorithm != 1 || h.flags&flagMarkers == 0):
		return nil, fmt.Errorf("%w: grains compressed by algorithm %d, markers %t", ErrUnsupported, algorithm, h.flags&flagMarkers != 0)
	case directory > uint64(size)/sector:
		return nil, corrupt("the grain directory would lie at sector %d of a file of %d bytes", directory, size)
	}
	h.capacity, h.grain, h.directory = int64(capacity)*sector, int64(grain)*sector, int64(directory)*sector
	h.descriptorOff, h.descriptorLen = int64(le.Uint64(b[28:])), int64(le.Uint64(b[36:]))
	if h.descriptorOff < 0 || h.descriptorLen < 0 || h.descriptorOff > 1<<32 || h.descriptorLen > 1<<32 {
		return nil, corrupt("its descriptor would have %d sectors from %d on", h.descriptorLen, h.descriptorOff)
	}
	h.descriptorOff, h.descriptorLen = h.descriptorOff*sector, min(h.descriptorLen*sector, maxDescriptor)
	return h, nil
}

// sparse is a sparse extent.
type sparse struct {
	f      io.ReaderAt
	fsize  int64
	h      *header
	dir    []uint32 // sectors of the grain tables
	tables *block.Shelf
	plain  *block.Shelf // grains that were unpacked
	unpack *unpackers
}

// openSparse reads header and directory.
func openSparse(f io.ReaderAt, size int64) (*sparse, error) {
	h, err := parseHeader(f, size)
	if err != nil {
		return nil, err
	}
	s := &sparse{f: f, fsize: size, h: h, tables: block.NewShelf(heldTables), plain: block.NewShelf(int(heldGrains / h.grain)), unpack: newUnpackers()}
	return s, s.readDirectory()
}

func (s *sparse) readDirectory() error {
	n := (s.h.capacity + s.h.span() - 1) / s.h.span()
	if n > maxDirectory/4 || n*4 > s.fsize-s.h.directory {
		return corrupt("a grain directory of %d entries at byte %d of a file of %d", n, s.h.directory, s.fsize)
	}
	b := make([]byte, n*4)
	if _, err := s.f.ReadAt(b, s.h.directory); err != nil {
		return fmt.Errorf("read the grain directory at byte %d: %w", s.h.directory, err)
	}
	s.dir = make([]uint32, n)
	var used []uint32
	for i := range s.dir {
		at := binary.LittleEndian.Uint32(b[i*4:])
		if s.dir[i] = at; at == 0 {
			continue
		}
		if int64(at)*sector > s.fsize-s.h.perTable*4 {
			return corrupt("entry %d of the grain directory names sector %d of a file of %d bytes", i, at, s.fsize)
		}
		used = append(used, at)
	}
	// Two entries with one table would make of a short file a walk without end.
	slices.Sort(used)
	for i := 1; i < len(used); i++ {
		if used[i] == used[i-1] {
			return corrupt("the grain table at sector %d is named twice", used[i])
		}
	}
	return nil
}

// table returns grain table i, which has a place in the file.
func (s *sparse) table(i int64) ([]byte, error) {
	at := int64(s.dir[i]) * sector
	return s.tables.Get(at, func() ([]byte, error) {
		b := make([]byte, s.h.perTable*4)
		if _, err := s.f.ReadAt(b, at); err != nil {
			return nil, fmt.Errorf("read the grain table at byte %d: %w", at, err)
		}
		return b, nil
	})
}

// kind says where the bytes of a run are.
type kind int

const (
	absent kind = iota // nowhere: those of the parent
	zero               // nowhere: they are zeros
	data               // in the file as they are
	packed             // in the file, compressed
)

// run is a range of one kind; of data it is contiguous in the file.
type run struct {
	kind kind
	n    int64
	host int64
}

// lookup says what lies at off of the extent, for at most n bytes.
func (s *sparse) lookup(off, n int64) (run, error) {
	i, in := off/s.h.span(), off%s.h.span()
	n = min(n, s.h.capacity-off, s.h.span()-in)
	if s.dir[i] == 0 {
		return run{kind: absent, n: n}, nil
	}
	b, err := s.table(i)
	if err != nil {
		return run{}, err
	}
	var out run
	for out.n < n {
		at := in + out.n
		next, err := s.entry(binary.LittleEndian.Uint32(b[at/s.h.grain*4:]), off+out.n)
		if err != nil {
			return run{}, err
		}
		if out.n == 0 {
			out = next
		} else if out.kind == next.kind && out.kind != packed && (out.kind != data || out.host+out.n == next.host) {
			out.n += next.n
		} else {
			break
		}
	}
	out.n = min(out.n, n)
	return out, nil
}

// entry decodes the grain table entry for byte at of the extent.
func (s *sparse) entry(e uint32, at int64) (run, error) {
	in := at % s.h.grain
	r := run{n: s.h.grain - in, host: int64(e) * sector}
	switch {
	case e == 0:
		return r, nil
	case e == 1 && s.h.flags&flagZeroGrain != 0:
		r.kind = zero
		return r, nil
	case r.host >= s.fsize:
		return r, corrupt("the grain at byte %d of the extent would lie at byte %d of a file of %d", at-in, r.host, s.fsize)
	case s.h.compressed():
		r.kind = packed
		return r, nil
	}
	r.kind = data
	r.host += in
	return r, nil
}

// fill reads the run r at byte at of the extent; it is not absent.
func (s *sparse) fill(p []byte, at int64, r run) error {
	switch r.kind {
	case data:
		return fillFrom(s.f, s.fsize, p, r.host)
	case packed:
		return s.fillPacked(p, at, r)
	}
	clear(p)
	return nil
}

// fillFrom reads p at off of f, which has size bytes and, in its last grain,
// zeros behind them.
func fillFrom(f io.ReaderAt, size int64, p []byte, off int64) error {
	n := max(min(int64(len(p)), size-off), 0)
	clear(p[n:])
	if n == 0 {
		return nil
	}
	if got, err := f.ReadAt(p[:n], off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %d bytes at byte %d of the file: %w", n, off, err)
	}
	return nil
}
