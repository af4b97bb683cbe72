package filesys

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// Ids in the headers that are made here, and as Windows shows them.
const (
	volumeID   = "\x10\x32\x54\x76\x98\xba\xdc\xfe\x01\x23\x45\x67\x89\xab\xcd\xef"
	volumeText = "{76543210-BA98-FEDC-0123-456789ABCDEF}"
	keyID      = "\x44\x33\x22\x11\x66\x55\x88\x77\x99\xaa\xbb\xcc\xdd\xee\xff\x00"
	keyText    = "{11223344-5566-7788-99AA-BBCCDDEEFF00}"
)

// entry is a metadata entry.
func entry(typ, value uint16, data []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, uint16(fveEntry+len(data)))
	b = le.AppendUint16(b, typ)
	b = le.AppendUint16(b, value)
	return append(le.AppendUint16(b, 1), data...)
}

// protector is the entry of a master key with one property in it.
func protector(id string, kind uint16) []byte {
	data := append([]byte(id), make([]byte, 12)...)
	binary.LittleEndian.PutUint16(data[26:], kind)
	return entry(entryProtector, valueMasterKey, append(data, entry(0, 2, []byte("D\x00i\x00s\x00k\x00"))...))
}

// fveBlock is a metadata block with a description and the given protectors.
func fveBlock(protectors ...[]byte) []byte {
	b := make([]byte, fveBlockHeader+fveHeader)
	copy(b, fveMark)
	copy(b[fveBlockHeader+16:], volumeID)
	var text []byte
	for _, u := range utf16.Encode([]rune("DESKTOP C: 25.11.2026")) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	b = append(b, entry(entryDescription, valueText, append(text, 0, 0))...)
	b = append(b, slices.Concat(protectors...)...)
	binary.LittleEndian.PutUint32(b[fveBlockHeader:], uint32(len(b)-fveBlockHeader))
	return b
}

// bitLockerVolume has its GUID at byte guid of the first sector: 160 on disks,
// 424 on sticks with FAT, 0 for Windows Vista, which has none.
func bitLockerVolume(guid int, protectors ...[]byte) disk {
	const first, second = 0x8000, 0x10000
	d := make(disk, 256<<10)
	le := binary.LittleEndian
	le.PutUint16(d[11:], 512)
	d[13] = 8
	switch guid {
	case 424:
		copy(d, "\xeb\x58\x90MSWIN4.1")
	default:
		copy(d, "\xeb\x58\x90-FVE-FS-")
	}
	if guid == 0 {
		le.PutUint64(d[56:], second/4096)
	} else {
		copy(d[guid:], fveGUID)
		le.PutUint64(d[guid+16:], first) // nothing is there
		le.PutUint64(d[guid+24:], second)
	}
	copy(d[second:], fveBlock(protectors...))
	return d
}

func TestBitLocker(t *testing.T) {
	recovery, tpm, none := protector(keyID, protectorRecovery), protector(volumeID, 0x0100), protector(volumeID, protectorClear)
	for _, c := range []struct {
		guid     int
		typ      string
		keys     []string
		warnings []string
		entries  [][]byte
	}{
		{160, "BitLocker", []string{keyText}, []string{"Keep the recovery key with id " + keyText}, [][]byte{tpm, recovery}},
		{160, "BitLocker", []string{keyText, keyText}, []string{keyText + " or " + keyText}, [][]byte{recovery, recovery}},
		{160, "BitLocker", []string{keyText}, []string{keyText, "suspended"}, [][]byte{recovery, none}},
		{160, "BitLocker", nil, []string{"No id of a recovery key"}, [][]byte{tpm}},
		{424, "BitLocker To Go", []string{keyText}, []string{keyText}, [][]byte{recovery}},
		{0, "BitLocker", []string{keyText}, []string{keyText}, [][]byte{recovery}},
	} {
		d := bitLockerVolume(c.guid, c.entries...)
		if c.guid == 160 && len(c.keys) == 1 {
			copy(d[160:], fveGUIDUsedOnly)
		}
		i := opened(t, d).Info()
		if i.Type != c.typ || i.Serial != volumeText || i.Label != "DESKTOP C: 25.11.2026" || !slices.Equal(i.RecoveryKeys, c.keys) ||
			!strings.Contains(i.WholeReason, c.typ) || len(i.Warnings) != len(c.warnings) {
			t.Errorf("%+v", i)
			continue
		}
		for n, want := range c.warnings {
			if !strings.Contains(i.Warnings[n], want) {
				t.Errorf("%q instead of %q", i.Warnings[n], want)
			}
		}
	}
}

// TestBitLockerDamaged cuts and flips what is read.
func TestBitLockerDamaged(t *testing.T) {
	sound := bitLockerVolume(160, protector(keyID, protectorRecovery))
	for n := 0; n < len(sound); n += 251 {
		opened(t, sound[:n])
	}
	for at := 0x10000; at < 0x10000+300; at++ {
		for bit := range 8 {
			sound[at] ^= 1 << bit
			if i := opened(t, sound).Info(); i.Type != "BitLocker" || len(i.Warnings) == 0 {
				t.Errorf("%+v", i)
			}
			sound[at] ^= 1 << bit
		}
	}
}
