package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// largeFile is the size from which a file without an extension is taken for a
// container that is written in place.
const largeFile = 64 << 20

// link is one name of a file.
type link struct {
	folder int64  // MFT record of the folder it is in
	name   string // in lower case; what is not ASCII is one byte FF each
}

// linkName reads a $FILE_NAME attribute (ntfs-3g layout.h, FILE_NAME_ATTR); ok is
// false for others.
func (a *attribute) linkName() (l link, ok bool, err error) {
	const typeFileName = 0x30
	if a.typ != typeFileName {
		return l, false, nil
	}
	if len(a.value) < 66 || len(a.value) < 66+2*int(a.value[64]) {
		return l, false, fmt.Errorf("a name of %d bytes", len(a.value))
	}
	n := int(a.value[64])
	name := make([]byte, n)
	for i := range name {
		switch u := binary.LittleEndian.Uint16(a.value[66+2*i:]); {
		case u >= 0x80:
			name[i] = 0xff
		case 'A' <= u && u <= 'Z':
			name[i] = byte(u) + 'a' - 'A'
		default:
			name[i] = byte(u)
		}
	}
	return link{int64(binary.LittleEndian.Uint64(a.value) & (1<<48 - 1)), string(name)}, true, nil
}

// extension is what stands behind the last dot of a name, "" when there is
// none.
func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[i+1:]
	}
	return ""
}

// writtenInPlace tells files by their name that programs, or Windows itself,
// keep open and write to without saying so in time: virtual disks, mailboxes,
// databases and their logs, containers, registry hives, event logs (mapped into
// memory), paging files.
func writtenInPlace(name string) bool {
	switch name {
	case "pagefile.sys", "swapfile.sys", "hiberfil.sys", "bcd", "ntuser.dat", "usrclass.dat":
		return true
	}
	switch extension(name) {
	case "vhd", "vhdx", "avhd", "avhdx", "vhds", "vmdk", "vdi", "hdd", "qcow", "qcow2", "qed", "img", "raw", "vmem", "vmrs", "vswp",
		"hc", "tc", "pgd",
		"pst", "ost", "dbx", "nsf", "edb", "jfm", "jrs", "chk", "jtx", "log", "log1", "log2", "evtx", "evt", "etl",
		"mdf", "ndf", "ldf", "sqlite", "sqlite3", "sqlitedb", "db", "db3", "wal", "shm", "sdf", "mdb", "accdb", "ldb", "fdb", "gdb",
		"ibd", "myd", "myi", "dbf", "ora", "dat", "hve", "blf", "regtrans-ms":
		return true
	}
	for _, ext := range []string{"-wal", "-shm", "-journal"} { // of SQLite
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}

// named notes what the names and sizes of a record say of its file.
func (s *survey) named(rec *record, folder bool) error {
	owner, names := rec.owner(), 0
	for i := range rec.attrs {
		a := &rec.attrs[i]
		if a.typ == typeData && !a.resident && a.size >= largeFile {
			s.large.set(owner)
		}
		n, ok, err := a.linkName()
		if err != nil {
			return fmt.Errorf("MFT record %d: %w", rec.number, err)
		}
		if !ok {
			continue
		}
		names++
		if writtenInPlace(n.name) {
			s.changed.set(owner)
		}
		if extension(n.name) == "" {
			s.bare.set(owner)
		}
		if folder && owner == rec.number && names == 1 {
			if err := s.folders.add(owner, &n); err != nil {
				return err
			}
		}
	}
	if folder && owner == rec.number && names == 0 {
		s.folders.deep.set(owner) // where it is cannot be told
	}
	return nil
}

// maxFolders bounds the memory for folders to 32 MiB.
const maxFolders = 4 << 20

// folders are all folders with the ones they lie in, ascending.
type folders struct {
	list    []uint64 // number of the folder << 32 | number of the one it lies in
	deep    bitset   // those in which all files are read, at any depth
	shallow bitset   // those in which all files are read, but not in folders within
}

// add notes a folder by its name. Folders come in ascending order.
func (f *folders) add(number int64, n *link) error {
	if len(f.list) == maxFolders {
		return errors.New("it has too many folders to compare")
	}
	if n.folder >= maxRecords {
		f.deep.set(number)
		return nil
	}
	f.list = append(f.list, uint64(number)<<32|uint64(n.folder))
	switch {
	case number == recExtend, n.folder == recRoot && n.name == "system volume information":
		f.deep.set(number)
	case n.name == "config": // of the registry, \Windows\System32\config
		f.shallow.set(number)
	}
	return nil
}

// in is the folder that a folder lies in; -1 when it is not known to be one.
func (f *folders) in(number int64) int64 {
	lo, hi := 0, len(f.list)
	for lo < hi {
		if mid := (lo + hi) / 2; int64(f.list[mid]>>32) < number {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(f.list) || int64(f.list[lo]>>32) != number {
		return -1
	}
	return int64(f.list[lo] & (1<<32 - 1))
}

// resolve adds to the deep folders all that lie within them. So are folders in
// what is no folder, or that lie within themselves.
func (f *folders) resolve() {
	outside, way := make(bitset, len(f.deep)), make(bitset, len(f.deep))
	outside.set(recRoot)
	var path []int64
	for _, e := range f.list {
		path = path[:0]
		at := int64(e >> 32)
		for at >= 0 && !f.deep.has(at) && !outside.has(at) && !way.has(at) {
			way.set(at)
			path = append(path, at)
			at = f.in(at)
		}
		to := f.deep
		if outside.has(at) {
			to = outside
		}
		for _, p := range path {
			to.set(p)
			way.drop(p)
		}
	}
}
