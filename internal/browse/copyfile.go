package browse

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"ingot/internal/filesys"
	"ingot/internal/pipeline"
)

const (
	// largeFile is from which size on a file is read by all cores; below, files
	// are copied side by side.
	largeFile = 4 << 20
	copyPiece = 1 << 20
	// holePiece is the least that is left out of a file with holes.
	holePiece = 4096
)

// temporary is the name of a file that is not complete.
func temporary() string { return ".ingot-" + strings.ToLower(rand.Text()) + ".part" }

// file copies a regular file with its streams.
func (c *copier) file(t *target, it Item) error {
	f, err := it.Volume.Files.Open(it.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if it.Info.Size() >= largeFile {
		c.meter.Object(printableName(it.Path))
	}
	tmp := temporary()
	w, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, it.firstMode())
	if err != nil {
		return err
	}
	err = c.contents(w, f, it)
	if err == nil {
		err = c.streams(t, it, w)
	}
	if err == nil {
		c.keep(it, w)
		c.lose("reparse point", it, reparsed(it))
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = t.root.Remove(tmp)
		return err
	}
	return c.commit(t, tmp, it.Name)
}

// reparsed is an error for a file of Windows that is more than its contents: one
// whose reparse point says something to a program, such as an app's alias. Those
// that say how the contents were stored (Compact OS), or that they are in a cloud
// as well, are no loss ([MS-FSCC] 2.1.2.1).
func reparsed(it Item) error {
	const compacted, cloud, cloudMask = 0x80000017, 0x9000001a, 0xffff0fff
	r, ok := it.Info.Sys().(filesys.Reparse)
	if !ok {
		return nil
	}
	tag, _ := r.ReparsePoint()
	if tag == 0 || tag == compacted || tag&cloudMask == cloud {
		return nil
	}
	return fmt.Errorf("its tag is %#08x", tag)
}

// firstMode is how a file is made: closed to others, when it is going to have
// permissions of its own; else as any new file.
func (it *Item) firstMode() os.FileMode {
	if _, ok := it.Info.Sys().(filesys.Owner); ok {
		return 0o600
	}
	return 0o666
}

// printableName is a path as it is shown while it is copied.
func printableName(p string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '?'
		}
		return r
	}, p)
}

// contents copies the bytes of a file.
func (c *copier) contents(w *os.File, f fs.File, it Item) error {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return errors.New("it cannot be read at any place")
	}
	size := it.Info.Size()
	if err := w.Truncate(size); err != nil {
		return err
	}
	items := 1
	if size >= largeFile {
		items = pipeline.Items(copyPiece)
	}
	return c.copyBytes(w, r, size, sparse(it), items, c.meter.Add)
}

// sparse says whether fewer bytes are stored of a file than it has.
func sparse(it Item) bool {
	n := it.node()
	if n == nil || it.Info.Size() < holePiece {
		return false
	}
	var stored int64
	for e, err := range n.Extents() {
		if stored += e.Len; err != nil || stored >= it.Info.Size() {
			return false
		}
	}
	return true
}

// piece is a part of a file on its way.
type piece struct {
	buf  *[]byte
	data []byte
	off  int64
}

// buffers are for pieces, kept between files.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	return new(make([]byte, copyPiece))
}

// copyBytes copies size bytes in pieces, some of them at a time. With holes set,
// zeros are not written: the file has its length already. count is told of what
// was written.
func (c *copier) copyBytes(w io.WriterAt, r io.ReaderAt, size int64, holes bool, items int, count func(int64)) error {
	var at int64
	var used []*[]byte
	defer func() {
		for _, b := range used {
			c.buffers.pool.Put(b)
		}
	}()
	var mu sync.Mutex
	return pipeline.Run(c.ctx, items, pipeline.Stages[piece]{
		New: func() *piece {
			mu.Lock()
			defer mu.Unlock()
			b := c.buffers.get()
			used = append(used, b)
			return &piece{buf: b}
		},
		Read: func(p *piece) error {
			if at >= size {
				return io.EOF
			}
			p.off, p.data = at, (*p.buf)[:min(copyPiece, size-at)]
			at += int64(len(p.data))
			return nil
		},
		Work: func(p *piece) error {
			n, err := r.ReadAt(p.data, p.off)
			if n == len(p.data) {
				return nil
			}
			if err == nil || err == io.EOF {
				err = fmt.Errorf("it ends after %d bytes, not %d", p.off+int64(n), size)
			}
			return err
		},
		Write: func(p *piece) error {
			count(int64(len(p.data)))
			return writePiece(w, p, holes)
		},
	})
}

// writePiece writes a piece, without its zeros when it may have holes.
func writePiece(w io.WriterAt, p *piece, holes bool) error {
	if !holes {
		_, err := w.WriteAt(p.data, p.off)
		return err
	}
	var zeros [holePiece]byte
	rest, off := p.data, p.off
	for len(rest) > 0 {
		n := 0
		for n < len(rest) && !bytes.Equal(rest[n:min(n+holePiece, len(rest))], zeros[:min(holePiece, len(rest)-n)]) {
			n = min(n+holePiece, len(rest))
		}
		if n > 0 {
			if _, err := w.WriteAt(rest[:n], off); err != nil {
				return err
			}
		} else {
			n = min(holePiece, len(rest))
		}
		rest, off = rest[n:], off+int64(n)
	}
	return nil
}

// maxXattr is the most bytes of an extended attribute on Linux.
const maxXattr = 64 << 10

// streams copies the streams of a file or folder of NTFS, whose copy is open. One
// that cannot be copied is told of: the file is worth more than none without it.
func (c *copier) streams(t *target, it Item, w *os.File) error {
	s, ok := it.Info.Sys().(filesys.Streams)
	if !ok || c.o.Streams == StreamsNone {
		return nil
	}
	names, err := s.Streams()
	if err != nil {
		return c.fail(it, fmt.Errorf("its streams: %w", err))
	}
	for _, name := range names {
		one := it
		one.Path += ":" + name
		if err := c.fail(one, c.stream(t, it, w, s, name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) stream(t *target, it Item, w *os.File, s filesys.Streams, name string) error {
	f, err := s.OpenStream(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return errors.New("it cannot be read at any place")
	}
	if c.o.Streams == StreamsFiles {
		return c.streamFile(t, it, w, r, info.Size(), name)
	}
	if info.Size() > maxXattr {
		return fmt.Errorf("%d bytes are too much for an extended attribute: choose --streams files", info.Size())
	}
	b := make([]byte, info.Size())
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return err
	}
	if err := setXattr(w, "user."+name, b); err != nil {
		return fmt.Errorf("as an extended attribute: %w (there are --streams files and --streams none)", err)
	}
	return nil
}
