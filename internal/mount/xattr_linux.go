package mount

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// What Sys() of a file may have for its extended attributes.
type (
	attributed interface {
		Xattrs() (map[string][]byte, error)
	}
	streamed interface {
		Streams() ([]string, error)
		OpenStream(name string) (fs.File, error)
	}
	flagged interface{ Attributes() uint32 }
	guarded interface {
		SecurityDescriptor() ([]byte, error)
	}
)

const (
	maxAttrValue = 64 << 10 // Linux include/uapi/linux/limits.h, XATTR_SIZE_MAX
	maxAttrName  = 255      // XATTR_NAME_MAX

	userPrefix = "user."
)

var (
	errNoAttr   = errors.New("there is no such attribute")
	errTooLarge = errors.New("the attribute is larger than the system can give")
)

// attrNames are the names of the extended attributes that are listed.
func attrNames(sys any) ([]string, error) {
	var out []string
	if a, ok := sys.(attributed); ok {
		all, err := a.Xattrs()
		if err != nil {
			return nil, err
		}
		out = slices.Sorted(maps.Keys(all))
	}
	if s, ok := sys.(streamed); ok {
		names, err := s.Streams()
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out = append(out, userPrefix+n)
		}
	}
	return slices.DeleteFunc(out, func(n string) bool { return len(n) > maxAttrName }), nil
}

// attrValue is the value of an extended attribute.
func attrValue(sys any, name string) ([]byte, error) {
	if a, ok := sys.(attributed); ok {
		all, err := a.Xattrs()
		if v, ok := all[name]; ok || err != nil {
			return v, err
		}
	}
	if s, ok := sys.(streamed); ok && len(name) > len(userPrefix) && name[:len(userPrefix)] == userPrefix {
		return streamValue(s, name[len(userPrefix):])
	}
	return windowsAttr(sys, name)
}

// streamValue reads a stream whole.
func streamValue(s streamed, name string) ([]byte, error) {
	names, err := s.Streams()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, errNoAttr
	}
	f, err := s.OpenStream(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAttrValue+1))
	if err == nil && len(b) > maxAttrValue {
		err = errTooLarge
	}
	return b, err
}

// windowsAttr gives what ntfs-3g gives under names of its own. Source: its manual,
// "Extended attributes", and https://github.com/tuxera/ntfs-3g/wiki/Using-Extended-Attributes:
// numbers as they lie on the disk, times as crtime, mtime, atime, ctime.
func windowsAttr(sys any, name string) ([]byte, error) {
	switch name {
	case "system.ntfs_acl":
		if g, ok := sys.(guarded); ok {
			b, err := g.SecurityDescriptor()
			if err != nil || b != nil {
				return b, err
			}
		}
	case "system.ntfs_attrib", "system.ntfs_attrib_be":
		if f, ok := sys.(flagged); ok {
			if name == "system.ntfs_attrib" {
				return binary.LittleEndian.AppendUint32(nil, f.Attributes()), nil
			}
			return binary.BigEndian.AppendUint32(nil, f.Attributes()), nil
		}
	case "system.ntfs_reparse_data":
		if r, ok := sys.(reparsed); ok {
			if tag, data := r.ReparsePoint(); tag != 0 {
				b := binary.LittleEndian.AppendUint32(nil, tag)
				b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
				return append(binary.LittleEndian.AppendUint16(b, 0), data...), nil
			}
		}
	}
	return nil, errNoAttr
}

// windowsTimes are the four times of a file of Windows.
func windowsTimes(info fs.FileInfo, name string) ([]byte, bool) {
	t, timed := info.Sys().(timed)
	if _, windows := info.Sys().(flagged); !windows || !timed {
		return nil, false
	}
	access, change, birth := t.Times()
	b := filetime(nil, birth)
	switch name {
	case "system.ntfs_crtime":
		return b, true
	case "system.ntfs_times":
		return filetime(filetime(filetime(b, info.ModTime()), access), change), true
	}
	return nil, false
}

// filetime appends a time as Windows counts it: 100 ns since 1601 ([MS-DTYP]
// 2.3.3).
func filetime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, make([]byte, 8)...)
	}
	const toUnix = 11644473600 // seconds
	return binary.LittleEndian.AppendUint64(b, uint64((t.Unix()+toUnix)*1e7+int64(t.Nanosecond())/100))
}
