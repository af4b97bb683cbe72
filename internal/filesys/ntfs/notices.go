package ntfs

import (
	"encoding/binary"
	"fmt"
)

// Flags of $VOLUME_INFORMATION (ntfs-3g layout.h, VOLUME_FLAGS).
const (
	flagDirty    = 0x0001
	flagResizing = 0x0002
	flagChkdsk   = 0x4000
)

func (v *Volume) warn(format string, args ...any) {
	v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf(format, args...))
}

// unsettled notes why the clusters that are free now need not stay so: Windows
// may allocate some of them when it replays its journal, or already has in the
// memory it will wake up with, and expects its data in them then.
func (v *Volume) unsettled(reason string) {
	if v.facts.Unsettled == "" {
		v.facts.Unsettled = reason
	}
}

// dirty says what the flags of the volume tell about its state.
func (v *Volume) dirty(flags uint16) {
	if flags&(flagDirty|flagResizing|flagChkdsk) != 0 {
		v.unsettled("it is marked dirty")
	}
	if flags&flagDirty != 0 {
		v.warn("The volume is marked dirty: Windows wants to check it. Run chkdsk /f on it in Windows before making the image; until then its list of used clusters may be out of date.")
	}
	if flags&flagResizing != 0 {
		v.warn("A change of the volume's size is underway. Let Windows finish it before making the image.")
	}
	if flags&flagChkdsk != 0 {
		v.warn("A check by chkdsk was not finished. Let Windows finish it before making the image.")
	}
}

// notices looks for what the owner should know. None of it changes the map; a
// part that cannot be read is itself a notice.
func (v *Volume) notices() {
	if len(v.mft.copies) > 0 {
		v.warn("A system record is damaged, its copy in $MFTMirr was used (%s). Run chkdsk /f on the volume.", v.mft.copies[0])
	}
	if n, err := v.badClusters(); err != nil {
		v.warn("The list of bad clusters cannot be read (%v). Run chkdsk /f on the volume.", err)
	} else if n > 0 {
		v.warn("Clusters marked as bad: %d. The disk has damaged places and reading may fail there. Replace the disk; after a restore, chkdsk /b frees the marks.", n)
	}
	if open, err := v.journalOpen(); err != nil {
		v.unsettled("its journal cannot be read")
		v.warn("The journal cannot be read (%v). Run chkdsk /f on the volume.", err)
	} else if open {
		v.unsettled("its journal is in use")
		v.warn("The journal is in use: Windows is running, was hibernated, or was not shut down. Unless this is a snapshot, shut Windows down fully and image again.")
	}
	v.hibernation()
}

// hibernation reads the first word of hiberfil.sys, the state of its image.
func (v *Volume) hibernation() {
	word, err := v.hiberfilWord()
	if err != nil {
		v.warn("hiberfil.sys cannot be read (%v). Run chkdsk /f on the volume.", err)
	}
	switch word {
	case "HIBR", "hibr":
		v.unsettled("Windows is hibernated on it")
		v.hibernated("Windows is hibernated or was shut down with fast startup (hiberfil.sys begins with %q): changes may be missing on the volume. Start Windows and shut it down with shutdown /s /t 0.", word)
	case "RSTR", "rstr":
		v.unsettled("Windows is half woken from hibernation on it")
		v.hibernated("Windows was interrupted while it woke from hibernation (hiberfil.sys begins with %q). Start Windows and shut it down with shutdown /s /t 0.", word)
	case "WAKE", "wake":
		v.warn("Windows has woken from hibernation and used up hiberfil.sys (it begins with %q). If it is not running now, it was not shut down fully: start it and shut it down with shutdown /s /t 0.", word)
	}
}

// hibernated is a warning that comes before all others.
func (v *Volume) hibernated(format string, args ...any) {
	v.facts.Hibernated = true
	v.facts.Warnings = append([]string{fmt.Sprintf(format, args...)}, v.facts.Warnings...)
}

// hiberfilWord is the first four bytes of the file, or nothing when there are
// none to be seen.
func (v *Volume) hiberfilWord() (string, error) {
	ref, found, err := v.lookup("hiberfil.sys")
	if err != nil || !found {
		return "", err
	}
	rec, err := v.mft.byReference(ref)
	if err != nil {
		return "", err
	}
	s, err := v.mft.open(rec, typeData, "")
	if err != nil {
		return "", err
	}
	if s.size < 4 || s.flags&(flagCompressed|flagEncrypted) != 0 {
		return "", nil
	}
	b := make([]byte, 4)
	_, err = s.ReadAt(b, 0)
	return string(b), err
}

// journalOpen reports whether $LogFile was left in use.
func (v *Volume) journalOpen() (bool, error) {
	r, err := v.restart()
	return r.open, err
}

// restart reads where $LogFile is. Two restart pages stand at its start; the one
// with the higher current LSN counts (ntfs-3g logfile.h, RESTART_PAGE_HEADER and
// RESTART_AREA). A journal of FF bytes is an empty one.
func (v *Volume) restart() (restart, error) {
	s, err := v.systemData(recLogFile, "$LogFile")
	if err != nil {
		return restart{}, err
	}
	const usual = 4096
	first, err := readRestart(s, 0, usual)
	if err != nil {
		return restart{}, err
	}
	second, err := readRestart(s, max(first.pageSize, usual), max(first.pageSize, usual))
	if err != nil {
		return restart{}, err
	}
	if second.lsn > first.lsn {
		return second, nil
	}
	return first, nil
}

// restart is what a restart page says; zero when the page is none.
type restart struct {
	pageSize int64
	lsn      int64
	open     bool
}

func readRestart(s *stream, off, n int64) (restart, error) {
	if off > s.valid || n > s.valid-off {
		return restart{}, nil
	}
	b := make([]byte, n)
	if _, err := s.ReadAt(b, off); err != nil {
		return restart{}, err
	}
	return parseRestart(b), nil
}

// parseRestart reads the fields in the first 512 bytes of a restart page; they
// lie before the first place that fixups change.
func parseRestart(b []byte) restart {
	if string(b[:4]) != "RSTR" {
		return restart{}
	}
	size := int64(binary.LittleEndian.Uint32(b[16:]))
	area := int(binary.LittleEndian.Uint16(b[24:]))
	if size < fixupStride || size > maxRecordSize || !powerOfTwo(size) || area > fixupStride-18 {
		return restart{}
	}
	const noClient, clean = 0xffff, 0x0002
	a := b[area:]
	inUse := binary.LittleEndian.Uint16(a[12:]) != noClient
	return restart{
		pageSize: size,
		lsn:      int64(binary.LittleEndian.Uint64(a)),
		open:     inUse && binary.LittleEndian.Uint16(a[14:])&clean == 0,
	}
}
