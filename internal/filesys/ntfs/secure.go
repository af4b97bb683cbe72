package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxSecurity is the most bytes of one security descriptor: its lists have
// 64 KiB each at most.
const maxSecurity = 256 << 10

// secure is $Secure: the security descriptors of all files, each kept once.
type secure struct {
	ids  *index  // $SII, by id
	data *stream // $SDS
}

// openSecure opens $Secure.
func (m *mft) openSecure() (*secure, error) {
	rec, err := m.record(recSecure)
	if err != nil {
		return nil, fmt.Errorf("$Secure: %w", err)
	}
	ids, err := m.index(rec, "$SII", func(key []byte) error {
		if len(key) < 4 {
			return fmt.Errorf("a security id in %d bytes", len(key))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("$Secure: %w", err)
	}
	data, err := m.open(rec, typeData, "$SDS")
	if err == nil {
		err = data.plain()
	}
	if err != nil {
		return nil, fmt.Errorf("$Secure: %w", err)
	}
	return &secure{ids, data}, nil
}

// SecurityDescriptor is the self-relative SECURITY_DESCRIPTOR of the file
// ([MS-DTYP] 2.4.6); nil when it has none.
func (n *node) SecurityDescriptor() ([]byte, error) {
	own, err := n.t.m.open(n.rec, typeSecurity, "")
	switch {
	case err == nil:
		if own.size > maxSecurity {
			return nil, fmt.Errorf("security descriptor of MFT record %d: %d bytes", n.rec.number, own.size)
		}
		b := make([]byte, own.size)
		_, err = own.ReadAt(b, 0)
		return b, where(err, "security descriptor of MFT record %d", n.rec.number)
	case !errors.Is(err, errNoAttribute):
		return nil, err
	case n.security == 0:
		return nil, nil
	}
	s, err := n.t.security()
	if err != nil {
		return nil, err
	}
	b, err := s.descriptor(n.security)
	return b, where(err, "security descriptor %d of MFT record %d", n.security, n.rec.number)
}

// descriptor finds a security descriptor by its id. The index says where it is
// in $SDS, behind a header that the index has too (ntfs-3g layout.h,
// SECURITY_DESCRIPTOR_HEADER: hash, id, offset, size).
func (s *secure) descriptor(id uint32) ([]byte, error) {
	const header = 20
	var at []byte
	err := s.ids.seek(func(key []byte) int {
		k := binary.LittleEndian.Uint32(key)
		return int(int64(k) - int64(id))
	}, func(e indexEntry) bool {
		if binary.LittleEndian.Uint32(e.key) == id {
			at = e.data
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	if len(at) < header {
		return nil, errors.New("$Secure does not have it")
	}
	off, size := int64(binary.LittleEndian.Uint64(at[8:])), int64(binary.LittleEndian.Uint32(at[16:]))
	if size < header || size > maxSecurity {
		return nil, fmt.Errorf("$Secure says that it has %d bytes", size)
	}
	b := make([]byte, size)
	if _, err := s.data.ReadAt(b, off); err != nil {
		return nil, fmt.Errorf("$SDS: %w", err)
	}
	if binary.LittleEndian.Uint32(b[4:]) != id {
		return nil, fmt.Errorf("$SDS has descriptor %d at byte %d", binary.LittleEndian.Uint32(b[4:]), off)
	}
	return b[header:], nil
}
