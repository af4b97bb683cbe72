// Package ext tells which bytes of an ext2, ext3 or ext4 file system matter,
// and reads its files. It never writes and replays no journal.
//
// It owns the layout of superblock, group descriptors, block bitmaps, inodes,
// extents and block maps, folders with their hash trees, and extended
// attributes, as the Linux kernel documents them (Documentation/filesystems/ext4)
// and e2fsprogs makes them. Multi-byte integers are little-endian, but for the
// journal.
//
// The main loop: Open parses the superblock and walks the groups once, a block
// of descriptors and the bitmaps of a few groups at a time. The bitmap of a
// group that was never written (BLOCK_UNINIT) is computed. That pass proves the
// map: each checksum there is; in each group as many free clusters as its
// descriptor says; in all as many free blocks as the superblock says; bitmaps,
// inode tables, superblocks and descriptors among the used; and, where inodes
// have no checksums, among the used whatever inodes themselves point to. For
// that the inodes in use are read, some 256 MiB for a million. If all of that
// holds, Used walks the groups again on each call, in the same small memory,
// and ends with an error when the count has changed. If something does not
// hold, Facts.WholeReason says what, and Used is all of the partition: a
// cluster is used until it is proven free.
//
// What no group is made of counts as used: the boot block, and all bytes
// behind the last block of the file system. Those may be many where it was
// made smaller than its partition; they are kept all the same, since what lies
// there (the hashes of dm-verity, say) belongs to somebody else.
//
// A superblock that is damaged is not replaced by one of its copies: their
// counts of free blocks are those of the day when the file system was made, so
// that nothing would prove the bitmaps. Such a volume is copied whole, and
// e2fsck -b finds the copies in what was restored.
//
// Free blocks of a file system whose journal is not empty, or which was not
// unmounted, may be in use once the journal is replayed: Facts.Unsettled says
// so. One whose errors Linux has noted is copied whole.
//
// Tree reads the files. It believes checksums where there are any: an inode,
// a block of extents, of a folder or of attributes that does not agree with
// its own is an error. A folder is opened where it says that it belongs, so that
// no tree goes in circles. The names in encrypted folders and the contents of
// encrypted files are not read, an error says so.
//
// What the package does not promise: it does not check a file system as e2fsck
// does. Damage that leaves counts and checksums as they were is not seen where
// blocks of a file's map, or with checksums the bitmaps, were wrong before they
// were summed up: what is reached only by way of a free block is not in Used.
// It compares names in casefolded folders by Go's simple folding, which knows
// fewer equal names than Unicode's decompositions do.
package ext
