package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// attrMagic begins a place with attributes.
const attrMagic = 0xea020000

// attrSystem is the number of the prefix of what the file system keeps for
// itself: inline data.
const attrSystem = 7

// maxAttr is the largest value of an attribute (Linux include/uapi/linux/limits.h,
// XATTR_SIZE_MAX).
const maxAttr = 64 << 10

// attr is one extended attribute: a number for the front of its name, the rest
// of its name, and its value or the inode that holds the value of size bytes.
type attr struct {
	index byte
	name  string
	value []byte
	inode uint32
	size  uint32
}

// fullName is the name as Linux shows it, or "" for what it does not show.
func (a attr) fullName() string {
	switch a.index {
	case 1:
		return "user." + a.name
	case 2:
		return "system.posix_acl_access" + a.name
	case 3:
		return "system.posix_acl_default" + a.name
	case 4:
		return "trusted." + a.name
	case 6:
		return "security." + a.name
	case 8:
		return "system.richacl" + a.name
	case 10:
		return "gnu." + a.name
	}
	return ""
}

// xattrs gives the attributes of a file.
func (t *Tree) xattrs(i *inode) (map[string][]byte, error) {
	out := map[string][]byte{}
	add := func(a attr) error {
		name := a.fullName()
		if name == "" {
			return nil
		}
		value, err := t.attrValue(a)
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		out[name] = value
		return nil
	}
	err := i.bodyAttrs(add)
	if err == nil && i.acl != 0 {
		err = t.blockAttrs(i.acl, add)
	}
	if err != nil {
		return nil, fmt.Errorf("attributes of inode %d: %w", i.number, err)
	}
	return out, nil
}

// attrValue is the value as Linux gives it: lists of access rights have a
// different form on the volume.
func (t *Tree) attrValue(a attr) ([]byte, error) {
	value := append([]byte{}, a.value...)
	if a.inode != 0 {
		if a.size > maxAttr {
			return nil, fmt.Errorf("a value of %d bytes", a.size)
		}
		i, err := t.inode(a.inode)
		if err != nil {
			return nil, err
		}
		if i.flags&flagEAInode == 0 || i.kind() != modeFile || i.size < int64(a.size) {
			return nil, fmt.Errorf("inode %d holds no value of %d bytes", a.inode, a.size)
		}
		value = make([]byte, a.size)
		if _, err := t.contents(i).ReadAt(value, 0); err != nil {
			return nil, err
		}
	}
	if a.index == 2 || a.index == 3 {
		return expandACL(value)
	}
	return value, nil
}

// bodyAttrs calls do for each attribute in the inode itself.
func (i *inode) bodyAttrs(do func(attr) error) error {
	if len(i.attrs) < 4 || le32(i.attrs, 0) != attrMagic {
		return nil
	}
	b := i.attrs[4:]
	return scanAttrs(b, b, do)
}

// blockAttrs calls do for each attribute in a block of them.
func (t *Tree) blockAttrs(at int64, do func(attr) error) error {
	if !t.s.inside(at, 1) {
		return fmt.Errorf("block %d of %d", at, t.s.blocks)
	}
	b, err := t.block(at)
	if err != nil {
		return err
	}
	if le32(b, 0) != attrMagic || le32(b, 8) != 1 {
		return fmt.Errorf("block %d: no magic number", at)
	}
	if t.s.metadataCsum() {
		crc := crc32c(t.s.csumSeed, binary.LittleEndian.AppendUint64(nil, uint64(at)))
		crc = crc32c(crc32c(crc32c(crc, b[:16]), []byte{0, 0, 0, 0}), b[20:])
		if crc != le32(b, 16) {
			return fmt.Errorf("block %d: checksum is %#x, its contents have %#x", at, le32(b, 16), crc)
		}
	}
	return scanAttrs(b[32:], b, do)
}

// scanAttrs walks entries; values lies where their places are counted from
// (Linux Documentation/filesystems/ext4, "Extended Attributes").
func scanAttrs(b, values []byte, do func(attr) error) error {
	for len(b) >= 4 && le32(b, 0) != 0 {
		if len(b) < 16 || 16+int(b[0]) > len(b) {
			return errors.New("an entry that does not end")
		}
		n := int(b[0])
		a := attr{index: b[1], name: string(b[16 : 16+n]), inode: le32(b, 4), size: le32(b, 8)}
		if off := int64(le16(b, 2)); a.inode == 0 {
			if off+int64(a.size) > int64(len(values)) {
				return fmt.Errorf("value of %q: %d bytes at byte %d of %d", a.name, a.size, off, len(values))
			}
			a.value = values[off : off+int64(a.size)]
		}
		if err := do(a); err != nil {
			return err
		}
		b = b[min(len(b), (16+n+3)&^3):]
	}
	return nil
}

// expandACL turns a list of access rights as ext keeps it, where only named
// users and groups have numbers, into that of Linux's attributes (Linux
// include/uapi/linux/posix_acl_xattr.h).
func expandACL(b []byte) ([]byte, error) {
	if len(b) < 4 || le32(b, 0) != 1 {
		return nil, errors.New("list of access rights: version is not 1")
	}
	out := []byte{2, 0, 0, 0}
	for b = b[4:]; len(b) > 0; {
		if len(b) < 4 {
			return nil, errors.New("list of access rights: cut short")
		}
		id := ^uint32(0)
		n := 4
		if tag := le16(b, 0); tag == 2 || tag == 8 {
			if len(b) < 8 {
				return nil, errors.New("list of access rights: cut short")
			}
			id, n = le32(b, 4), 8
		}
		out = binary.LittleEndian.AppendUint32(append(out, b[:4]...), id)
		b = b[n:]
	}
	return out, nil
}
