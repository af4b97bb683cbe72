package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"slices"

	"ingot/internal/image/internal/seal"
)

// fileSeal authenticates the metadata of a file, and through it all of the file:
// the indexes and tags are part of it. Source: docs/format/ingot-extensions.md,
// section 4.
type fileSeal struct {
	parent   [seal.MetaSize]byte   // the tag of the file this one is based on; zeros for none
	replaced [][seal.MetaSize]byte // tags of files in whose place this one has come, the oldest first
	tag      [seal.MetaSize]byte
}

const (
	sealVersion = 1
	sealHead    = 4 // version and number of replaced tags, u16 each
	// maxReplaced is how often a file can be replaced: far beyond a backup a
	// day for a lifetime.
	maxReplaced = 1 << 15
)

// encode gives the payload up to the tag.
func (s *fileSeal) encode() []byte {
	b := binary.LittleEndian.AppendUint16(nil, sealVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s.replaced)))
	b = append(b, s.parent[:]...)
	for _, r := range s.replaced {
		b = append(b, r[:]...)
	}
	return b
}

// block gives the whole metadata block, the last of its list. It is not
// compressed: what is sealed is what can be read at a glance.
func (s *fileSeal) block() []byte {
	payload := append(s.encode(), s.tag[:]...)
	m := metaBlock{name: nameSeal, size: int64(len(payload)), sum: md5.Sum(payload), flags: flagLast}
	return append(m.encode(), payload...)
}

func parseSeal(b []byte) (*fileSeal, error) {
	if len(b) < sealHead {
		return nil, damaged("metadata block %q has %d bytes", nameSeal, len(b))
	}
	version, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
	s := new(fileSeal)
	if version != sealVersion {
		return nil, fmt.Errorf("%w: metadata block %q has version %d", ErrUnsupported, nameSeal, version)
	}
	if len(b) != sealHead+(2+n)*seal.MetaSize || n > maxReplaced {
		return nil, damaged("metadata block %q has %d bytes for %d tags", nameSeal, len(b), n)
	}
	b = b[sealHead:]
	b = b[copy(s.parent[:], b):]
	for range n {
		s.replaced = append(s.replaced, [seal.MetaSize]byte(b[:seal.MetaSize]))
		b = b[seal.MetaSize:]
	}
	copy(s.tag[:], b)
	return s, nil
}

// begin begins the tag of a file: what it belongs to, and what the seal says. The
// metadata follows, from the first byte behind the data to the header of the
// seal.
func (s *fileSeal) begin(keys *seal.Keys, h *Header, root int64) (hash.Hash, error) {
	id, err := h.imageID()
	if err != nil {
		return nil, err
	}
	m := keys.Meta()
	b := append([]byte("ingot seal"), id[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.FileNumber))
	b = binary.LittleEndian.AppendUint64(b, uint64(root))
	m.Write(append(b, s.encode()...))
	return m, nil
}

// checkSeal reads and checks the seal of an encrypted file, whose root list is at
// byte root. A set whose number of iterations says that it is sealed must have
// one.
func (f *file) checkSeal(root int64) error {
	m := &f.root[len(f.root)-1]
	if m.name != nameSeal {
		if f.doc.Encryption.Sealed() {
			return forged("%s has no seal, and all files of its set had one", f.name)
		}
		return nil // made elsewhere
	}
	payload, err := m.payload(f.blob, sealHead+(2+maxReplaced)*seal.MetaSize)
	if err != nil {
		return err
	}
	s, err := parseSeal(payload)
	if err != nil {
		return err
	}
	if m.pos+m.size+footerSize != f.blob.Size() {
		return forged("there is something behind the seal of %s", f.name)
	}
	mac, err := s.begin(f.keys, &f.doc.Header, root)
	if err != nil {
		return err
	}
	if _, err := io.Copy(mac, io.NewSectionReader(f.blob, f.end, m.pos-metaHeaderSize-f.end)); err != nil {
		return fmt.Errorf("read the metadata: %w", err)
	}
	if !seal.Equal(mac.Sum(nil), s.tag[:]) {
		return forged("the seal of %s is broken: its metadata is not what was written", f.name)
	}
	// Of its own header nothing may differ either.
	whole := s.block()
	there := make([]byte, len(whole))
	if _, err := f.blob.ReadAt(there, m.pos-metaHeaderSize); err != nil {
		return fmt.Errorf("read the seal: %w", err)
	}
	if !bytes.Equal(whole, there) {
		return forged("the header of the seal of %s is not what was written", f.name)
	}
	f.seal = s
	return nil
}

// checkParents checks that each sealed file of a chain stands on the very file
// it was made upon, or on one that took its place.
func (c *Chain) checkParents() error {
	for _, f := range c.files[c.extra:] {
		ref := f.doc.Auxiliary.Parent
		if f.seal == nil || ref == nil || f.doc.Header.SplitFile {
			continue
		}
		parent := c.number[ref.FileNumber]
		if parent == nil {
			return forged("%s was made upon file number %d, which is not there", f.name, ref.FileNumber)
		}
		if parent.seal == nil || parent.seal.tag != f.seal.parent && !slices.Contains(parent.seal.replaced, f.seal.parent) {
			return forged("%s was not made upon this %s: one of the two comes from another time or set", f.name, parent.name)
		}
	}
	return nil
}

// Sealed says whether everything in the files of the chain is authenticated.
func (c *Chain) Sealed() bool {
	return !slices.ContainsFunc(c.files, func(f *file) bool { return f.seal == nil })
}
