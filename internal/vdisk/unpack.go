package vdisk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/internal/block"
	"ingot/internal/dest/folder"
	"ingot/internal/vdisk/partclone"
)

// Partclone is the format of images of single partitions, and Clonezilla that of
// a folder of them. They are read only.
const (
	Partclone  Format = "partclone"
	Clonezilla Format = "clonezilla"
)

// partcloneMark is in the names that Clonezilla gives to images of partclone.
const partcloneMark = "-ptcl-img"

// scratch is a temporary file that a partition was unpacked to. It has no name
// any more, where the system allows that.
type scratch struct {
	*os.File
	g *gather
}

// newScratch makes one in dir, "" for the system's folder of temporary files.
func newScratch(dir string) (*scratch, error) {
	f, err := os.CreateTemp(dir, "ingot-unpacked-*")
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	_ = os.Remove(f.Name()) // Windows does not: Close tries again
	return &scratch{f, &gather{w: f}}, nil
}

// WriteAt implements io.WriterAt.
func (s *scratch) WriteAt(p []byte, off int64) (int, error) { return s.g.WriteAt(p, off) }

// ReadAt implements io.ReaderAt for what was written.
func (s *scratch) ReadAt(p []byte, off int64) (int, error) {
	if err := s.g.flush(); err != nil {
		return 0, err
	}
	return s.File.ReadAt(p, off)
}

// Close closes and removes the file.
func (s *scratch) Close() error {
	err := s.File.Close()
	_ = os.Remove(s.Name())
	return err
}

// unpack unpacks the image of a partition of at most limit bytes, which lies in
// these files.
func (fs *files) unpack(ctx context.Context, names []string, limit int64) (*partclone.Volume, error) {
	var readers []io.Reader
	for _, name := range names {
		f, err := fs.take(name, false)
		if err != nil {
			return nil, err
		}
		readers = append(readers, io.NewSectionReader(f, 0, f.Size()))
	}
	stream, err := partclone.Decompress(bufio.NewReaderSize(io.MultiReader(readers...), 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", names[0], err)
	}
	defer stream.Close()
	tmp, err := newScratch(fs.opts.TempDir)
	if err != nil {
		return nil, err
	}
	fs.scratch = append(fs.scratch, tmp)
	v, err := fs.unpackTo(ctx, names[0], stream, tmp, limit)
	if err == nil {
		err = tmp.g.flush()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", names[0], err)
	}
	return v, nil
}

// unpackTo unpacks to tmp. What partclone.dd writes, by whose name the file goes,
// is the partition itself.
func (fs *files) unpackTo(ctx context.Context, name string, stream io.Reader, tmp *scratch, limit int64) (*partclone.Volume, error) {
	br := bufio.NewReader(stream)
	head, _ := br.Peek(16) // a shorter stream is no image, which its reader finds out
	if base := filepath.Base(name); strings.Contains(base, ".dd"+partcloneMark) && !partclone.Is(head) {
		return partclone.UnpackRaw(ctx, br, tmp, limit)
	}
	return partclone.Unpack(ctx, br, tmp, func(h *partclone.Header) error { return fs.room(ctx, h) }, nil)
}

// room fails when the blocks of an image do not fit into the folder for temporary
// files.
func (fs *files) room(ctx context.Context, h *partclone.Header) error {
	dir := fs.opts.TempDir
	if dir == "" {
		dir = os.TempDir()
	}
	store, err := folder.New(dir)
	if err != nil {
		return err
	}
	free, err := store.Free(ctx)
	if err != nil {
		return err
	}
	if need := h.Used*h.BlockSize + h.Blocks/8; free >= 0 && free < need {
		return fmt.Errorf("unpacking it takes up to %d MB, and %s has %d MB free: choose another folder for temporary files", need/1e6+1, dir, free/1e6)
	}
	return nil
}

// partition takes the image of one partition for a disk without a table.
func (fs *files) partition(ctx context.Context, path string) (*Disk, error) {
	names, err := pieces(path)
	if err != nil {
		return nil, err
	}
	v, err := fs.unpack(ctx, names, 1<<56)
	if err != nil {
		return nil, err
	}
	r, used, err := withEnd(v, v.Map())
	if err != nil {
		return nil, err
	}
	return &Disk{
		Format: Partclone, Kind: v.FileSystem, Reader: r, used: used,
		Notes: []string{"it is the image of a single partition, and has no partition table"},
	}, nil
}

// pieces are the files that split has cut the file at path into: the path
// itself, when it is none of them.
func pieces(path string) ([]string, error) {
	base, ok := strings.CutSuffix(path, ".aa")
	if !ok {
		if base, ok = strings.CutSuffix(path, ".aaa"); !ok {
			return []string{path}, nil
		}
	}
	all, err := filepath.Glob(escape(base) + "." + strings.Repeat("[a-z]", len(path)-len(base)-1))
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	for i, name := range all {
		if want := nth(i, len(path)-len(base)-1); !strings.HasSuffix(name, "."+want) {
			return nil, fmt.Errorf("%s.%s is missing: there are others behind it", base, want)
		}
	}
	return all, nil
}

// nth is the suffix number i that split gives.
func nth(i, length int) string {
	b := make([]byte, length)
	for k := length - 1; k >= 0; k-- {
		b[k] = 'a' + byte(i%26)
		i /= 26
	}
	return string(b)
}

// escape has Glob take a path as it is.
func escape(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// isPartclone says whether a file is the image of a partition: by how it begins,
// or by its name when it is compressed.
func isPartclone(path string, head []byte) bool {
	return partclone.Is(head) || strings.Contains(filepath.Base(path), partcloneMark)
}

// forget lets go of the file that was opened last.
func (fs *files) forget(f *file) {
	fs.opened, fs.names = fs.opened[:len(fs.opened)-1], fs.names[:len(fs.names)-1]
	_ = errors.Join(f.Close(), f.os.Close()) // it was only read
}

// closeScratch closes what was unpacked.
func (fs *files) closeScratch() error {
	var errs []error
	for _, s := range fs.scratch {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

var _ block.Reader = (*partclone.Volume)(nil)
