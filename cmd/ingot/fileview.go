package main

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"ingot/internal/browse"
	"ingot/internal/filesys"
	"ingot/internal/result"
)

// viewFile describes a file.
func viewFile(v *browse.Volume, path string, info fs.FileInfo) result.File {
	out := result.File{
		Path: path, Type: kindName(info.Mode()), Size: info.Size(), Modified: moment(info.ModTime()),
		Mode: fmt.Sprintf("%04o", unixMode(info.Mode())),
	}
	if !utf8.ValidString(path) {
		out.PathHex = hex.EncodeToString([]byte(path))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		out.Target, _ = v.Files.ReadLink(path)
	}
	sys := info.Sys()
	if n, ok := sys.(filesys.Node); ok {
		out.ID, out.Links = n.ID(), n.Links()
	}
	if t, ok := sys.(filesys.Times); ok {
		access, change, birth := t.Times()
		out.Accessed, out.Changed, out.Created = moment(access), moment(change), moment(birth)
	}
	if o, ok := sys.(filesys.Owner); ok {
		uid, gid := o.Owner()
		out.UID, out.GID = &uid, &gid
	}
	if x, ok := sys.(filesys.Xattrs); ok {
		addXattrs(&out, x)
	}
	if a, ok := sys.(filesys.Attributes); ok {
		out.Mode, out.Attributes = "", browse.AttributeNames(a.Attributes())
	}
	addWindows(&out, sys)
	return out
}

func addXattrs(f *result.File, x filesys.Xattrs) {
	all, err := x.Xattrs()
	if err != nil {
		f.Error = err.Error()
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if f.Xattrs == nil {
			f.Xattrs = map[string]int{}
		}
		f.Xattrs[name] = len(all[name])
	}
}

// addWindows adds what only NTFS has.
func addWindows(f *result.File, sys any) {
	var err error
	if s, ok := sys.(filesys.Streams); ok {
		if f.Streams, err = s.Streams(); err != nil {
			f.Error = err.Error()
		}
	}
	if s, ok := sys.(filesys.Security); ok {
		b, err := s.SecurityDescriptor()
		if err != nil {
			f.Error = err.Error()
		}
		f.Owner = browse.OwnerOf(b)
	}
	if r, ok := sys.(filesys.Reparse); ok {
		if tag, _ := r.ReparsePoint(); tag != 0 {
			f.Reparse = fmt.Sprintf("%#08x", tag)
		}
	}
}

// moment is a time, nil when it is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func kindName(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// unixMode gives the permissions with the bits of set-user-id, set-group-id and
// sticky where Unix has them.
func unixMode(m fs.FileMode) uint32 {
	out := uint32(m.Perm())
	for _, b := range []struct {
		bit  fs.FileMode
		unix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.bit != 0 {
			out |= b.unix
		}
	}
	return out
}

// modeText is what ls -l prints first: -rwxr-xr-x, or the attributes of Windows.
func modeText(info fs.FileInfo) string {
	m := info.Mode()
	letter := map[string]string{"file": "-", "folder": "d", "link": "l", "pipe": "p", "socket": "s", "device": "b"}[kindName(m)]
	if m&fs.ModeCharDevice != 0 {
		letter = "c"
	}
	if a, ok := info.Sys().(filesys.Attributes); ok {
		return letter + browse.AttributeLetters(a.Attributes())
	}
	text := []byte(m.Perm().String()[1:])
	for _, s := range []struct {
		bit   fs.FileMode
		at    int
		x, no byte
	}{{fs.ModeSetuid, 2, 's', 'S'}, {fs.ModeSetgid, 5, 's', 'S'}, {fs.ModeSticky, 8, 't', 'T'}} {
		if m&s.bit == 0 {
			continue
		}
		if text[s.at] == 'x' {
			text[s.at] = s.x
		} else {
			text[s.at] = s.no
		}
	}
	return letter + string(text)
}

// ownerText is who owns a file, as far as the file system knows.
func ownerText(info fs.FileInfo) string {
	switch n := info.Sys().(type) {
	case filesys.Owner:
		uid, gid := n.Owner()
		return fmt.Sprintf("%d:%d", uid, gid)
	case filesys.Security:
		b, _ := n.SecurityDescriptor()
		if sid := browse.OwnerOf(b); sid != "" {
			return browse.Account(sid)
		}
	}
	return "-"
}
