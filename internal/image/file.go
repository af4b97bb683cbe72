package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ingot/internal/dest"
	"ingot/internal/disk"
	"ingot/internal/image/internal/seal"
)

// nameStrong is the metadata block that holds the BLAKE3 hashes of the blocks
// in the $INDEX behind it. Source: docs/format/ingot-extensions.md, section 2.
const nameStrong = "$BLAKE3 "

// nameMarks is the metadata block that holds the tags of the blocks in the
// $INDEX behind it, nameSeal the last one of the root list. Source:
// docs/format/ingot-extensions.md, section 4.
const (
	nameMarks = "$TAGS   "
	nameSeal  = "$SEAL   "
)

// file is one file of a backup set, open, with the places of its indexes. It
// may be used by several goroutines.
type file struct {
	name  string
	blob  dest.Blob
	doc   *Document
	keys  *seal.Keys  // nil: not encrypted
	seal  *fileSeal   // nil: not sealed
	end   int64       // of its data blocks
	root  []metaBlock // the root list
	metas []metaBlock // all of its metadata, for Verify
	disks []fileDisk  // none in a part of a split backup
}

// fileDisk is what a file says of one disk.
type fileDisk struct {
	list   []metaBlock
	track0 []byte
	ebrs   []disk.BootRecord
	tables []table // of its partitions
}

// readHead reads the footer and the JSON of an image file; list are the blocks
// of its root list, root is where that begins.
func readHead(b dest.Blob) (doc *Document, list []metaBlock, root int64, err error) {
	if root, err = readFooter(b, b.Size()); err != nil {
		return nil, nil, 0, err
	}
	if list, _, err = readList(b, root, b.Size()-footerSize); err != nil {
		return nil, nil, 0, err
	}
	if doc, err = readDocument(b, list); err != nil {
		return nil, nil, 0, err
	}
	if off := doc.Header.IndexPosition; off < 0 || off > root {
		return nil, nil, 0, damaged("JSON field _header.index_file_position is %d, the root metadata begins at %d", off, root)
	}
	return doc, list, root, nil
}

// readDocument reads the JSON of a root list and checks what it says.
func readDocument(b dest.Blob, list []metaBlock) (*Document, error) {
	for i := range list {
		if list[i].name != nameJSON {
			continue
		}
		text, err := list[i].payload(b, maxJSON)
		if err != nil {
			return nil, err
		}
		if n := bytes.Count(text, []byte{','}) + bytes.Count(text, []byte{'{'}); n > maxJSONItems {
			return nil, damaged("JSON has about %d items, more than make sense", n)
		}
		doc := new(Document)
		if err := json.Unmarshal(text, doc); err != nil {
			return nil, damaged("JSON: %v", err)
		}
		return doc, doc.check()
	}
	return nil, damaged("there is no $JSON block")
}

// openFile opens the image file name of store and finds its indexes. What it
// reads of the metadata is checked by MD5, except for the indexes; that of a
// sealed file is checked as a whole.
func openFile(ctx context.Context, store dest.Store, name string, access *Access) (*file, error) {
	blob, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &file{name: name, blob: blob}
	if err := f.load(access); err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", name, err), blob.Close())
	}
	return f, nil
}

func (f *file) close() error { return f.blob.Close() }

// number is the file's number in its set.
func (f *file) number() int64 { return f.doc.Header.FileNumber }

func (f *file) load(access *Access) error {
	doc, root, limit, err := readHead(f.blob)
	if err != nil {
		return err
	}
	f.doc, f.root, f.end = doc, root, doc.Header.IndexPosition
	if f.keys, err = access.of(doc); err != nil {
		return err
	}
	if f.keys != nil {
		if err := f.checkSeal(limit); err != nil {
			return err
		}
	}
	off := f.end
	if doc.Header.SplitFile {
		f.metas = root
		return nil
	}
	for i := range doc.Disks {
		if off, err = f.loadDisk(&doc.Disks[i], off, limit); err != nil {
			return fmt.Errorf("disk %d: %w", i+1, err)
		}
	}
	f.metas = append(f.metas, root...)
	return nil
}

// loadDisk reads the list of a disk at off and those of its partitions; it
// returns the offset behind them.
func (f *file) loadDisk(doc *Disk, off, limit int64) (int64, error) {
	list, off, err := readList(f.blob, off, limit)
	if err != nil {
		return 0, err
	}
	f.metas = append(f.metas, list...)
	d := fileDisk{list: list}
	for i := range list {
		switch m := &list[i]; m.name {
		case nameTrack0:
			d.track0, err = m.payload(f.blob, maxDiskMeta)
		case nameEPT:
			var b []byte
			if b, err = m.payload(f.blob, maxDiskMeta); err == nil && len(b) > 0 {
				d.ebrs, err = decodeEPT(b)
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if len(d.track0) == 0 {
		return 0, damaged("there is no $TRACK0 block")
	}
	for i := range doc.Partitions {
		p := &doc.Partitions[i]
		if list, off, err = readList(f.blob, off, limit); err != nil {
			return 0, fmt.Errorf("partition %d: %w", p.Header.Number, err)
		}
		f.metas = append(f.metas, list...)
		t, err := f.newTable(p, list)
		if err != nil {
			return 0, fmt.Errorf("partition %d: %w", p.Header.Number, err)
		}
		d.tables = append(d.tables, t)
	}
	f.disks = append(f.disks, d)
	return off, nil
}

// newTable finds the index of a partition in its metadata list.
func (f *file) newTable(p *Partition, list []metaBlock) (table, error) {
	m := &list[len(list)-1]
	if m.name != nameIndex || m.flags&(flagCompressed|flagEncrypted) != 0 {
		return table{}, damaged("its metadata ends with %q (flags %#x) instead of a plain $INDEX", m.name, m.flags)
	}
	t := table{file: f, list: list, index: f.blob, delta: f.doc.Header.DeltaIndex}
	var err error
	if t.counts, err = readCounts(f.blob, m.pos, m.size, t.elem()); err != nil {
		return t, err
	}
	t.pos[Reserved] = m.pos + 4
	t.pos[Blocks] = t.pos[Reserved] + t.counts.reserved*elementSize + 4
	t.limit[Reserved] = (p.FileSystem.ReservedLength + ReservedPiece - 1) / ReservedPiece
	rest := p.Geometry.Length - (p.FileSystem.LCN0 - p.FileSystem.Start)
	t.limit[Blocks] = (rest + p.Header.BlockSize - 1) / p.Header.BlockSize
	if t.counts.reserved > t.limit[Reserved] || !t.delta && t.counts.blocks > t.limit[Blocks] {
		return t, damaged("$INDEX at byte %d: %d reserved pieces and %d blocks are more than the %d and %d there can be",
			m.pos, t.counts.reserved, t.counts.blocks, t.limit[Reserved], t.limit[Blocks])
	}
	if err = t.findSides(list[:len(list)-1]); err != nil {
		return t, err
	}
	if err == nil && t.delta {
		err = t.order()
	}
	return t, err
}
