package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

const (
	elementSize = 30
	deltaSize   = elementSize + 4
	strongSize  = 32
)

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

// spool keeps what cannot be written yet, or must be read again at any place: the
// index of a file that is still growing, a resolved index. Beyond a few MiB it
// lies in a temporary file.
type spool struct {
	mem  []byte   // what is not in the file
	file *os.File // nil until mem was full once
	dir  string
	size int64 // of all that was written
}

// spoolInMemory is how much waits in memory: the index of 17 GiB in 64 KiB
// blocks.
const spoolInMemory = 8 << 20

// Write implements io.Writer.
func (w *spool) Write(p []byte) (int, error) {
	if len(w.mem)+len(p) > spoolInMemory {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	w.size += int64(len(p))
	w.mem = append(w.mem, p...)
	return len(p), nil
}

// flush moves what is in memory to the temporary file.
func (w *spool) flush() error {
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

// patch overwrites what was written at off before.
func (w *spool) patch(off int64, p []byte) error {
	inFile := w.size - int64(len(w.mem))
	if off >= inFile {
		copy(w.mem[off-inFile:], p)
		return nil
	}
	// It may lie across the border.
	if over := off + int64(len(p)) - inFile; over > 0 {
		copy(w.mem, p[int64(len(p))-over:])
		p = p[:int64(len(p))-over]
	}
	if _, err := w.file.WriteAt(p, off); err != nil {
		return fmt.Errorf("write the index to a temporary file: %w", err)
	}
	return nil
}

// settle ends the writing: from now on ReadAt gives what was written, to
// several goroutines.
func (w *spool) settle() error {
	if w.file == nil {
		return nil
	}
	return w.flush()
}

// ReadAt implements io.ReaderAt, once the spool is settled.
func (w *spool) ReadAt(p []byte, off int64) (int, error) {
	if w.file == nil {
		return bytes.NewReader(w.mem).ReadAt(p, off)
	}
	n, err := w.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read the index back: %w", err)
	}
	return n, err
}

func (w *spool) close() error {
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
	area  Area
	base  int64 // of piece 0, from the start of the partition
	size  int64 // bytes of all pieces
	piece int64 // bytes of one
	count int64 // of pieces in the index; trailing ones may be missing
	index io.ReaderAt
	elems int64 // where in it the element of piece 0 stands
	rec   int64 // bytes from one element to the next; a mark may stand behind each
}

// length is the number of raw bytes of piece i.
func (s *space) length(i int64) int64 { return min(s.piece, s.size-i*s.piece) }

// end is the offset behind the space in the partition.
func (s *space) end() int64 { return s.base + s.size }

// indexCounts are the two counts in an $INDEX payload.
type indexCounts struct{ reserved, blocks int64 }

// size is the length of a payload with these counts, whose block elements have
// elem bytes each.
func (c indexCounts) size(elem int64) int64 { return 8 + elementSize*c.reserved + elem*c.blocks }

// readCounts reads them from the payload of an $INDEX of size bytes at pos,
// and compares them with its length.
func readCounts(r io.ReaderAt, pos, size, elem int64) (c indexCounts, err error) {
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
	if c.size(elem) != size {
		return c, damaged("$INDEX at byte %d: %d reserved pieces and %d blocks do not make its length %d", pos, c.reserved, c.blocks, size)
	}
	return c, nil
}
