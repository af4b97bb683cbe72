// Package fstree makes the tree of files of a file system out of what its
// format's package can do: list a folder, read a file. It is a fs.FS with
// ReadDir, ReadLink and Lstat; what it gives to read is an io.ReaderAt and an
// io.Seeker.
//
// The main loop: a path is followed from the root, name by name. Each folder
// on the way is listed once and its names are kept, so that opening all files
// of a folder one after the other reads the folder once; the last folders are
// kept, up to a bound, and larger ones are read up to the name that is sought.
// Names are compared by the key that the format gives them.
//
// Paths may hold bytes that are no UTF-8: names are what the disk has, with lone
// surrogates as UTF-8 would encode their number (WTF-8). Nothing is followed,
// and nothing is written. Symbolic links are not known to FS.
//
// Unix is the tree of a file system with inodes (XFS, Btrfs), where a folder has
// names and numbers only, and can be asked for one name. It keeps no names: the
// inode of an entry is read when its fs.FileInfo is asked for. Its links are
// what ReadLink gives. Cache is for the metadata that such a package reads.
package fstree
