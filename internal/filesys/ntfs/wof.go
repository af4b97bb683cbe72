package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"ingot/internal/filesys/ntfs/internal/expand"
)

// Values of WOF_EXTERNAL_INFO and FILE_PROVIDER_EXTERNAL_INFO_V1 (Windows SDK,
// wofapi.h), the data of a reparse point with tag WOF.
const (
	wofProviderWIM  = 1
	wofProviderFile = 2
)

// wof is the contents of a file that Windows compacted: chunks of a fixed
// size, each compressed by itself or kept as it is, behind a table of the
// places of all chunks but the first, counted from the end of the table. It is
// the form of resources in WIM files.
type wof struct {
	s      *stream // of the compressed data
	size   int64   // of the contents
	chunk  int64
	entry  int64 // bytes of an entry of the table
	table  int64 // bytes of the table
	expand func(dst, src []byte) error
	mu     sync.Mutex
	at     int64 // number of the chunk in plain, -1 for none
	plain  []byte
	packed []byte
}

// compacted opens the contents of a file with tag WOF, which are size bytes.
func (n *node) compacted(size int64) (contents, error) {
	w := &wof{size: size, at: -1}
	if err := w.format(n.point.data); err != nil {
		return refused{err}, nil
	}
	if size == 0 {
		return w, nil
	}
	s, err := n.t.m.open(n.rec, typeData, wofStream)
	if err == nil && s.flags&(flagCompressed|flagEncrypted) != 0 {
		err = fmt.Errorf("stream %s is itself compressed or encrypted (flags %#x)", wofStream, s.flags)
	}
	if err != nil {
		return nil, err
	}
	w.s, w.entry = s, 4
	if size > math.MaxUint32 {
		w.entry = 8
	}
	chunks := (size-1)/w.chunk + 1
	if w.table = (chunks - 1) * w.entry; w.table > s.size {
		return nil, fmt.Errorf("stream %s: %d bytes, less than the table of %d chunks", wofStream, s.size, chunks)
	}
	w.plain, w.packed = make([]byte, w.chunk), make([]byte, w.chunk)
	return w, nil
}

// format reads the data of the reparse point: what keeps the contents and how.
func (w *wof) format(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%s: reparse data of %d bytes", TagName(tagWOF), len(b))
	}
	switch provider := binary.LittleEndian.Uint32(b[4:]); {
	case provider == wofProviderWIM:
		return errors.New("the contents are kept in a WIM file (WIMBoot)")
	case provider != wofProviderFile || len(b) < 16:
		return fmt.Errorf("%s by provider %d, with %d bytes", TagName(tagWOF), provider, len(b))
	}
	switch algorithm := binary.LittleEndian.Uint32(b[12:]); algorithm {
	case 0:
		w.chunk, w.expand = 4<<10, expand.XPRESS
	case 1:
		w.chunk, w.expand = 32<<10, expand.LZX
	case 2:
		w.chunk, w.expand = 8<<10, expand.XPRESS
	case 3:
		w.chunk, w.expand = 16<<10, expand.XPRESS
	default:
		return fmt.Errorf("%s by the unknown algorithm %d", TagName(tagWOF), algorithm)
	}
	return nil
}

// ReadAt implements contents.
func (w *wof) ReadAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := 0
	for done < len(p) {
		i := (off + int64(done)) / w.chunk
		if w.at != i {
			if err := w.load(i); err != nil {
				return done, fmt.Errorf("chunk %d of stream %s: %w", i, wofStream, err)
			}
		}
		done += copy(p[done:], w.plain[off+int64(done)-i*w.chunk:])
	}
	return done, nil
}

// load expands chunk i.
func (w *wof) load(i int64) error {
	w.at = -1
	from, to, err := w.place(i)
	if err != nil {
		return err
	}
	w.plain = w.plain[:min(w.chunk, w.size-i*w.chunk)]
	if to < from || to-from > int64(len(w.plain)) || to > w.s.size {
		return fmt.Errorf("it is said to lie in [%d,%d) of %d bytes", from, to, w.s.size)
	}
	if to-from == int64(len(w.plain)) {
		_, err = w.s.ReadAt(w.plain, from)
	} else {
		packed := w.packed[:to-from]
		if _, err = w.s.ReadAt(packed, from); err == nil {
			err = w.expand(w.plain, packed)
		}
	}
	if err == nil {
		w.at = i
	}
	return err
}

// place is where chunk i lies in the stream. The numbers of the table are
// below what fits into an int64, or the place is none.
func (w *wof) place(i int64) (from, to int64, err error) {
	from, to = w.table, w.s.size
	if i > 0 {
		if from, err = w.number(i - 1); err != nil {
			return 0, 0, err
		}
	}
	if i < w.table/w.entry {
		if to, err = w.number(i); err != nil {
			return 0, 0, err
		}
	}
	return from, to, nil
}

// number is entry i of the table, as a place in the stream.
func (w *wof) number(i int64) (int64, error) {
	var b [8]byte
	if _, err := w.s.ReadAt(b[:w.entry], i*w.entry); err != nil {
		return 0, err
	}
	v := binary.LittleEndian.Uint64(b[:])
	if v > uint64(w.s.size) {
		return 0, fmt.Errorf("entry %d of the table is %d of %d bytes", i, v, w.s.size)
	}
	return w.table + int64(v), nil
}
