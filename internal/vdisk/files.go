package vdisk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ingot/internal/block"
	"ingot/internal/disk"
)

const (
	// maxDepth is how many files may stand on each other.
	maxDepth = 32
	// maxFiles is how many a disk may consist of.
	maxFiles = 10000
)

// ErrOutside is wrapped by the error for a file that a disk names and that lies
// where nobody allowed it to.
var ErrOutside = errors.New("it does not lie in a folder that may be read for this disk")

// files are those that were opened for a disk.
type files struct {
	folders []string // where they may lie, without links
	names   []string
	opened  []*file
	scratch []*scratch // of partitions that were unpacked
	depth   int
	opts    Options
}

// newFiles allows the folder of the disk at path, and those of the options.
func newFiles(path string, opts Options) (*files, error) {
	real, err := realPath(path)
	if err != nil {
		return nil, err
	}
	fs := &files{folders: []string{filepath.Dir(real)}, opts: opts}
	for _, dir := range opts.Folders {
		real, err := realPath(dir)
		if err != nil {
			return nil, err
		}
		fs.folders = append(fs.folders, real)
	}
	return fs, nil
}

// realPath is the absolute path without links.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func (fs *files) close() error {
	errs := []error{fs.closeScratch()}
	for _, f := range fs.opened {
		errs = append(errs, f.Close(), f.os.Close())
	}
	return errors.Join(errs...)
}

// take opens a regular file. One that is open for the disk already would stand
// on itself, unless it is taken as it is, and names no others: several extents
// may lie in one file.
func (fs *files) take(path string, asIs bool) (*file, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if len(fs.opened) >= maxFiles {
		return nil, fmt.Errorf("it consists of more than %d files", maxFiles)
	}
	for _, f := range fs.opened {
		if other, err := f.os.Stat(); err == nil && os.SameFile(fi, other) {
			if asIs {
				return f, nil
			}
			return nil, fmt.Errorf("%s is a part of the disk twice", path)
		}
	}
	d, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	o, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	f := &file{d, path, o}
	fs.opened, fs.names = append(fs.opened, f), append(fs.names, path)
	return f, nil
}

// allowed says whether a file that a disk names may be opened, and gives its
// real path.
func (fs *files) allowed(path string) (string, error) {
	real, err := realPath(path)
	if err != nil {
		return "", err
	}
	for _, dir := range fs.folders {
		rel, err := filepath.Rel(dir, real)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return real, nil
		}
	}
	return "", fmt.Errorf("%s: %w (%s)", real, ErrOutside, strings.Join(fs.folders, ", "))
}

// scheme is how an address begins that is no path: nbd://, json:, driver:.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)

// named opens files by the names that the file f gives, for the packages that
// leave the chain to their caller.
func (fs *files) named(ctx context.Context, f *file) func(name, format string) (block.Reader, block.Map, error) {
	return func(name, format string) (block.Reader, block.Map, error) {
		name = strings.TrimPrefix(name, "file:")
		if scheme.MatchString(name) || strings.ContainsRune(name, 0) {
			return nil, nil, fmt.Errorf("%q is an address and no path: %w", name, ErrOutside)
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.path), filepath.FromSlash(name))
		}
		real, err := fs.allowed(path)
		if err != nil {
			return nil, nil, err
		}
		d, err := fs.open(ctx, real, format, false)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", real, err)
		}
		return d.Reader, d.used, nil
	}
}

// parent opens the parent of a differencing disk for the packages that follow
// the chain themselves. Its files are closed with all others.
func (fs *files) parent(path string) (io.ReaderAt, int64, io.Closer, error) {
	real, err := fs.allowed(path)
	if err != nil {
		return nil, 0, nil, err
	}
	f, err := fs.take(real, false)
	if err != nil {
		return nil, 0, nil, err
	}
	return f, f.Size(), nil, nil
}
