package image

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ingot/internal/disk"
)

func encodeDocument(doc *Document) ([]byte, error) { return json.Marshal(doc) }

// Size is the number of bytes written so far, of all files.
func (w *Writer) Size() int64 { return w.done + w.pos }

// Disk begins a disk: the metadata that belongs to it. Disks come in the order
// of the document, each followed by its partitions.
func (w *Writer) Disk(track0 []byte, ebrs []disk.BootRecord) error {
	if len(track0) == 0 {
		return w.fail(errors.New("write disk metadata: track 0 is empty"))
	}
	m, payload := newMeta(nameTrack0, track0, len(ebrs) == 0)
	list := append(m.encode(), payload...)
	if len(ebrs) > 0 {
		m, payload := newMeta(nameEPT, encodeEPT(ebrs), true)
		list = append(append(list, m.encode()...), payload...)
	}
	w.metas = append(w.metas, list)
	return nil
}

func (w *Writer) writeMetadata() error {
	w.doc.Header.IndexPosition = w.pos
	w.doc.Header.DiskCount = int64(len(w.doc.Disks))
	// What would be refused when it is read is not written.
	if err := w.doc.check(); err != nil {
		return fmt.Errorf("write image metadata: %w", err)
	}
	if err := errors.Join(w.index.settle(), w.strong.settle(), w.marks.settle()); err != nil {
		return err
	}
	if w.split != nil && w.pos > 0 && w.pos+w.listsSize() > w.split.room {
		if err := w.nextPart(); err != nil {
			return err
		}
		w.doc.Header.IndexPosition = 0
	}
	return w.writeEnd(w.listsSize(), w.writeLists)
}

// writeEnd writes what stands behind the data of a file: lists, which take so many
// bytes, the root list and the footer.
func (w *Writer) writeEnd(size int64, lists func()) error {
	text, err := w.encode(w.doc)
	if err != nil {
		return fmt.Errorf("write image metadata: %w", err)
	}
	root := w.pos + size
	if w.seal != nil {
		if w.mac, err = w.seal.begin(w.keys, &w.doc.Header, root); err != nil {
			return err
		}
	}
	lists()
	if w.pos != root {
		w.fail(fmt.Errorf("write image metadata: the root list is at byte %d instead of %d", w.pos, root))
	}
	w.writeRoot(text)
	w.write(footer(root))
	w.fail(w.out.Flush())
	return w.err
}

// listsSize is the length of the lists of disks and partitions.
func (w *Writer) listsSize() (n int64) {
	for _, list := range w.metas {
		n += int64(len(list))
	}
	block := func(size int64) {
		if size > 0 {
			n += metaHeaderSize + size
		}
	}
	for i := range w.parts {
		p := &w.parts[i]
		for k := range p.others {
			n += metaHeaderSize + p.others[k].size
		}
		block(p.strong.size)
		block(p.marks.size)
		block(p.index.size)
	}
	return n
}

// writeLists writes the lists of disks and partitions.
func (w *Writer) writeLists() {
	next := 0
	for d, list := range w.metas {
		w.write(list)
		for ; next < len(w.parts) && w.parts[next].disk == d; next++ {
			p := &w.parts[next]
			for i := range p.others {
				w.writeTaken(&p.others[i])
			}
			w.writeSection(metaBlock{name: nameStrong}, &w.strong, p.strong)
			w.writeSection(metaBlock{name: nameMarks}, &w.marks, p.marks)
			w.writeSection(metaBlock{name: nameIndex, flags: flagLast}, &w.index, p.index)
		}
	}
}

// writeRoot writes the root list: the JSON, what else a file that was taken has
// there, and the seal.
func (w *Writer) writeRoot(text []byte) {
	if w.taken != nil {
		for i := range w.taken.root {
			if m := &w.taken.root[i]; m.name != nameJSON && m.name != nameSeal {
				w.writeTaken(m)
			}
		}
	}
	m, payload := newMeta(nameJSON, text, w.seal == nil)
	w.write(m.encode())
	w.write(payload)
	if w.seal == nil {
		return
	}
	w.mac.Sum(w.seal.tag[:0])
	w.mac = nil
	w.write(w.seal.block())
}

// writeSection writes a metadata block whose payload waits in a spool, if there
// is any.
func (w *Writer) writeSection(m metaBlock, s *spool, at section) {
	if at.size == 0 {
		return
	}
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(s, at.off, at.size)); err != nil {
		w.fail(err)
		return
	}
	m.size = at.size
	h.Sum(m.sum[:0])
	w.write(m.encode())
	w.copy(io.NewSectionReader(s, at.off, at.size))
}

// writeTaken writes a metadata block of the file taken, which is not the last of
// its list here.
func (w *Writer) writeTaken(m *metaBlock) {
	head := *m
	head.flags &^= flagLast
	w.write(head.encode())
	w.copy(io.NewSectionReader(w.taken.blob, m.pos, m.size))
}

// copy writes metadata from a reader.
func (w *Writer) copy(r *io.SectionReader) {
	if w.err != nil {
		return
	}
	out := io.Writer(w.out)
	if w.mac != nil {
		out = io.MultiWriter(w.out, w.mac)
	}
	n, err := io.CopyN(out, r, r.Size())
	w.pos += n
	w.fail(err)
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	if w.mac != nil {
		w.mac.Write(b)
	}
	n, err := w.out.Write(b)
	w.pos += int64(n)
	w.fail(err)
}

// eptRecordSize: boot sector[512], u64 offset on the disk, u16 number and 6
// bytes of padding. Source: disk_structs.h of the published reader.
const eptRecordSize = 528

func encodeEPT(ebrs []disk.BootRecord) []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(ebrs)))
	for i := range ebrs {
		rec := make([]byte, eptRecordSize)
		copy(rec, ebrs[i].Sector[:])
		binary.LittleEndian.PutUint64(rec[512:], uint64(ebrs[i].Off))
		binary.LittleEndian.PutUint16(rec[520:], uint16(ebrs[i].Number))
		out = append(out, rec...)
	}
	return out
}

func decodeEPT(b []byte) ([]disk.BootRecord, error) {
	if len(b) < 4 {
		return nil, damaged("$EPT has %d bytes", len(b))
	}
	// The vendor's reader goes by the length and ignores the count.
	rest := b[4:]
	if n := binary.LittleEndian.Uint32(b); int64(n)*eptRecordSize > int64(len(rest)) {
		return nil, damaged("$EPT: count %d does not fit into %d bytes", n, len(b))
	}
	var out []disk.BootRecord
	for ; len(rest) >= eptRecordSize; rest = rest[eptRecordSize:] {
		r := disk.BootRecord{
			Off:    int64(binary.LittleEndian.Uint64(rest[512:])),
			Number: int(binary.LittleEndian.Uint16(rest[520:])),
		}
		copy(r.Sector[:], rest)
		out = append(out, r)
	}
	return out, nil
}
