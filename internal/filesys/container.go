package filesys

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"ingot/internal/block"
)

// describe adds what the header of a container, or of a file system that is
// known by name only, says of it: its version, UUID and label. What cannot be
// read stays empty.
func describe(r block.Reader, info *Info) {
	switch info.Type {
	case "BitLocker", "BitLocker To Go":
		info.bitLocker(r)
	case "LUKS":
		info.luks(bytesAt(r, 0, 208))
	case "LVM2":
		info.lvm(r)
		info.WholeReason += "; logical volumes that are active can be imaged by themselves"
	case "md":
		info.md(r)
	case "APFS": // Apple File System Reference, nx_superblock_t
		if b := bytesAt(r, 72, 16); b != nil {
			info.Serial = uuidText(b)
		}
	case "F2FS": // Linux include/linux/f2fs_fs.h, struct f2fs_super_block
		if b := bytesAt(r, 1024+108, 16+1024); b != nil {
			info.Serial, info.Label = uuidText(b[:16]), utf16Text(b[16:])
		}
	}
}

// bytesAt are n bytes at off, or nil when they cannot be read.
func bytesAt(r block.Reader, off, n int64) []byte {
	if off < 0 || off > r.Size()-n {
		return nil
	}
	b := make([]byte, n)
	if got, _ := r.ReadAt(b, off); int64(got) < n {
		return nil
	}
	return b
}

// uuidText is 16 bytes as a UUID, "" when they are all zero.
func uuidText(b []byte) string {
	if !bytes.ContainsFunc(b[:16], func(r rune) bool { return r != 0 }) {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// cString is text up to the first zero byte.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return strings.ToValidUTF8(string(text), "?")
}

// utf16Text is little-endian text up to the first zero.
func utf16Text(b []byte) string {
	var u []uint16
	for ; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
		u = append(u, binary.LittleEndian.Uint16(b))
	}
	return string(utf16.Decode(u))
}

// luks reads the header of LUKS 1 or 2 (LUKS On-Disk Format Specification 1.2.3
// and LUKS2 On-Disk Format Specification 1.1, "Binary header").
func (info *Info) luks(b []byte) {
	if b == nil {
		return
	}
	switch version := binary.BigEndian.Uint16(b[6:]); version {
	case 1:
		info.Type = "LUKS1"
	case 2:
		info.Type = "LUKS2"
		info.Label = cString(b[24:72])
	default:
		return
	}
	info.Serial = cString(b[168:])
	info.WholeReason = "the contents of " + info.Type + " are not read here"
}

// lvm reads the UUID of an LVM physical volume and the name of its volume group
// (LVM2 lib/format_text/layout.h): the label, in one of the first four sectors,
// gives the place of the header; that has the UUID, the size, and two lists of
// areas, each ended by an empty one: of data and of metadata.
func (info *Info) lvm(r block.Reader) {
	const sector, sectors = 512, 4
	b := bytesAt(r, 0, sector*sectors)
	for i := range sectors {
		at := i * sector
		if b == nil || string(b[at:at+8]) != "LABELONE" {
			continue
		}
		if header := b[at:]; binary.LittleEndian.Uint32(header[20:]) < sector-40 {
			info.physicalVolume(r, header[binary.LittleEndian.Uint32(header[20:]):min(sector, len(header))])
		}
		return
	}
}

// physicalVolume reads the header b of an LVM physical volume.
func (info *Info) physicalVolume(r block.Reader, b []byte) {
	id := string(b[:32])
	info.Serial = strings.Join([]string{id[:6], id[6:10], id[10:14], id[14:18], id[18:22], id[22:26], id[26:]}, "-")
	lists := 0
	for b = b[40:]; len(b) >= 16; b = b[16:] {
		off, size := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		switch {
		case off == 0:
			lists++
		case lists == 1 && off < 1<<62 && size < 1<<62:
			info.Label = volumeGroup(r, int64(off), int64(size))
			return
		}
	}
}

// volumeGroup is the name of the volume group in the metadata area of size
// bytes at off (struct mda_header): the text of the metadata, which begins with
// it, lies somewhere in the area.
func volumeGroup(r block.Reader, off, size int64) string {
	b := bytesAt(r, off, 512)
	if b == nil || string(b[4:20]) != " LVM2 x[5A%r0N*>" {
		return ""
	}
	text := binary.LittleEndian.Uint64(b[40:])
	if text == 0 || text > uint64(size) {
		return ""
	}
	name, _, found := strings.Cut(string(bytesAt(r, off+int64(text), 256)), " {")
	if !found || strings.ContainsAny(name, " \n\x00") {
		return ""
	}
	return name
}

// md reads the UUID and name of the array a disk belongs to (Linux
// include/uapi/linux/raid/md_p.h).
func (info *Info) md(r block.Reader) {
	size := r.Size()
	for _, off := range []int64{0, 4096, (size/512 - 16) &^ 7 * 512} {
		b := bytesAt(r, off, 64)
		if b != nil && string(b[:8]) == "\xfc\x4e\x2b\xa9\x01\x00\x00\x00" {
			info.Serial, info.Label = uuidText(b[16:32]), cString(b[32:64])
			return
		}
	}
	if b := bytesAt(r, size&^0xffff-0x10000, 64); b != nil { // version 0.90: the UUID is in two places
		info.Serial = uuidText(append(bytes.Clone(b[20:24]), b[52:64]...))
	}
}
