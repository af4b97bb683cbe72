package mount

import (
	"errors"
	"io/fs"
	"time"

	"ingot/internal/block"
)

// Root is what is shown in the folder it is mounted on.
type Root struct {
	Files   []File
	Folders []Folder
	// Time is that of the folder and of the files of bytes.
	Time time.Time
}

// File is a file of bytes.
type File struct {
	Name   string
	Reader block.Reader
	Used   block.Map // what of it is not a hole; nil is all
	Writer Writer    // nil: it is read-only
}

// Writer is what can be done to a File beside reading it.
type Writer interface {
	WriteAt(p []byte, off int64) (int, error)
	// Zero sets n bytes from off on to zeros.
	Zero(off, n int64) error
	Sync() error
}

// Folder is a tree of files, which Open gives, each time the same one.
type Folder struct {
	Name string
	Open func() (Tree, error)
}

// Tree is a tree of files: see filesys.Files, whose conventions it has.
type Tree interface {
	fs.ReadDirFS
	fs.ReadLinkFS
}

// What the Sys() of a file of a Tree may be able to do.
type (
	identified interface {
		ID() uint64
		Links() int
	}
	owned interface{ Owner() (uid, gid uint32) }
	timed interface {
		Times() (access, change, birth time.Time)
	}
	numbered interface{ Device() (major, minor uint32) }
	reparsed interface {
		ReparsePoint() (tag uint32, data []byte)
	}
)

// Options say how something is mounted. The zero value is for the user alone.
type Options struct {
	// Source is what the system lists as its source.
	Source string
	// AllowOther lets other users in.
	AllowOther bool
	// Log, when set, is told what could not be read. It may be called by several
	// goroutines.
	Log func(err error)
}

// Type is what the system calls the type of such a mount.
const Type = "fuse.ingot"

// ErrBusy is wrapped by the error of Unmount for a mount that is in use.
var ErrBusy = errors.New("it is in use: a program has a file of it open or is in one of its folders, or something is mounted from it")

// writes says whether any of the files can be written.
func (r *Root) writes() bool {
	for i := range r.Files {
		if r.Files[i].Writer != nil {
			return true
		}
	}
	return false
}
