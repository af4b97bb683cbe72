package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// maxDirSize is the largest a directory may be: 65,536 entries.
const maxDirSize = 2 << 20

// Attribute bits of a directory entry (FAT specification, "Directory
// Structure"); a long-name part has the first four at once.
const (
	attrLabel  = 0x08
	attrFolder = 0x10
	attrLong   = 0x0f
	attrMask   = 0x3f
)

// dirEntry is a directory entry with the long name that stood before it.
type dirEntry struct {
	short, long string
	attr        byte
	cluster     int64
}

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared without regard to case,
// with long and short (8.3) names alike. It fails when a folder on the way
// cannot be read.
func (v *Volume) Contains(path string) (bool, error) {
	at := dirEntry{attr: attrFolder, cluster: v.boot.RootCluster}
	root := true
	for part := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '\\' || c == '/' }) {
		if at.attr&attrFolder == 0 {
			return false, nil
		}
		entries, err := v.folder(at.cluster, root)
		if err != nil {
			return false, fmt.Errorf("look up %q: %w", path, err)
		}
		found := false
		for _, e := range entries {
			if e.attr&attrLabel == 0 && (strings.EqualFold(e.short, part) || strings.EqualFold(e.long, part)) {
				at, found = e, true
				break
			}
		}
		if !found {
			return false, nil
		}
		root = false
	}
	return true, nil
}

// rootLabel is the volume label of the root directory, "" if there is none.
func (v *Volume) rootLabel() (string, error) {
	entries, err := v.folder(v.boot.RootCluster, true)
	for _, e := range entries {
		if e.attr&(attrLabel|attrFolder) == attrLabel {
			return e.long, nil
		}
	}
	return "", err
}

// folder reads the entries of a directory: the root of FAT12 and FAT16 lies in
// its own area, all others are chains of clusters.
func (v *Volume) folder(cluster int64, root bool) ([]dirEntry, error) {
	if root && v.boot.Bits != 32 {
		b := make([]byte, v.boot.RootSize)
		if n, err := v.r.ReadAt(b, v.boot.RootOffset); n < len(b) {
			return nil, fmt.Errorf("read root directory at byte %d: %w", v.boot.RootOffset, err)
		}
		return parseDir(b), nil
	}
	if v.boot.Bits != 32 {
		cluster &= 0xffff // the upper half of the entry's field is another's
	}
	b, err := v.chain(cluster)
	if err != nil {
		return nil, fmt.Errorf("directory at cluster %d: %w", cluster, err)
	}
	return parseDir(b), nil
}

// chain reads the clusters from first on to the end of their chain. A chain
// that is longer than a directory can be, for one by going round, is an error.
func (v *Volume) chain(first int64) ([]byte, error) {
	var out []byte
	for c := first; ; {
		if c < 2 || c >= v.boot.TotalClusters+2 {
			return nil, fmt.Errorf("chain goes to cluster %d of %d", c, v.boot.TotalClusters)
		}
		if int64(len(out)) >= maxDirSize {
			return nil, errors.New("chain does not end where a directory must")
		}
		at := v.boot.DataStart + (c-2)*v.boot.ClusterSize
		b := make([]byte, v.boot.ClusterSize)
		if n, err := v.r.ReadAt(b, at); n < len(b) {
			return nil, fmt.Errorf("read cluster %d at byte %d: %w", c, at, err)
		}
		out = append(out, b...)
		next, err := v.entryAt(c)
		if err != nil {
			return nil, err
		}
		if next >= endMark(v.boot.Bits) {
			return out, nil
		}
		c = int64(next)
	}
}

// parseDir reads the entries of a directory's bytes up to its end mark. Parts
// of long names that do not belong to the entry behind them are dropped, as
// the specification wants.
func parseDir(b []byte) []dirEntry {
	var out []dirEntry
	var long longName
	for ; len(b) >= 32 && b[0] != 0; b = b[32:] {
		e := b[:32]
		switch {
		case e[0] == 0xe5: // deleted
			long = longName{}
		case e[11]&attrMask == attrLong:
			long.add(e)
		default:
			out = append(out, parseEntry(e, long.name(checksum(e[:11]))))
			long = longName{}
		}
	}
	return out
}

func parseEntry(e []byte, long string) dirEntry {
	name := []byte(asciiText(e[:11]))
	d := dirEntry{
		short:   strings.TrimRight(string(name[:8]), " "),
		long:    long,
		attr:    e[11],
		cluster: int64(binary.LittleEndian.Uint16(e[20:]))<<16 | int64(binary.LittleEndian.Uint16(e[26:])),
	}
	if ext := strings.TrimRight(string(name[8:]), " "); ext != "" {
		d.short += "." + ext
	}
	if d.attr&attrLabel != 0 {
		d.long = labelText(e[:11])
	}
	return d
}

// longName gathers the parts of a long name, which stand before their entry
// with the last part first.
type longName struct {
	units []uint16
	next  byte // number of the part that is due
	sum   byte
}

func (l *longName) add(e []byte) {
	n := e[0] & 0x3f
	if e[0]&0x40 != 0 {
		*l = longName{next: n, sum: e[13]}
	}
	if n == 0 || n != l.next || e[13] != l.sum || n > 20 {
		*l = longName{}
		return
	}
	l.next--
	var part []uint16
	for _, r := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := r[0]; i < r[1]; i += 2 {
			part = append(part, binary.LittleEndian.Uint16(e[i:]))
		}
	}
	l.units = append(part, l.units...)
}

// name is the long name of a short one with the given checksum, or "".
func (l *longName) name(sum byte) string {
	if l.next != 0 || l.sum != sum {
		return ""
	}
	u := l.units
	for i, c := range u {
		if c == 0 {
			u = u[:i]
			break
		}
	}
	return string(utf16.Decode(u))
}

// checksum ties long names to a short one (FAT specification, "Long Directory
// Entries").
func checksum(short []byte) byte {
	var sum byte
	for _, c := range short {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}
