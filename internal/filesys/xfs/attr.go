package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Attributes (xfs_da_format.h). Flags of an entry say where the value is, and to
// which name space it belongs.
const (
	attrLocal      = 0x01
	attrRoot       = 0x02
	attrSecure     = 0x04
	attrParent     = 0x08 // the folder and name of a file, of no name space
	attrIncomplete = 0x80

	attrHeader4, attrHeader5 = 32, 80
	maxValue                 = 64 << 10
	maxAttrLeaves            = 1 << 14
	maxAttributeBytes        = 64 << 20 // of one file, in memory
)

// attr is one attribute; a remote value has size bytes from a block of the
// attributes' fork on.
type attr struct {
	flags  byte
	name   string
	value  []byte
	remote int64
	size   int64
}

// Xattrs are the extended attributes as Linux gives them, by their full names.
func (n Node) Xattrs() (map[string][]byte, error) {
	out, sum := map[string][]byte{}, int64(0)
	err := n.i.eachAttr(func(a attr) error {
		prefix, ok := a.space()
		if !ok {
			return nil
		}
		if sum += a.size; sum > maxAttributeBytes {
			return errors.New("too many bytes of attributes")
		}
		value, err := n.i.value(a)
		if err != nil {
			return fmt.Errorf("%q: %w", a.name, err)
		}
		out[prefix+a.name] = value
		if acl := a.acl(); acl != "" {
			if out[acl], err = expandACL(value); err != nil {
				return fmt.Errorf("%q: %w", a.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("attributes of inode %d: %w", n.i.number, err)
	}
	return out, nil
}

// space is the front of the name as Linux shows it; some are not shown.
func (a attr) space() (string, bool) {
	switch a.flags &^ attrLocal {
	case 0:
		return "user.", true
	case attrRoot:
		return "trusted.", true
	case attrSecure:
		return "security.", true
	}
	return "", false
}

// acl is the second name of an attribute that holds a list of access rights.
func (a attr) acl() string {
	if a.flags&attrRoot != 0 {
		switch a.name {
		case "SGI_ACL_FILE":
			return "system.posix_acl_access"
		case "SGI_ACL_DEFAULT":
			return "system.posix_acl_default"
		}
	}
	return ""
}

// expandACL turns a list of access rights as XFS keeps it (xfs_format.h, struct
// xfs_acl) into that of Linux's attributes (Linux
// include/uapi/linux/posix_acl_xattr.h), where only named users and groups have
// numbers.
func expandACL(b []byte) ([]byte, error) {
	be, le := binary.BigEndian, binary.LittleEndian
	if len(b) < 4 || int64(be.Uint32(b)) > int64(len(b)-4)/12 {
		return nil, errors.New("list of access rights: cut short")
	}
	out := []byte{2, 0, 0, 0}
	for k := range int(be.Uint32(b)) {
		e := b[4+12*k:]
		tag, id := be.Uint32(e), be.Uint32(e[4:])
		if tag != 2 && tag != 8 {
			id = ^uint32(0)
		}
		out = le.AppendUint16(le.AppendUint16(out, uint16(tag)), be.Uint16(e[8:]))
		out = le.AppendUint32(out, id)
	}
	return out, nil
}

// value reads the value of an attribute.
func (i *inode) value(a attr) ([]byte, error) {
	if a.flags&attrLocal != 0 {
		return append([]byte{}, a.value...), nil
	}
	if a.size > maxValue {
		return nil, fmt.Errorf("a value of %d bytes", a.size)
	}
	out := make([]byte, 0, a.size)
	for logical := a.remote; int64(len(out)) < a.size; logical++ {
		p, err := i.find(&i.attrs, logical)
		if err == nil && (p.hole || p.unwritten) {
			err = fmt.Errorf("a hole at block %d of the attributes", logical)
		}
		var b []byte
		if err == nil {
			p.n = 1
			b, err = i.remote(p, "XARM", int64(len(out)))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b[:min(int64(len(b)), a.size-int64(len(out)))]...)
	}
	return out, nil
}

// eachAttr calls do for all attributes of a file.
func (i *inode) eachAttr(do func(attr) error) error {
	switch f := &i.attrs; {
	case len(f.b) == 0:
		return nil
	case f.format == formatLocal:
		return shortAttrs(f.b, do)
	case f.format == formatExtents && f.count == 0:
		return nil
	}
	d, err := i.attrBlock(0)
	if err != nil {
		return err
	}
	for level := maxIndexLevels + 1; d.level > 0; {
		if d.level >= level {
			return fmt.Errorf("a node of level %d below one of level %d", d.level, level)
		}
		level = d.level
		if d, err = i.attrBlock(d.value(0)); err != nil {
			return err
		}
	}
	last := uint32(0)
	for count := 0; ; count++ {
		if last, err = i.leafAttrs(d, last, do); err != nil || d.forward == 0 {
			return err
		}
		if count > maxAttrLeaves {
			return errors.New("the leaves do not end")
		}
		if d, err = i.attrBlock(d.forward); err != nil {
			return err
		}
	}
}

// attrBlock reads a node or leaf of the tree of attributes.
func (i *inode) attrBlock(logical int64) (*daBlock, error) {
	s := i.t.s
	p, err := i.find(&i.attrs, logical)
	if err == nil && (p.hole || p.unwritten) {
		err = errors.New("it is a hole")
	}
	b := make([]byte, s.BlockSize)
	if err == nil {
		err = i.t.read(b, p.at*s.BlockSize)
	}
	var d *daBlock
	if err == nil {
		d, err = s.parseDA(b, p.at*s.BlockSize, i.number)
	}
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", logical, err)
	}
	return d, nil
}

// shortAttrs walks attributes in the inode (struct xfs_attr_sf_hdr).
func shortAttrs(b []byte, do func(attr) error) error {
	if len(b) < 4 || int(binary.BigEndian.Uint16(b)) > len(b) {
		return errors.New("they do not end")
	}
	count, b := int(b[2]), b[4:binary.BigEndian.Uint16(b)]
	for range count {
		if len(b) < 3 || 3+int(b[0])+int(b[1]) > len(b) {
			return errors.New("an entry that does not end")
		}
		end := 3 + int(b[0])
		size := end + int(b[1])
		a := attr{flags: b[2] | attrLocal, name: string(b[3:end]), value: b[end:size], size: int64(b[1])}
		if err := do(a); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// leafAttrs walks a leaf: entries of a hash, the place of the name, and flags.
// Hashes ascend from leaf to leaf, so that these are no circle; it gives the
// last one.
func (i *inode) leafAttrs(d *daBlock, last uint32, do func(attr) error) (uint32, error) {
	mark, header := markAttr4, attrHeader4
	if i.t.s.Version == 5 {
		mark, header = markAttr5, attrHeader5
	}
	if d.mark != mark || header+8*d.count > len(d.b) {
		return last, fmt.Errorf("a leaf with mark %#x and %d entries", d.mark, d.count)
	}
	for k := range d.count {
		e := d.b[header+8*k:]
		hash := binary.BigEndian.Uint32(e)
		if hash < last {
			return last, fmt.Errorf("entry %d: its hash %#x does not come after %#x", k, hash, last)
		}
		last = hash
		a, err := parseAttr(d.b, int(binary.BigEndian.Uint16(e[4:])), e[6])
		if err == nil {
			err = do(a)
		}
		if err != nil {
			return last, fmt.Errorf("entry %d: %w", k, err)
		}
	}
	return last, nil
}

// parseAttr reads the name at a byte of a leaf, and its value or the place of
// that.
func parseAttr(b []byte, off int, flags byte) (attr, error) {
	be, a := binary.BigEndian, attr{flags: flags}
	at := 3 // of the name
	if flags&attrLocal == 0 {
		at = 9
	}
	if off+at > len(b) {
		return a, fmt.Errorf("its name is at byte %d of %d", off, len(b))
	}
	b = b[off:]
	end := at + int(b[at-1])
	size := 0
	if flags&attrLocal != 0 {
		size = int(be.Uint16(b))
		a.size = int64(size)
	} else {
		a.remote, a.size = int64(be.Uint32(b)), int64(be.Uint32(b[4:]))
	}
	if end+size > len(b) {
		return a, fmt.Errorf("name and value have %d bytes of %d", end+size, len(b))
	}
	a.name, a.value = string(b[at:end]), b[end:end+size]
	return a, nil
}
