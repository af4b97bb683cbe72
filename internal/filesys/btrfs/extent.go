package btrfs

import (
	"encoding/binary"
	"fmt"
)

// findRoot reads where tree id begins from the root tree (struct
// btrfs_root_item).
func (f *forest) findRoot(id uint64) (root, error) {
	const offBytenr, offGeneration, offLevel, size = 176, 160, 238, 239
	it, ok, err := f.cursor(f.super.root).seek(key{id, kindRoot, 0})
	switch {
	case err != nil:
		return root{}, fmt.Errorf("find tree %d: %w", id, err)
	case !ok || it.id != id || it.kind != kindRoot:
		return root{}, fmt.Errorf("find tree %d: the root tree does not hold it", id)
	case len(it.data) < size || it.data[offLevel] > maxLevel:
		return root{}, fmt.Errorf("find tree %d: a root item of %d bytes", id, len(it.data))
	}
	le := binary.LittleEndian
	return root{id, le.Uint64(it.data[offBytenr:]), le.Uint64(it.data[offGeneration:]), int(it.data[offLevel])}, nil
}

// readChunks reads all chunks and the only device from the chunk tree, which f
// can read already.
func (f *forest) readChunks() (chunks, error) {
	c := f.cursor(f.super.chunkRoot)
	var out chunks
	devices := 0
	it, ok, err := c.seek(key{})
	for ; ok; it, ok, err = c.next() {
		switch {
		case it.kind == kindDevice && it.id == idDevices:
			d, err := parseDevice(it.data)
			if err != nil {
				return nil, fmt.Errorf("chunk tree: %w", err)
			}
			if d != f.super.Device {
				return nil, fmt.Errorf("chunk tree: its device (id %d, %d bytes) is not that of the superblock", d.ID, d.Size)
			}
			devices++
		case it.kind == kindChunk && it.id == idChunks:
			ch, err := parseChunk(it.off, it.data, f.super)
			if err != nil {
				return nil, fmt.Errorf("chunk tree: %w", err)
			}
			if len(out) == chunkLimit(&f.super.Device) {
				return nil, fmt.Errorf("chunk tree: more than %d chunks", len(out))
			}
			out = append(out, ch)
		default:
			return nil, fmt.Errorf("chunk tree: an item %v", it.key)
		}
	}
	if err == nil && devices != 1 {
		err = fmt.Errorf("chunk tree: %d devices", devices)
	}
	if err != nil {
		return nil, err
	}
	return f.withSystem(out)
}

// withSystem sorts chunks and checks that those of the superblock are among
// them.
func (f *forest) withSystem(all chunks) (chunks, error) {
	all, err := all.sorted()
	if err != nil {
		return nil, err
	}
	for _, c := range f.chunks {
		if got := all.find(uint64(c.logical), c.length); got == nil || *got != c {
			return nil, fmt.Errorf("chunk tree: chunk %d is not as the superblock has it", c.logical)
		}
	}
	return all, nil
}

// compareDevice fails unless the device tree has exactly the stripes that the
// chunks say (struct btrfs_dev_extent), in their order.
func (f *forest) compareDevice(stripes []stripe) error {
	r, err := f.findRoot(treeDevice)
	if err != nil {
		return err
	}
	c := f.cursor(r)
	const chunkAt, lengthAt, size = 16, 24, 48
	le := binary.LittleEndian
	it, ok, err := c.seek(key{f.super.Device.ID, kindDeviceExtent, 0})
	for ; ok && it.kind == kindDeviceExtent && it.id == f.super.Device.ID; it, ok, err = c.next() {
		if len(stripes) == 0 || len(it.data) < size {
			return fmt.Errorf("device tree: an extent %v of %d bytes that no chunk has", it.key, len(it.data))
		}
		s := stripes[0]
		if it.off != uint64(s.at) || le.Uint64(it.data[chunkAt:]) != uint64(s.chunk.logical) || le.Uint64(it.data[lengthAt:]) != uint64(s.chunk.length) {
			return fmt.Errorf("device tree: at byte %d there is chunk %d, the chunk tree has chunk %d at byte %d", it.off, le.Uint64(it.data[chunkAt:]), s.chunk.logical, s.at)
		}
		stripes = stripes[1:]
	}
	if err == nil && len(stripes) > 0 {
		err = fmt.Errorf("device tree: it lacks chunk %d at byte %d", stripes[0].chunk.logical, stripes[0].at)
	}
	return err
}

