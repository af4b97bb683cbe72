package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
)

const elementSize = 30

// element says where one stored block is. Source: FILE_LAYOUT.md,
// DataBlockIndexElement: i64 position, MD5 of the raw block, u32 stored
// length, u16 file number; packed, little-endian.
type element struct {
	pos  int64
	sum  [md5.Size]byte
	size uint32 // 0: the block is not in the backup
	file uint16
}

func (e *element) encode(b []byte) {
	binary.LittleEndian.PutUint64(b, uint64(e.pos))
	copy(b[8:24], e.sum[:])
	binary.LittleEndian.PutUint32(b[24:], e.size)
	binary.LittleEndian.PutUint16(b[28:], e.file)
}

func (e *element) decode(b []byte) {
	e.pos = int64(binary.LittleEndian.Uint64(b))
	copy(e.sum[:], b[8:24])
	e.size = binary.LittleEndian.Uint32(b[24:])
	e.file = binary.LittleEndian.Uint16(b[28:])
}

// indexWriter collects the payload of one $INDEX after the other. They can
// only be written behind the data, and that of a large disk does not fit into
// memory, so beyond a few MiB they wait in a temporary file.
type indexWriter struct {
	mem  []byte
	file *os.File // nil until mem was full once
	dir  string
	size int64     // of all payloads so far
	sum  hash.Hash // of the payload that is being written
}

// indexInMemory is how much waits in memory: the index of 17 GiB in 64 KiB
// blocks.
const indexInMemory = 8 << 20

func (w *indexWriter) Write(p []byte) (int, error) {
	w.sum.Write(p)
	w.size += int64(len(p))
	if len(w.mem)+len(p) > indexInMemory {
		if err := w.spill(); err != nil {
			return 0, err
		}
	}
	w.mem = append(w.mem, p...)
	return len(p), nil
}

// spill moves what is in memory to the temporary file.
func (w *indexWriter) spill() error {
	if w.file == nil {
		f, err := os.CreateTemp(w.dir, "ingot-index-*")
		if err != nil {
			return fmt.Errorf("create a temporary file for the index: %w", err)
		}
		w.file = f
		// Where the system allows it the name goes at once, so that a crash
		// leaves nothing.
		_ = os.Remove(f.Name())
	}
	if _, err := w.file.Write(w.mem); err != nil {
		return fmt.Errorf("write the index to a temporary file: %w", err)
	}
	w.mem = w.mem[:0]
	return nil
}

// reader gives all payloads, in the order they came in; nothing is written
// after it.
func (w *indexWriter) reader() (io.Reader, error) {
	if w.file == nil {
		return bytes.NewReader(w.mem), nil
	}
	if err := w.spill(); err != nil {
		return nil, err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the index back: %w", err)
	}
	return w.file, nil
}

func (w *indexWriter) close() error {
	w.mem = nil
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	err := f.Close()
	_ = os.Remove(f.Name()) // it is gone already, but on Windows
	return err
}

// space is a row of pieces of one size within a partition: its reserved area,
// or its blocks. Only the last piece may be shorter.
type space struct {
	base  int64 // of piece 0, from the start of the partition
	size  int64 // bytes of all pieces
	piece int64 // bytes of one
	count int64 // of pieces in the index; trailing ones may be missing
	elems int64 // where in the file the element of piece 0 stands
}

// length is the number of raw bytes of piece i.
func (s *space) length(i int64) int64 { return min(s.piece, s.size-i*s.piece) }

// end is the offset behind the space in the partition.
func (s *space) end() int64 { return s.base + s.size }

// indexCounts are the two counts in an $INDEX payload.
type indexCounts struct{ reserved, blocks int64 }

// size is the length of a payload with these counts.
func (c indexCounts) size() int64 { return 8 + elementSize*(c.reserved+c.blocks) }

// readCounts reads them from the payload of an $INDEX of size bytes at pos,
// and compares them with its length.
func readCounts(r io.ReaderAt, pos, size int64) (c indexCounts, err error) {
	count := func(off int64, name string) (int64, error) {
		var b [4]byte
		if off > pos+size-4 {
			return 0, damaged("$INDEX at byte %d: no room for its %s count", pos, name)
		}
		if _, err := r.ReadAt(b[:], off); err != nil {
			return 0, fmt.Errorf("read $INDEX at byte %d: %w", off, err)
		}
		n := int64(int32(binary.LittleEndian.Uint32(b[:])))
		if n < 0 || n > size/elementSize {
			return 0, damaged("$INDEX at byte %d: %s count is %d in %d bytes", pos, name, n, size)
		}
		return n, nil
	}
	if c.reserved, err = count(pos, "reserved-sector"); err != nil {
		return c, err
	}
	if c.blocks, err = count(pos+4+c.reserved*elementSize, "block"); err != nil {
		return c, err
	}
	if c.size() != size {
		return c, damaged("$INDEX at byte %d: %d reserved pieces and %d blocks do not make its length %d", pos, c.reserved, c.blocks, size)
	}
	return c, nil
}
