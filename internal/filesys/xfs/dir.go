package xfs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"ingot/internal/fstree"
)

// Folders (xfs_da_format.h) have their names in the inode, in one block with a
// small index at its end, or in blocks from 0 on, with an index from 32 GiB on.
const (
	indexStart     = 32 << 30 // bytes
	data4, data5   = 16, 64   // bytes of the header of a block with names
	dataCRC        = 4
	dataPlace      = 8
	dataUUID       = 24
	dataOwner      = 40
	tailSize       = 8 // behind the index of the only block
	maxDamaged     = 64
	freeTag        = 0xffff
	entryAlignment = 8
)

// Entries implements fstree.Inodes.
func (t *Tree) Entries(folder fstree.Inode, do func(fstree.Entry) error) error {
	i := folder.(*inode)
	if i.data.format == formatLocal {
		_, err := i.shortEntries(do)
		return i.of(err)
	}
	return i.of(i.blocks(func(b *dirBlock) error { return b.entries(do) }))
}

// of names the folder of an error.
func (i *inode) of(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("folder of inode %d: %w", i.number, err)
}

// shortEntries walks a folder that is kept in its inode (struct
// xfs_dir2_sf_hdr), and gives the number of the folder above it.
func (i *inode) shortEntries(do func(fstree.Entry) error) (above uint64, err error) {
	b, err := i.data.local(i.size)
	if err != nil {
		return 0, err
	}
	const least = 6
	if len(b) < least {
		return 0, fmt.Errorf("%d bytes of entries", len(b))
	}
	count, width := int(b[0]), 4
	if b[1] > 0 { // entries whose numbers need 8 bytes; then all have as many
		width = 8
	}
	if len(b) < 2+width {
		return 0, fmt.Errorf("%d bytes of entries", len(b))
	}
	above, b = numberOf(b[2:], width), b[2+width:]
	for k := range count {
		e, n, err := i.t.shortEntry(b, width)
		if err == nil && do != nil {
			err = do(e)
		}
		if err != nil {
			return above, fmt.Errorf("entry %d of %d: %w", k, count, err)
		}
		b = b[n:]
	}
	return above, nil
}

// numberOf is that of an inode, of 4 or 8 bytes.
func numberOf(b []byte, width int) uint64 {
	if width == 4 {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b) & (1<<56 - 1)
}

// shortEntry reads an entry: the length of the name, an offset for those who
// list a folder in parts, the name, a type, the number.
func (t *Tree) shortEntry(b []byte, width int) (e fstree.Entry, size int, err error) {
	e.Type = fs.ModeIrregular
	if len(b) < 3 {
		return e, 0, errors.New("the entries end")
	}
	end := 3 + int(b[0])
	size = end + width
	if t.s.tree.types {
		size++
	}
	if size > len(b) || b[0] == 0 {
		return e, 0, errors.New("it does not end")
	}
	if t.s.tree.types {
		e.Type = fstree.Type(b[end])
	}
	e.Name, e.Ref.Number = string(b[3:end]), numberOf(b[size-width:], width)
	return e, size, nil
}

// dirBlock is a block of names: those in b between from and to.
type dirBlock struct {
	t        *Tree
	b        []byte
	from, to int
	only     bool // it is the only one
}

// blocks gives the blocks of names of a folder, also those behind damaged ones.
// A folder has no more of them than the volume has.
func (i *inode) blocks(do func(*dirBlock) error) error {
	s := i.t.s
	per := s.tree.dirBlock / s.BlockSize
	var damage error
	left, damaged := s.Blocks, 0
	for logical := int64(0); logical < indexStart/s.BlockSize; {
		p, err := i.find(&i.data, logical)
		if err != nil {
			return cmp.Or(damage, err)
		}
		if p.hole && p.n >= per {
			logical += p.n / per * per
			continue
		}
		if left -= per; left < 0 {
			return cmp.Or(damage, errors.New("it has more blocks than the volume"))
		}
		b, err := i.dirBlock(logical)
		if err == nil {
			err = do(b)
			if err != nil && !errors.As(err, new(damageError)) {
				return err
			}
		}
		if err != nil {
			damage = cmp.Or(damage, err)
			if damaged++; damaged > maxDamaged {
				return damage
			}
		}
		if b != nil && b.only {
			break
		}
		logical += per
	}
	return damage
}

// damageError is what is wrong with a block, behind which there may be good
// ones.
type damageError struct{ error }

func (e damageError) Unwrap() error { return e.error }

// dirBlock reads the block of names at a block of a folder.
func (i *inode) dirBlock(logical int64) (*dirBlock, error) {
	b, at, err := i.folderBytes(logical)
	if err != nil {
		return nil, err
	}
	d, err := i.t.parseDirBlock(b)
	if err == nil {
		err = i.t.s.verify(b, blockHeader{dataCRC, dataUUID, dataOwner, dataPlace}, at, i.number)
	}
	if err == nil && d.only && logical != 0 {
		err = errors.New("it says that it is the only one")
	}
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", logical, err)
	}
	return d, nil
}

