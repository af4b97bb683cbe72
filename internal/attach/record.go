package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	folderPrefix = "ingot-mount-" // of the folder that a file lies in
	fileEnding   = ".vhdx"
	recordEnding = ".json"
	maxRecord    = 1 << 20 // bytes of a record that are read
)

// Record is what is known of one mount.
type Record struct {
	Image string    `json:"image"` // as it was named
	File  string    `json:"file"`  // the VHDX, an absolute path
	Disk  string    `json:"disk"`  // the path of the device; "" before it is attached
	Write bool      `json:"write"`
	Began time.Time `json:"began"`
}

// Records is the folder with the records of a user.
type Records string

// Default is the place of the records of this user: below %LocalAppData%.
func Default() (Records, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for what is mounted: %w", err)
	}
	return Records(filepath.Join(dir, "Ingot", "mounts")), nil
}

// FileName is the name of the file that an image becomes: its own, with the
// ending of a VHDX.
func FileName(image string) string {
	name := filepath.Base(filepath.Clean(image))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, name)
	if strings.Trim(name, "._ ") == "" {
		name = "disk"
	}
	return name + fileEnding
}

// check refuses a record that names a file that is none of a mount: what Discard
// removes is not for the record to choose.
func (r *Record) check() error {
	folder := filepath.Dir(r.File)
	if !filepath.IsAbs(r.File) || filepath.Clean(r.File) != r.File || filepath.Ext(r.File) != fileEnding || !strings.HasPrefix(filepath.Base(folder), folderPrefix) {
		return fmt.Errorf("%q is no file of a mount", r.File)
	}
	return nil
}

// path is where the record of a file lies: the folder of the file has a name of
// its own.
func (s Records) path(r *Record) string {
	return filepath.Join(string(s), filepath.Base(filepath.Dir(r.File))+recordEnding)
}

// Save writes the record, over what it was before.
func (s Records) Save(r *Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("record a mount: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.MkdirAll(string(s), 0o700)
	}
	// A record that is half written would hide a disk from umount.
	temp := s.path(r) + ".new"
	if err == nil {
		err = os.WriteFile(temp, append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(temp, s.path(r))
	}
	if err != nil {
		return fmt.Errorf("record the mount of %s: %w", r.Image, err)
	}
	return nil
}

// Forget removes the record.
func (s Records) Forget(r *Record) error {
	if err := os.Remove(s.path(r)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the record of a mount: %w", err)
	}
	return nil
}

// List gives all records in the order of their names. The error tells of those
// that cannot be read; the others are there all the same.
func (s Records) List() ([]Record, error) {
	entries, err := os.ReadDir(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	errs := []error{err}
	var out []Record
	for _, e := range entries {
		if filepath.Ext(e.Name()) != recordEnding {
			continue
		}
		r, err := s.read(filepath.Join(string(s), e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, r)
	}
	return out, errors.Join(errs...)
}

func (s Records) read(path string) (r Record, err error) {
	st, err := os.Stat(path)
	if err == nil && st.Size() > maxRecord {
		err = fmt.Errorf("it has %d bytes", st.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil {
		err = r.check()
	}
	if err == nil && s.path(&r) != path {
		err = fmt.Errorf("it is that of %s", r.File)
	}
	if err != nil {
		return r, fmt.Errorf("read the record of a mount %s: %w", path, err)
	}
	return r, nil
}

// Find gives the records that name means: the device, the file, or the image as
// it was named or by its absolute path.
func Find(all []Record, name string) (out []Record) {
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	for _, r := range all {
		for _, has := range []string{r.Disk, r.File, r.Image} {
			if has != "" && (strings.EqualFold(has, name) || strings.EqualFold(has, abs)) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

// Discard removes the file of a mount, what an unfinished copy has left of it, and
// the folder. A file that is still a disk is in use, and stays.
func Discard(r *Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("remove the file of a mount: %w", err)
	}
	folder := filepath.Dir(r.File)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the file of a mount: %w", err)
	}
	for _, e := range entries {
		own := e.Name() == filepath.Base(r.File) || strings.HasPrefix(e.Name(), filepath.Base(r.File)+".") && strings.HasSuffix(e.Name(), ".partial")
		if !own {
			continue
		}
		if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
			return fmt.Errorf("remove the file of a mount: %w", err)
		}
	}
	if err := os.Remove(folder); err != nil {
		return fmt.Errorf("remove the folder of a mount: %w", err)
	}
	return nil
}
