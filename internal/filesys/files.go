package filesys

import (
	"io/fs"
	"iter"
	"time"

	"ingot/internal/block"
)

// Files is the tree of files of a volume, read without the system's driver. A
// package that reads a format gives one by structure; it imports nothing of
// this package.
//
// Paths are as io/fs has them: elements with a slash between them, "." for the
// root. Names are those on the disk; what is no UTF-8 there (ext, XFS, Btrfs)
// stays as it is, and lone surrogates (NTFS, FAT, exFAT) are encoded as UTF-8 would encode
// their number (WTF-8), so every name that ReadDir gives can be opened. Names
// are compared as the file system does: without regard to case for NTFS, FAT,
// exFAT, and XFS that was made so. ReadDir gives entries in the order of their bytes, without "." and
// "..". Nothing is followed: symbolic links and junctions are files of
// fs.ModeSymlink, whose target ReadLink gives. Open and Lstat read what the path
// needs and no more, so the first listing of a large volume comes at once.
//
// The file that Open gives of a regular file is an io.ReaderAt and an io.Seeker,
// and may be read from several goroutines through ReadAt. Its Sys() is a Node.
type Files interface {
	fs.ReadDirFS
	fs.ReadLinkFS
}

// Node is what Sys() of the fs.FileInfo of a file gives.
type Node interface {
	// ID is the same for all names of one file and for no other file: inode,
	// MFT record; for FAT and exFAT the place of its directory entry.
	ID() uint64
	// Links is the number of names (DOS names of NTFS do not count), at least 1.
	Links() int
	// Extents are the bytes of the volume that hold the contents of the file,
	// of all its streams: whole clusters, in the order of the contents, and
	// none for what is kept in metadata, is a hole, or is not written yet
	// beyond what is allocated. Allocated clusters are given even where the
	// contents end before them.
	Extents() iter.Seq2[block.Extent, error]
}

// The methods that a Node has where its file system has what they give.
type (
	// Streams are further contents of a file with names of their own (NTFS).
	Streams interface {
		Streams() ([]string, error)
		OpenStream(name string) (fs.File, error)
	}
	// Xattrs are the extended attributes of a file, with their full names.
	Xattrs interface {
		Xattrs() (map[string][]byte, error)
	}
	// Owner is the Unix owner of a file.
	Owner interface{ Owner() (uid, gid uint32) }
	// Times are the times of a file beside that of its last change; those
	// the file system does not know are zero.
	Times interface {
		Times() (access, change, birth time.Time)
	}
	// Attributes are the FILE_ATTRIBUTE_ bits of Windows.
	Attributes interface{ Attributes() uint32 }
	// Security is the security descriptor of Windows, self-relative; nil when
	// the file has none.
	Security interface {
		SecurityDescriptor() ([]byte, error)
	}
	// Reparse is the reparse point of a file of Windows: tag 0 for none, and
	// the data behind its header.
	Reparse interface {
		ReparsePoint() (tag uint32, data []byte)
	}
	// Device is the number of a device file.
	Device interface{ Device() (major, minor uint32) }
)
