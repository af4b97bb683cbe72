package filesys

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"ingot/internal/block"
)

// The layout of BitLocker's headers is that of libyal's "BitLocker Drive
// Encryption (BDE) format specification". Integers are little-endian.
const (
	fveMark        = "-FVE-FS-"
	fveBlockHeader = 64
	fveHeader      = 48
	fveMax         = 64 << 10 // bytes of one metadata block
	fveEntry       = 8        // bytes before the contents of an entry

	entryProtector   = 0x0002 // a volume master key, encrypted by what protects it
	entryDescription = 0x0007
	valueText        = 0x0002
	valueMasterKey   = 0x0008

	protectorClear    = 0x0000
	protectorRecovery = 0x0800
)

// RecoveryKeyAdvice is what the owner of a BitLocker volume must know: the
// keys whose ids these are open it.
func RecoveryKeyAdvice(ids []string) string {
	if len(ids) == 0 {
		return "It is encrypted with BitLocker, and stays so in an image. No id of a recovery key could be read: make sure that you have the key; without it the contents are lost."
	}
	return fmt.Sprintf("It is encrypted with BitLocker, and stays so in an image. Keep the recovery key with id %s; without it the contents can be lost.", strings.Join(ids, " or "))
}

// bitLocker reads the volume's identifier, its description and the ids of its
// recovery keys from the first sound one of its three metadata blocks.
func (info *Info) bitLocker(r block.Reader) {
	var m fveMetadata
	for _, off := range fveOffsets(r) {
		var ok bool
		if m, ok = readFVE(r, off); ok {
			break
		}
	}
	info.Serial, info.Label, info.RecoveryKeys = m.volume, m.description, m.recovery
	info.Warnings = append(info.Warnings, RecoveryKeyAdvice(m.recovery))
	if m.clear {
		info.Warnings = append(info.Warnings, "Its protection is suspended: the key lies on the volume, and in an image of it, unprotected. Resume the protection before making the image.")
	}
}

// fveOffsets are the places of the metadata blocks. Windows 7 and later have
// them behind a GUID in the first sector, at two places; Windows Vista has the
// cluster of the first block.
func fveOffsets(r block.Reader) (out []int64) {
	b := bytesAt(r, 0, 512)
	if b == nil {
		return nil
	}
	le := binary.LittleEndian
	at := 0
	for _, guid := range []int{160, 424} {
		if bytes.Equal(b[guid:guid+16], []byte(fveGUID)) || bytes.Equal(b[guid:guid+16], []byte(fveGUIDUsedOnly)) {
			at = guid + 16
		}
	}
	if at == 0 {
		cluster := uint64(le.Uint16(b[11:])) * uint64(b[13])
		if n := le.Uint64(b[56:]); cluster > 0 && n < 1<<40 {
			out = append(out, int64(n*cluster))
		}
		return out
	}
	for i := range 3 {
		if off := le.Uint64(b[at+8*i:]); off < 1<<62 {
			out = append(out, int64(off))
		}
	}
	return out
}

// The GUIDs of volumes that are encrypted as a whole, and where they are used.
const (
	fveGUID         = "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"
	fveGUIDUsedOnly = "\x3b\x4d\xa8\x92\x80\xdd\x0e\x4d\x9e\x4e\xb1\xe3\x28\x4e\xae\xd8"
)

// fveMetadata is what a metadata block says.
type fveMetadata struct {
	volume, description string
	recovery            []string // key ids
	clear               bool     // the master key is there for anybody
}

// readFVE reads the metadata block at off.
func readFVE(r block.Reader, off int64) (fveMetadata, bool) {
	head := bytesAt(r, off, fveBlockHeader+fveHeader)
	if head == nil || string(head[:8]) != fveMark {
		return fveMetadata{}, false
	}
	size := int64(binary.LittleEndian.Uint32(head[fveBlockHeader:]))
	if size < fveHeader || size > fveMax {
		return fveMetadata{}, false
	}
	b := bytesAt(r, off+fveBlockHeader, size)
	if b == nil {
		return fveMetadata{}, false
	}
	return parseFVE(b), true
}

// parseFVE reads a metadata header and the entries behind it. What is behind
// one that is damaged is not seen.
func parseFVE(b []byte) fveMetadata {
	m := fveMetadata{volume: guidText(b[16:32])}
	le := binary.LittleEndian
	for b = b[fveHeader:]; len(b) >= fveEntry; {
		n := int(le.Uint16(b))
		if n < fveEntry || n > len(b) {
			break
		}
		typ, value, data := le.Uint16(b[2:]), le.Uint16(b[4:]), b[fveEntry:n]
		b = b[n:]
		switch {
		case typ == entryDescription && value == valueText:
			m.description = utf16Text(data)
		case typ == entryProtector && value == valueMasterKey && len(data) >= 28:
			switch le.Uint16(data[26:]) {
			case protectorRecovery:
				m.recovery = append(m.recovery, guidText(data[:16]))
			case protectorClear:
				m.clear = true
			}
		}
	}
	return m
}

// guidText is a GUID as Windows prints it, its first three fields
// little-endian.
func guidText(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("{%08X-%04X-%04X-%X-%X}", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
