package definitions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/internal/plan"
	"ingot/internal/trust"
)

// Create writes a new definition into the folder, which it makes when it is not
// there, and gives its path. One of this name that is there is an error
// (fs.ErrExist).
func (s Store) Create(f *plan.File) (string, error) {
	path := filepath.Join(s.Folder(), f.Definition.Name+Extension)
	data, err := f.Encode()
	if err != nil {
		return path, err
	}
	if err := trust.MakeFolder(s.Folder()); err != nil {
		return path, fmt.Errorf("make the folder of definitions: %w", err)
	}
	return path, Write(path, data, false)
}

// Write writes a definition file as a whole: it is there with all of data or as
// it was before. The folder has to be one that nobody else can put files into.
// With replace it takes the place of what is there.
func Write(path string, data []byte, replace bool) error {
	dir := filepath.Dir(path)
	if err := trust.Folder(dir); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// Only the owner can read what CreateTemp makes; on Windows the folder
	// decides.
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = place(tmp.Name(), path, replace)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), ignoreGone(os.Remove(tmp.Name())))
	}
	return syncFolder(dir)
}

// Remove deletes a definition file. The folder has to be one that nobody else
// can put files into.
func Remove(path string) error {
	dir := filepath.Dir(path)
	if err := trust.Folder(dir); err != nil {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// place gives a finished file its name.
func place(tmp, path string, replace bool) error {
	if replace {
		return os.Rename(tmp, path)
	}
	// A link fails when the name is taken; not every file system has them.
	err := os.Link(tmp, path)
	if err == nil {
		return os.Remove(tmp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return os.Rename(tmp, path)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
