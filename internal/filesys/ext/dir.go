package ext

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// maxEntries bounds the memory of one listing.
const maxEntries = 1 << 24

// readAhead is how many bytes of a folder are read at once.
const readAhead = 128 << 10

// entry is one name in a folder; name is only valid until the next one.
type entry struct {
	name  []byte
	inode uint32
	kind  byte
}

// entries calls do for all names in a folder but "." and "..", in the order in
// which they stand there. The index of a large folder is made of blocks that
// look as if they held no names, so that it need not be known.
func (t *Tree) entries(i *inode, do func(entry) error) error {
	if i.flags&flagEncrypted != 0 {
		return fmt.Errorf("the names in the folder of %w", errEncrypted(i))
	}
	if i.flags&flagInline != 0 {
		return t.inlineEntries(i, do)
	}
	size := t.s.blockSize
	if i.size%size != 0 {
		return fmt.Errorf("folder of inode %d has %d bytes, no whole number of blocks", i.number, i.size)
	}
	buf := make([]byte, max(min(readAhead, i.size), size))
	for k := int64(0); k < i.size/size; {
		p, err := t.find(i, k)
		if err == nil && (p.at == hole || p.unwritten) {
			err = errors.New("a hole in a folder")
		}
		n := min(p.n, i.size/size-k, int64(len(buf))/size)
		if err == nil {
			err = t.s.read(t.r, buf[:n*size], p.at)
		}
		for at := int64(0); at < n && err == nil; at++ {
			b := buf[at*size : (at+1)*size]
			if err = t.dirCsum(i, k+at, b); err == nil {
				err = t.s.scanBlock(b, do)
			}
		}
		if err != nil {
			return fmt.Errorf("folder of inode %d at block %d: %w", i.number, k, err)
		}
		k += n
	}
	return nil
}

// inlineEntries walks a folder that is kept in its inode: a number of the
// folder above, then names, up to the end of each of the two places.
func (t *Tree) inlineEntries(i *inode, do func(entry) error) error {
	front, rest, err := i.inlineParts()
	if err == nil {
		err = t.s.scanBlock(front[4:], do)
	}
	if err == nil {
		err = t.s.scanBlock(rest, do)
	}
	if err != nil {
		return fmt.Errorf("folder of inode %d: %w", i.number, err)
	}
	return nil
}

// scanBlock walks the names in a block (Linux Documentation/filesystems/ext4,
// "Linear (Classic) Directories").
func (s *super) scanBlock(b []byte, do func(entry) error) error {
	for off := 0; off < len(b); {
		if len(b)-off < 8 {
			return fmt.Errorf("entry at byte %d of %d", off, len(b))
		}
		e := b[off:]
		n := s.recordLen(le16(e, 4))
		name := e[8:min(len(e), 8+int(e[6]))]
		if n < 8 || n%4 != 0 || n > len(e) || 8+int(e[6]) > n {
			return fmt.Errorf("entry at byte %d of %d: %d bytes for a name of %d", off, len(b), n, e[6])
		}
		off += n
		ino := le32(e, 0)
		if ino == 0 || string(name) == "." || string(name) == ".." {
			continue
		}
		if len(name) == 0 || bytes.ContainsAny(name, "/\x00") {
			return fmt.Errorf("entry at byte %d of %d: name %q", off-n, len(b), name)
		}
		kind := e[7]
		if s.incompat&incompatFiletype == 0 {
			kind = 0 // the upper byte of the length of the name
		}
		if err := do(entry{name, ino, kind}); err != nil {
			return err
		}
	}
	return nil
}

// recordLen decodes the length of an entry: that of a whole block of 64 KiB
// does not fit into its 16 bits.
func (s *super) recordLen(n int) int {
	if s.blockSize == 1<<16 && (n == 0xffff || n == 0) {
		return 1 << 16
	}
	return n
}

// dirCsum checks the checksum of block k of a folder.
func (t *Tree) dirCsum(i *inode, k int64, b []byte) error {
	if !t.s.metadataCsum() {
		return nil
	}
	if i.flags&flagIndex != 0 && (k == 0 || t.s.recordLen(le16(b, 4)) == len(b)) {
		n, err := t.s.parseIndex(b, k == 0)
		if err != nil {
			return err
		}
		return n.csum(b, i.seed)
	}
	tail := b[len(b)-12:]
	if le32(tail, 0) != 0 || le16(tail, 4) != 12 || tail[6] != 0 || tail[7] != 0xde {
		return errors.New("no place for a checksum")
	}
	if got, want := crc32c(i.seed, b[:len(b)-12]), le32(tail, 8); got != want {
		return fmt.Errorf("checksum is %#x, its contents have %#x", want, got)
	}
	return nil
}

// lookup seeks a name in a folder: by the index of the folder, if it has one
// that is sound, else in all of it.
func (t *Tree) lookup(i *inode, name string) (entry, error) {
	if t.s.compat&compatDirIndex != 0 && i.flags&flagIndex != 0 && i.flags&(flagInline|flagEncrypted|flagCasefold) == 0 {
		if e, err := t.lookupIndex(i, name); err == nil || errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
	}
	e, err := t.lookupNames(i, name)
	if errors.Is(err, fs.ErrNotExist) && i.flags&flagCasefold != 0 {
		return t.scan(i, func(n string) bool { return strings.EqualFold(n, name) })
	}
	return e, err
}

// manyBytes is how large a folder is whose names are remembered, and maxNames
// is how many names are: a lookup for each name in such a folder must not read
// all of it each time.
const (
	manyBytes = 32 << 10
	maxNames  = 1 << 18
)

// names remembers the names in large folders without an index.
type names struct {
	mu      sync.Mutex
	count   int
	folders map[uint32]map[string]entry
}

// lookupNames seeks a name in a folder without an index.
func (t *Tree) lookupNames(i *inode, name string) (entry, error) {
	if i.size < manyBytes {
		return t.scan(i, func(n string) bool { return n == name })
	}
	c := &t.names
	c.mu.Lock()
	defer c.mu.Unlock()
	all, ok := c.folders[i.number]
	if !ok {
		all = map[string]entry{}
		err := t.entries(i, func(e entry) error {
			if len(all) == maxNames {
				return errStop
			}
			if _, ok := all[string(e.name)]; !ok {
				all[string(e.name)] = entry{inode: e.inode, kind: e.kind}
			}
			return nil
		})
		if err != nil { // damaged, or too large: what can be found in it is found by reading
			return t.scan(i, func(n string) bool { return n == name })
		}
		if c.count += len(all); c.count > maxNames {
			clear(c.folders)
			c.count = len(all)
		}
		c.folders[i.number] = all
	}
	if e, ok := all[name]; ok {
		return e, nil
	}
	return entry{}, fs.ErrNotExist
}

// scan seeks the first name in a folder that is as wanted.
func (t *Tree) scan(i *inode, want func(name string) bool) (entry, error) {
	var found entry
	err := t.entries(i, func(e entry) error {
		if want(string(e.name)) {
			found = entry{inode: e.inode, kind: e.kind}
			return errStop
		}
		return nil
	})
	switch {
	case found.inode != 0:
		return found, nil
	case err != nil:
		return entry{}, err
	}
	return entry{}, fs.ErrNotExist
}
