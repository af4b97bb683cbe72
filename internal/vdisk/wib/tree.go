package wib

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// FolderName is what the folder is called, in the root of a drive or share.
const FolderName = "WindowsImageBackup"

// ErrNone is wrapped by the error for a folder that holds no such backup.
var ErrNone = errors.New("the folder holds no Windows system image (WindowsImageBackup)")

// Computer is the backups of one computer.
type Computer struct {
	Name    string
	Path    string
	Medium  string // the GUID in its file MediaId; "" if there is none
	Backups []Backup
}

// Backup is one folder with virtual disks.
type Backup struct {
	Computer string
	Path     string
	Time     time.Time // of its name; the first run into it, in UTC
	Changed  time.Time // when the newest of its virtual disks was written to
	Disks    []Disk
	// Whole says that all volumes that Windows needs were chosen; false if
	// BackupSpecs.xml does not say so.
	Whole bool
	// SourceDisks is the number of disks of the computer that are named in the
	// document of the components; 0 if none are.
	SourceDisks int
	// Problems are what could not be read of the files beside the disks.
	Problems []string
}

// Disk is the virtual disk of one volume.
type Disk struct {
	Path   string
	Size   int64  // of the file, in bytes
	Volume string // the volume's GUID in lower case; "" if the name does not tell
	ESP    bool   // it is the EFI system partition
	Letter string // such as "C:", as BackupSpecs.xml has it
	Label  string
}

// Name is what the volume is called in lists.
func (d *Disk) Name() string {
	switch {
	case d.ESP:
		return "EFI system partition"
	case d.Letter != "":
		return strings.TrimSpace(d.Letter + " " + d.Label)
	}
	return cmp.Or(d.Label, d.Volume, filepath.Base(d.Path))
}

// folderTime is the name of a folder of a backup, with its time.
var folderTime = regexp.MustCompile(`(?i)^Backup (\d{4}-\d\d-\d\d \d{6})$`)

// volumeName is a GUID, as the files are called and volumes are named.
var volumeName = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// maxEntries bounds what is read of a folder.
const maxEntries = 10000

// Find lists the backups in a folder: the root of a drive, a WindowsImageBackup
// folder, that of a computer in it, or that of a backup. Computers without
// backups are left out; those of a computer are in the order of their names, and
// so of their times.
func Find(path string) ([]Computer, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	entries, err := list(abs)
	if err != nil {
		return nil, err
	}
	switch {
	case isBackup(abs, entries):
		return one(abs)
	case slices.ContainsFunc(entries, isBackupFolder):
		return kept([]Computer{readComputer(abs, entries)})
	}
	for _, e := range entries {
		if e.IsDir() && strings.EqualFold(e.Name(), FolderName) {
			return findComputers(filepath.Join(abs, e.Name()))
		}
	}
	out, err := findComputers(abs) // the folder may have been renamed
	if errors.Is(err, ErrNone) {
		err = fmt.Errorf("%s: %w", path, ErrNone)
	}
	return out, err
}

// Is reports whether Find finds something.
func Is(path string) bool {
	_, err := Find(path)
	return err == nil
}

func list(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxEntries)
	if len(entries) == 0 && err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// isBackup is true for a folder with virtual disks and the file of the choice,
// or with the name of one.
func isBackup(path string, entries []fs.DirEntry) bool {
	disks := slices.ContainsFunc(entries, isDisk)
	specs := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), specsName) })
	return disks && (specs || folderTime.MatchString(filepath.Base(path)))
}

func isBackupFolder(e fs.DirEntry) bool { return e.IsDir() && folderTime.MatchString(e.Name()) }

func isDisk(e fs.DirEntry) bool {
	ext := strings.ToLower(filepath.Ext(e.Name()))
	return !e.IsDir() && (ext == ".vhd" || ext == ".vhdx")
}

// one is the tree of a single backup.
func one(path string) ([]Computer, error) {
	c := Computer{Name: filepath.Base(filepath.Dir(path)), Path: filepath.Dir(path), Medium: readMedium(filepath.Dir(path))}
	b, err := readBackup(path, c.Name)
	if err != nil {
		return nil, err
	}
	c.Backups = []Backup{b}
	return []Computer{c}, nil
}

func findComputers(root string) ([]Computer, error) {
	entries, err := list(root)
	if err != nil {
		return nil, err
	}
	var out []Computer
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(root, e.Name())
		inner, err := list(dir)
		if err != nil {
			continue // not every folder of a drive is for everybody
		}
		out = append(out, readComputer(dir, inner))
	}
	return kept(out)
}

// kept leaves out computers without backups.
func kept(all []Computer) ([]Computer, error) {
	out := slices.DeleteFunc(all, func(c Computer) bool { return len(c.Backups) == 0 })
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it has no backup with a virtual disk", ErrNone)
	}
	return out, nil
}

func readComputer(dir string, entries []fs.DirEntry) Computer {
	c := Computer{Name: filepath.Base(dir), Path: dir, Medium: readMedium(dir)}
	for _, e := range entries {
		if !isBackupFolder(e) {
			continue
		}
		b, err := readBackup(filepath.Join(dir, e.Name()), c.Name)
		if err == nil && len(b.Disks) > 0 {
			c.Backups = append(c.Backups, b)
		}
	}
	return c
}

// readMedium is the GUID in the file MediaId.
func readMedium(dir string) string {
	b, err := readSmall(filepath.Join(dir, "MediaId"), 64)
	if err != nil || len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

func readBackup(dir, computer string) (Backup, error) {
	b := Backup{Computer: computer, Path: dir}
	if m := folderTime.FindStringSubmatch(filepath.Base(dir)); m != nil {
		b.Time, _ = time.Parse("2006-01-02 150405", m[1]) // zero if it is no time
	}
	entries, err := list(dir)
	if err != nil {
		return b, err
	}
	for _, e := range entries {
		if isDisk(e) {
			b.addDisk(e)
		}
	}
	for _, e := range entries {
		switch name := strings.ToLower(e.Name()); {
		case e.IsDir():
		case name == strings.ToLower(specsName):
			b.note(e.Name(), b.readSpecs(filepath.Join(dir, e.Name())))
		case strings.HasSuffix(name, "_components.xml"):
			b.note(e.Name(), b.readComponents(filepath.Join(dir, e.Name())))
		}
	}
	return b, nil
}

func (b *Backup) note(name string, err error) {
	if err != nil {
		b.Problems = append(b.Problems, fmt.Sprintf("%s: %v", name, err))
	}
}

func (b *Backup) addDisk(e fs.DirEntry) {
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() {
		b.note(e.Name(), cmp.Or(err, errors.New("no regular file")))
		return
	}
	d := Disk{Path: filepath.Join(b.Path, e.Name()), Size: info.Size(), Volume: strings.ToLower(volumeName.FindString(e.Name()))}
	d.ESP = strings.EqualFold(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), "Esp")
	if info.ModTime().After(b.Changed) {
		b.Changed = info.ModTime()
	}
	b.Disks = append(b.Disks, d)
}
