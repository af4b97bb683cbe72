package vhdx

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// Limits of a virtual disk ([MS-VHDX] 2.6.2), in bytes.
const (
	minBlock = mib
	maxBlock = 256 * mib
	maxDisk  = 64 << 40
)

const (
	metadataMark   = "metadata"
	itemSpan       = 64 * kib // items begin behind the table
	maxItem        = mib
	flagUser       = 1
	flagVirtual    = 2
	flagRequired   = 4
	flagLeave      = 1 // file parameters: all blocks stay allocated, a fixed disk
	flagHasParent  = 2
	maxLocatorKeys = 64
)

// metadata is what the metadata region says of the disk ([MS-VHDX] 2.6); sizes
// in bytes.
type metadata struct {
	block             int64
	fixed, hasParent  bool
	size              int64
	logical, physical int64
	locator           map[string]string
}

// item is a line of the metadata table.
type item struct {
	off, len int64 // in the region
	flags    uint32
}

func readMetadata(m *image, g region) (metadata, error) {
	var out metadata
	b := make([]byte, tableSize)
	if err := full(m, b, g.off); err != nil {
		return out, err
	}
	items, err := parseTable(b, g.len)
	if err != nil {
		return out, err
	}
	get := func(id guid, size int64) ([]byte, error) {
		it, ok := items[id]
		if !ok {
			return nil, corrupt("item %v is missing", id)
		}
		if it.len < size {
			return nil, corrupt("item %v of %d bytes", id, it.len)
		}
		b := make([]byte, it.len)
		return b, full(m, b, g.off+it.off)
	}
	if err := out.numbers(get); err != nil || !out.hasParent {
		return out, err
	}
	if b, err = get(itemParentLocator(), 20); err != nil {
		return out, err
	}
	if out.locator, err = parseLocator(b); err != nil {
		return out, fmt.Errorf("parent locator: %w", err)
	}
	return out, nil
}

// parseTable reads the table of a metadata region of span bytes. Items of users
// are left out: they say nothing about the disk.
func parseTable(b []byte, span int64) (map[guid]item, error) {
	if string(b[:8]) != metadataMark {
		return nil, corrupt("no signature at offset 0")
	}
	n := int(binary.LittleEndian.Uint16(b[10:]))
	if n > maxEntries {
		return nil, corrupt("%d entries (offset 10)", n)
	}
	out := map[guid]item{}
	for i := range n {
		e := b[32+32*i:][:32]
		id := guid(e[:16])
		it := item{int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:])), binary.LittleEndian.Uint32(e[24:])}
		if it.len > 0 && (it.off < itemSpan || it.off+it.len > span) || it.len > maxItem {
			return nil, corrupt("entry %d: %d bytes at %d of %d", i, it.len, it.off, span)
		}
		if it.flags&flagUser != 0 {
			continue
		}
		if _, twice := out[id]; twice {
			return nil, corrupt("item %v stands there twice", id)
		}
		if !knownItem(id) && it.flags&flagRequired != 0 {
			return nil, fmt.Errorf("item %v is required and not known", id)
		}
		out[id] = it
	}
	return out, nil
}

func knownItem(id guid) bool {
	switch id {
	case itemFileParameters(), itemSize(), itemDiskID(), itemLogicalSector(), itemPhysicalSector(), itemParentLocator():
		return true
	}
	return false
}

// numbers reads the items that have a fixed size.
func (d *metadata) numbers(get func(guid, int64) ([]byte, error)) error {
	b, err := get(itemFileParameters(), 8)
	if err != nil {
		return err
	}
	d.block = int64(binary.LittleEndian.Uint32(b))
	flags := binary.LittleEndian.Uint32(b[4:])
	d.fixed, d.hasParent = flags&flagLeave != 0, flags&flagHasParent != 0
	if !possibleBlock(d.block) {
		return corrupt("block size %d", d.block)
	}
	if b, err = get(itemLogicalSector(), 4); err != nil {
		return err
	}
	d.logical = int64(binary.LittleEndian.Uint32(b))
	if b, err = get(itemPhysicalSector(), 4); err != nil {
		return err
	}
	d.physical = int64(binary.LittleEndian.Uint32(b))
	if !possibleSector(d.logical) || !possibleSector(d.physical) {
		return corrupt("sectors of %d bytes, %d physically", d.logical, d.physical)
	}
	if b, err = get(itemSize(), 8); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint64(b)
	if size > maxDisk || size == 0 || size%uint64(d.logical) != 0 {
		return corrupt("disk of %d bytes", size)
	}
	d.size = int64(size)
	return nil
}

func possibleBlock(n int64) bool  { return n >= minBlock && n <= maxBlock && n&(n-1) == 0 }
func possibleSector(n int64) bool { return n == 512 || n == 4096 }

// parseLocator reads the keys and values of a parent locator ([MS-VHDX]
// 2.6.2.6).
func parseLocator(b []byte) (map[string]string, error) {
	if id := guid(b[:16]); id != locatorVHDX() {
		return nil, fmt.Errorf("type %v is not known", id)
	}
	n := int(binary.LittleEndian.Uint16(b[18:]))
	if n > maxLocatorKeys || 20+12*n > len(b) {
		return nil, corrupt("%d keys in %d bytes", n, len(b))
	}
	out := map[string]string{}
	for i := range n {
		e := b[20+12*i:]
		key, err := locatorText(b, binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint16(e[8:]))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		if out[key], err = locatorText(b, binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint16(e[10:])); err != nil {
			return nil, fmt.Errorf("value of %q: %w", key, err)
		}
	}
	return out, nil
}

// locatorText is n bytes of UTF-16LE at off.
func locatorText(b []byte, off uint32, n uint16) (string, error) {
	if int64(off)+int64(n) > int64(len(b)) || n%2 != 0 {
		return "", corrupt("%d bytes at %d of %d", n, off, len(b))
	}
	return decodeUTF16(b[off:][:n]), nil
}

func decodeUTF16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}
