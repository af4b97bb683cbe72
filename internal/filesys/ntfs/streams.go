package ntfs

import (
	"io/fs"
)

// wofStream holds the compressed contents of a file that Windows compacted.
const wofStream = "WofCompressedData"

// Streams are the names of the streams beside the contents, in order. The one
// of a compacted file is the contents themselves.
func (n *node) Streams() ([]string, error) {
	names, err := n.dataNames()
	if err != nil {
		return nil, &fs.PathError{Op: "list streams of", Path: n.name, Err: err}
	}
	out := names[:0]
	for _, name := range names {
		if name != "" && (name != wofStream || n.point.tag != tagWOF) {
			out = append(out, name)
		}
	}
	return out, nil
}

// OpenStream opens a stream by its name, without regard to case if there is
// none that is just the same. The file's Stat has the name and size of the
// stream, and all else of the file.
func (n *node) OpenStream(name string) (fs.File, error) {
	path := n.name + ":" + name
	real, err := n.streamName(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := n.open(path, real)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if real != "" {
		f.info = streamInfo{n, real, f.size}
	}
	return f, nil
}

// streamName is the name of a stream as it is on the volume.
func (n *node) streamName(name string) (string, error) {
	names, err := n.dataNames()
	if err != nil {
		return "", err
	}
	up, err := n.t.upcase()
	if err != nil {
		return "", err
	}
	best, found := "", false
	for _, have := range names {
		if have == name {
			return have, nil
		}
		if !found && up.sameText(have, name) {
			best, found = have, true
		}
	}
	if !found {
		return "", fs.ErrNotExist
	}
	return best, nil
}

// sameText compares two names without regard to case.
func (u upcase) sameText(a, b string) bool {
	ua, okA := units(a)
	ub, okB := units(b)
	if !okA || !okB || len(ua) != len(ub) {
		return false
	}
	for i := range ua {
		if u.unit(ua[i]) != u.unit(ub[i]) {
			return false
		}
	}
	return true
}

// streamInfo is the fs.FileInfo of a stream.
type streamInfo struct {
	*node
	stream string
	size   int64
}

func (s streamInfo) Name() string { return s.node.name + ":" + s.stream }
func (s streamInfo) Size() int64  { return s.size }

// Mode is that of a regular file, also for streams of folders and links.
func (s streamInfo) Mode() fs.FileMode { return s.node.Mode().Perm() }
func (s streamInfo) IsDir() bool       { return false }