// folderBytes reads a block of a folder, which is made of some of the volume's,
// from its block logical on. at is the byte of the first one.
func (i *inode) folderBytes(logical int64) (b []byte, at int64, err error) {
	s := i.t.s
	b = make([]byte, s.tree.dirBlock)
	for done := int64(0); done < int64(len(b)); {
		p, err := i.find(&i.data, logical+done/s.BlockSize)
		if err == nil && (p.hole || p.unwritten) {
			err = errors.New("a hole in a folder")
		}
		part := b[done:]
		if err == nil {
			part = part[:min(p.n*s.BlockSize, int64(len(part)))]
			err = i.t.read(part, p.at*s.BlockSize)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("block %d: %w", logical, err)
		}
		if done == 0 {
			at = p.at * s.BlockSize
		}
		done += int64(len(part))
	}
	return b, at, nil
}

// parseDirBlock tells where the names of a block are.
func (t *Tree) parseDirBlock(b []byte) (*dirBlock, error) {
	be := binary.BigEndian
	d := &dirBlock{t: t, b: b, from: data4, to: len(b)}
	data, only := "XD2D", "XD2B"
	if t.s.Version == 5 {
		d.from, data, only = data5, "XDD3", "XDB3"
	}
	switch string(b[:4]) {
	case data:
	case only:
		d.only = true
		n := int64(be.Uint32(b[len(b)-tailSize:]))
		if n > int64(len(b)-d.from-tailSize)/8 {
			return nil, fmt.Errorf("an index of %d names in a block of %d bytes", n, len(b))
		}
		d.to = len(b) - tailSize - int(n)*8
	default:
		return nil, fmt.Errorf("no mark %q at offset 0", data)
	}
	return d, nil
}

// entries walks the names of a block (struct xfs_dir2_data_entry): number,
// length, name, type, and at the end of their room their own place; or room that
// is free.
func (d *dirBlock) entries(do func(fstree.Entry) error) error {
	for off := d.from; off < d.to; {
		e, n, err := d.entry(off)
		if err != nil {
			return damageError{fmt.Errorf("entry at byte %d: %w", off, err)}
		}
		off += n
		if e.Name == "" || e.Name == "." || e.Name == ".." {
			continue
		}
		if err := do(e); err != nil {
			return err
		}
	}
	return nil
}

// entry reads the one at a byte of the block, or free room, which has no name.
func (d *dirBlock) entry(off int) (e fstree.Entry, size int, err error) {
	be, b := binary.BigEndian, d.b[off:d.to]
	e.Type = fs.ModeIrregular
	if len(b) < 2*entryAlignment {
		if len(b) < entryAlignment || be.Uint16(b) != freeTag {
			return e, 0, errors.New("it does not end")
		}
	}
	if be.Uint16(b) == freeTag {
		size = int(be.Uint16(b[2:]))
	} else {
		size = 8 + 1 + int(b[8]) + 2
		if d.t.s.tree.types {
			size++
		}
		size = (size + entryAlignment - 1) / entryAlignment * entryAlignment
	}
	if size == 0 || size%entryAlignment != 0 || size > len(b) || int(be.Uint16(b[size-2:])) != off {
		return e, 0, fmt.Errorf("%d bytes of %d, or another place", size, len(b))
	}
	if be.Uint16(b) == freeTag {
		return e, size, nil
	}
	end := 9 + int(b[8])
	if d.t.s.tree.types {
		e.Type = fstree.Type(b[end])
	}
	if e.Name, e.Ref.Number = string(b[9:end]), be.Uint64(b); e.Name == "" {
		return e, 0, errors.New("it has no name")
	}
	return e, size, nil
}

// above is the number of the folder that a folder is in, as it says itself: its
// second entry, behind ".", is "..".
func (i *inode) above() (uint64, error) {
	if i.data.format == formatLocal {
		n, err := i.shortEntries(nil)
		return n, i.of(err)
	}
	b, err := i.dirBlock(0)
	if err != nil {
		return 0, i.of(err)
	}
	var e fstree.Entry
	for off, k := b.from, 0; k < 2; k++ {
		var n int
		if e, n, err = b.entry(off); err != nil {
			return 0, i.of(err)
		}
		off += n
	}
	if e.Name != ".." {
		return 0, i.of(errors.New("it names none above it"))
	}
	return e.Ref.Number, nil
}

// Child implements fstree.Inodes: a folder is in the one folder that it names as
// the one above, and the root is in none.
func (t *Tree) Child(folder fstree.Inode, e fstree.Entry) (fstree.Inode, error) {
	in := folder.(*inode)
	i, err := t.inode(e.Ref.Number)
	if err != nil {
		return nil, err
	}
	isDir := i.kind() == modeDir
	if e.Type != fs.ModeIrregular && e.Type.IsDir() != isDir {
		return nil, fmt.Errorf("inode %d has mode %#o, its entry in the folder says something else", i.number, i.mode)
	}
	if !isDir {
		return i, nil
	}
	above, err := i.above()
	if err == nil && (above != in.number || i.number == t.s.tree.root) {
		err = fmt.Errorf("the folder of inode %d belongs into that of inode %d, and is in that of inode %d", i.number, above, in.number)
	}
	if err != nil {
		return nil, err
	}
	return i, nil
}
