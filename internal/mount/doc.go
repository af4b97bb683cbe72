// Package mount shows what others hold as files and folders of this machine,
// through FUSE: bytes as files (a disk, a partition), and trees of files as folders
// (what lies in a file system). It is there on Linux only.
//
// Mount takes a Root and gives a Server; the kernel's requests are then answered
// by goroutines of go-fuse until somebody unmounts it. A file of bytes is read
// through ReadAt, and written where it has a Writer; SEEK_HOLE and SEEK_DATA go by
// its map. A folder's tree is asked for when somebody first looks into it. Its
// files are what the file system says they are: names as bytes, owners, times,
// links (not followed, not rewritten), device numbers, extended attributes; for
// NTFS the names of ntfs-3g: a stream "name" is user.name, and system.ntfs_acl,
// system.ntfs_attrib, system.ntfs_reparse_data and system.ntfs_times can be asked
// for, but are not listed, since no other file system would take them.
//
// Only who mounted it sees it, and then all of it; with AllowOther others do as far
// as the files' own owners and modes let them, and of the files of bytes, which
// hold everything, its owner alone. Set-user-id bits and device files have no
// effect. What cannot be read is an I/O error, and is told to Options.Log: short
// reads would look like zeros.
//
// Trees do not change while they are mounted: the kernel may keep all it has seen.
package mount
