package filesys

import (
	"bytes"
	"encoding/binary"

	"ingot/internal/block"
)

// magic is a string at an offset by which a file system or container is known.
type magic struct {
	name string
	off  int64
	text string
	also func(b []byte) bool // b: what stands at off, text and checkSize more
}

// Names in the tables of marks whose contents are read here too; which ext one is
// Open tells.
const markExt, markXFS, markBtrfs, markSwap = "ext", "XFS", "Btrfs", "swap"

// checkSize is how many bytes beyond the text a check may look at.
const checkSize = 64

// startMagics returns the marks in a first sector. Where they stand nothing
// else can be, except BitLocker To Go, whose first sector is FAT's so that
// older systems show the stick as one.
func startMagics() []magic {
	return []magic{
		{name: "BitLocker", off: 3, text: "-FVE-FS-"},
		{name: "BitLocker To Go", off: 424, text: "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"},
		{name: "ReFS", off: 3, text: "ReFS\x00\x00\x00\x00"},
		{name: "LUKS", off: 0, text: "LUKS\xba\xbe"},
		{name: markXFS, off: 0, text: "XFSB"},
		{name: "APFS", off: 32, text: "NXSB"},
		{name: "md", off: 0, text: "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"},
	}
}

// furtherMagics returns the marks behind a first sector, where they can also
// be what an older file system left, on a partition of size bytes. The
// containers come first: what they hold has marks of its own.
func furtherMagics(size int64) []magic {
	const mdMagic = "\xfc\x4e\x2b\xa9"
	table := []magic{
		{name: "md", off: 4096, text: mdMagic + "\x01\x00\x00\x00"},
		{name: "md", off: (size/512 - 16) &^ 7 * 512, text: mdMagic + "\x01\x00\x00\x00"}, // version 1.0
		{name: "md", off: size&^0xffff - 0x10000, text: mdMagic + "\x00\x00\x00\x00"},     // version 0.90
		{name: markExt, off: 1024 + 56, text: "\x53\xef", also: isExt},
		{name: "F2FS", off: 1024, text: "\x10\x20\xf5\xf2"},
		{name: "HFS+", off: 1024, text: "H+\x00\x04"},
		{name: "HFS+", off: 1024, text: "HX\x00\x05"},
		{name: markBtrfs, off: 65536 + 64, text: "_BHRfS_M"},
	}
	for sector := int64(0); sector < 4; sector++ {
		table = append(table, magic{name: "LVM2", off: sector * 512, text: "LABELONE", also: isLVM2})
	}
	for page := int64(4096); page <= 65536; page *= 2 {
		table = append(table,
			magic{name: markSwap, off: page - 10, text: "SWAPSPACE2"},
			magic{name: markSwap, off: page - 10, text: "SWAP-SPACE"})
		for _, text := range suspendMarks() {
			table = append(table, magic{name: markSwap, off: page - 10, text: text})
		}
	}
	return table
}

// isLVM2 checks the type of a label (LVM2 lib/label/label.h), 24 bytes on.
func isLVM2(b []byte) bool { return len(b) >= 32 && string(b[24:32]) == "LVM2 001" }

// isExt checks the fields behind the two bytes of the magic number: state,
// error behaviour and revision have few possible values (Linux
// Documentation/filesystems/ext4, "Super Block").
func isExt(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	state, errors := binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint16(b[4:])
	return state <= 0x3f && errors <= 3 && binary.LittleEndian.Uint32(b[20:]) <= 1
}

// atStart names what the first bytes of a partition are known by, or gives "".
func atStart(head []byte) string {
	for _, m := range startMagics() {
		if int64(len(head)) > m.off && bytes.HasPrefix(head[m.off:], []byte(m.text)) {
			return m.name
		}
	}
	return ""
}

// further names what is marked behind the start of r, but for one name, or
// gives "". Places that cannot be read have no marks.
func further(r block.Reader, but string) string {
	for _, m := range furtherMagics(r.Size()) {
		n := min(int64(len(m.text)+checkSize), r.Size()-m.off)
		if m.name == but || m.off < 0 || n < int64(len(m.text)) {
			continue
		}
		b := make([]byte, n)
		if got, _ := r.ReadAt(b, m.off); int64(got) < n {
			continue
		}
		if bytes.HasPrefix(b, []byte(m.text)) && (m.also == nil || m.also(b)) {
			return m.name
		}
	}
	return ""
}