// readUsed takes the used bytes of each chunk from its block group item in the
// tree at r (struct btrfs_block_group_item) and adds them up.
func (f *forest) readUsed(r root) (total int64, err error) {
	c := f.cursor(r)
	for i := range f.chunks {
		ch := &f.chunks[i]
		want := key{uint64(ch.logical), kindBlockGroup, uint64(ch.length)}
		it, ok, err := c.seek(want)
		switch {
		case err != nil:
			return 0, fmt.Errorf("block group of chunk %d: %w", ch.logical, err)
		case !ok || it.key != want:
			return 0, fmt.Errorf("chunk %d of %d bytes has no block group", ch.logical, ch.length)
		case len(it.data) < blockGroupSize:
			return 0, fmt.Errorf("block group of chunk %d: an item of %d bytes", ch.logical, len(it.data))
		}
		used, kind := binary.LittleEndian.Uint64(it.data), binary.LittleEndian.Uint64(it.data[16:])
		if used > uint64(ch.length) || kind != ch.kind {
			return 0, fmt.Errorf("block group of chunk %d: %d bytes used of %d, type %#x instead of %#x", ch.logical, used, ch.length, kind, ch.kind)
		}
		ch.used = int64(used)
		total += ch.used
	}
	return total, nil
}

// holds fails unless the block a tree begins with is in use by what the extent
// tree says.
func (f *forest) holds(extents root, tree root) error {
	it, ok, err := f.cursor(extents).seek(key{tree.at, kindExtent, 0})
	if err != nil {
		return err
	}
	if !ok || it.id != tree.at || it.kind != kindExtent && it.kind != kindMetadata {
		return fmt.Errorf("extent tree: block %d, where tree %d begins, is not in use", tree.at, tree.owner)
	}
	return nil
}

// extents gives the rows of used bytes of a chunk to emit, as logical offsets
// from the chunk's start, until that returns false. They must add up to what
// its block group says.
func (f *forest) extents(c *cursor, ch *chunk, emit func(off, n int64) bool) (stopped bool, err error) {
	var sum, from, end int64 // the row being seen is from up to end
	it, ok, err := c.seek(key{id: uint64(ch.logical)})
	for ; ok && it.id < uint64(ch.end()); it, ok, err = c.next() {
		if it.kind != kindExtent && it.kind != kindMetadata {
			continue
		}
		n, err := f.extentLen(it)
		off := int64(it.id) - ch.logical
		if err == nil && (off < end || n > ch.length-off) {
			err = fmt.Errorf("extent tree: the extent %v does not fit between its neighbours in chunk %d", it.key, ch.logical)
		}
		if err != nil {
			return false, err
		}
		if off > end && end > from && !emit(from, end-from) {
			return true, nil
		}
		if off > end {
			from = off
		}
		end = off + n
		sum += n
	}
	if err == nil && sum != ch.used {
		err = fmt.Errorf("extent tree: chunk %d has extents of %d bytes, its block group says %d", ch.logical, sum, ch.used)
	}
	if err != nil {
		return false, err
	}
	return end > from && !emit(from, end-from), nil
}

// extentLen is the number of bytes in an extent: in its key, or that of a tree
// block, whose key has the level in its place.
func (f *forest) extentLen(it item) (int64, error) {
	n := it.off
	if it.kind == kindMetadata {
		n = uint64(f.super.NodeSize)
		if it.off > maxLevel {
			return 0, fmt.Errorf("extent tree: a tree block of level %d at %d", it.off, it.id)
		}
	}
	if n == 0 || n > 1<<62 || (n|it.id)%uint64(f.super.SectorSize) != 0 || len(it.data) < extentHeaderSize {
		return 0, fmt.Errorf("extent tree: %d bytes about the extent %v", len(it.data), it.key)
	}
	return int64(n), nil
}
