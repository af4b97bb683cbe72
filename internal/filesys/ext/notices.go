package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// journalMagic begins the journal's own superblock, which is big-endian (Linux
// Documentation/filesystems/ext4, "Journal (jbd2)").
const journalMagic = 0xc03b3998

func (v *Volume) warn(format string, args ...any) {
	v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf(format, args...))
}

// unsettled notes why blocks that are free now need not stay so: what the
// journal holds, or what a mounted system has not written yet, may give them
// to files.
func (v *Volume) unsettled(reason string) {
	if v.facts.Unsettled == "" {
		v.facts.Unsettled = reason
	}
}

// notices looks for what bears on how far the map is to be trusted, and what
// the owner should know.
func (v *Volume) notices() {
	s := &v.super
	if s.incompat&incompatRecover != 0 {
		v.unsettled("its journal has not been replayed")
		v.warn("The journal has not been replayed: the file system is mounted, or was not unmounted. Unmount it, or mount and unmount it once, before making the image.")
	}
	if s.state&stateClean == 0 {
		v.unsettled("it was not unmounted cleanly")
		v.warn("The file system is not marked as clean: it is mounted, or was not unmounted. Unmount it and run e2fsck on it before making the image.")
	}
	if s.state&stateErrors != 0 {
		v.warn("The file system is marked as having errors. Run e2fsck -f on it before making the image.")
	}
	if s.compat&compatHasJournal == 0 {
		return
	}
	if s.journalInode == 0 {
		v.warn("The journal of the file system is on another device (UUID %s), which is not in the image of this one.", uuidText(s.journalUUID))
		return
	}
	if open, err := v.journalOpen(); err != nil {
		v.unsettled("its journal cannot be read")
		v.warn("The journal cannot be read (%v). Run e2fsck on the file system.", err)
	} else if open {
		v.unsettled("its journal is not empty")
	}
}

// journalOpen reports whether the journal has something to be replayed.
func (v *Volume) journalOpen() (bool, error) {
	ino, err := v.files.inode(v.super.journalInode)
	if err != nil {
		return false, err
	}
	b := make([]byte, 32)
	if _, err := v.files.contents(ino).ReadAt(b, 0); err != nil {
		return false, err
	}
	if binary.BigEndian.Uint32(b) != journalMagic {
		return false, errors.New("no magic number at its start")
	}
	return binary.BigEndian.Uint32(b[28:]) != 0, nil
}
