package browse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"ingot/internal/filesys"
	"ingot/internal/job"
)

// ErrExists is wrapped by the error of a copy that would overwrite something;
// nothing was copied then.
var ErrExists = errors.New("exists already")

// Ways to keep the streams of NTFS.
const (
	StreamsXattr = "xattr" // as extended attributes user.NAME, as ntfs-3g does
	StreamsFiles = "files" // as files named FILE:STREAM; on Windows they are streams
	StreamsNone  = "none"
)

// CopyOptions say how files are copied. The zero value overwrites nothing and
// keeps all that can be kept.
type CopyOptions struct {
	Force bool // replace files that are there, and copy into folders that are
	// NoOwner leaves what is copied to who copies it. Unless this is so and
	// the one who copies may give files away (root), set-user-id and
	// set-group-id bits are not copied either.
	NoOwner bool
	Streams string // one of the ways above; "" is StreamsXattr, on Windows StreamsFiles
	DryRun  bool   // say what would be done
	Log     *job.Log
}

// Item is a file or folder to be copied with all that lies in it.
type Item struct {
	Volume *Volume
	Path   string
	Info   fs.FileInfo
	// Name is that of the copy in the folder it is copied to; "." copies what
	// lies in a folder, and the rest of it only.
	Name string
}

// CopyReport is what a copy did.
type CopyReport struct {
	Files, Folders, Links, Others int
	Bytes                         int64
	// Failed counts what was not copied, or not all of it; each of the first
	// MaxTold was told as a warning.
	Failed int
	// Lost says what of the files could not be kept where they are now.
	Lost []string
}

// MaxTold is of how many files it is told that they could not be copied.
const MaxTold = 1000

// Copy copies items into the folder dir, which exists. Of what cannot be read it
// tells, and goes on. Nothing is ever written outside of dir, whatever the names
// and links in the image are; a file has its name only when it is complete.
func Copy(ctx context.Context, items []Item, dir string, o CopyOptions) (*CopyReport, error) {
	if o.Log == nil {
		o.Log = job.NewLog(nil)
	}
	if o.Streams == "" {
		o.Streams = defaultStreams
	}
	top, err := openTop(dir)
	if err != nil {
		return nil, err
	}
	defer top.close()
	c := &copier{
		ctx: ctx, o: o, top: top, host: newHost(top, o.NoOwner),
		linked: map[linkKey]string{}, lost: map[string]*loss{},
		turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
	}
	if err := c.vacant(items); err != nil {
		return nil, err
	}
	sum, err := measure(ctx, items)
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		return sum, nil
	}
	c.meter = o.Log.Stage("copy", sum.Bytes)
	for _, it := range items {
		if err = c.item(top, it, 0); err != nil {
			break
		}
	}
	c.meter.End()
	c.report.Lost = c.losses()
	return &c.report, err
}

// vacant fails when something is in the way of an item.
func (c *copier) vacant(items []Item) error {
	var taken []string
	for _, it := range items {
		names := []string{it.Name}
		if it.Name == "." {
			names = nil
			list, _ := it.Volume.Files.ReadDir(it.Path)
			for _, e := range list {
				names = append(names, e.Name())
			}
		} else if err := checkName(it.Name); err != nil {
			return err
		}
		for _, n := range names {
			if checkName(n) != nil {
				continue // it will be said
			}
			if _, err := c.top.root.Lstat(n); err == nil {
				taken = append(taken, n)
			}
		}
	}
	if len(taken) == 0 || c.o.Force {
		return nil
	}
	return fmt.Errorf("%s in %s %w", strings.Join(taken[:min(len(taken), 5)], ", "), c.top.path, ErrExists)
}

// measure counts what there is to copy.
func measure(ctx context.Context, items []Item) (*CopyReport, error) {
	sum := new(CopyReport)
	for _, it := range items {
		sum.count(it.Info)
		if !it.Info.IsDir() {
			continue
		}
		err := it.Volume.Find(ctx, it.Path, Query{}, Finder{
			Bad: func(string, error) {}, // the copy will say so
			Found: func(_ string, e fs.DirEntry) error {
				if info, err := e.Info(); err == nil {
					sum.count(info)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// count adds a file.
func (r *CopyReport) count(info fs.FileInfo) {
	switch m := info.Mode(); {
	case m.IsRegular():
		r.Files++
		r.Bytes += info.Size()
	case m.IsDir():
		r.Folders++
	case m&fs.ModeSymlink != 0:
		r.Links++
	default:
		r.Others++
	}
}

// copier is one run of Copy.
type copier struct {
	ctx     context.Context
	o       CopyOptions
	top     *target
	host    host
	meter   *job.Meter
	turns   chan struct{} // taken by who copies a file beside others
	buffers buffers

	mu     sync.Mutex
	report CopyReport
	linked map[linkKey]string // files with several names that were copied: where they are below top
	lost   map[string]*loss
}

// linkKey is one file with several names.
type linkKey struct {
	v  *Volume
	id uint64
}

// loss is a kind of property that could not be kept.
type loss struct {
	count int
	first string
}

// target is a folder that is copied into.
type target struct {
	root *os.Root
	dir  *os.File
	path string // as the user named it, and on
	rel  string // from the top
}

func (t *target) close() {
	_ = t.dir.Close()
	_ = t.root.Close()
}

func openTop(dir string) (*target, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &target{root, f, dir, "."}, nil
}

// folder opens a folder in t: a real one, and no link to another.
func (t *target) folder(name string) (*target, error) {
	is, err := t.root.Lstat(name)
	if err == nil && !is.IsDir() {
		err = fmt.Errorf("%s is in the way and no folder", filepath.Join(t.path, name))
	}
	if err != nil {
		return nil, err
	}
	root, err := t.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	sub := &target{root, dir, filepath.Join(t.path, name), path.Join(t.rel, name)}
	if st, err := dir.Stat(); err != nil || !os.SameFile(st, is) {
		sub.close()
		return nil, errors.Join(fmt.Errorf("%s was exchanged by another folder", sub.path), err)
	}
	return sub, nil
}

// fatal is an error that ends the copy, as all files to come would have it too.
func (c *copier) fatal(err error) bool {
	return errors.Is(err, errFull) || errors.Is(err, syscall.EROFS) || errors.Is(err, errQuota)
}

// stop is an error that ends the copy. On its way up nothing is added to it.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// fail tells of something that was not copied. It returns an error when nothing
// else should be, either.
func (c *copier) fail(it Item, err error) error {
	if err == nil || errors.As(err, new(stop)) {
		return err
	}
	if c.ctx.Err() != nil {
		return stop{c.ctx.Err()}
	}
	if pe, ok := err.(*fs.PathError); ok && pe.Path == it.Path {
		err = pe.Err // the path is said
	}
	err = fmt.Errorf("%s: %w", it.Path, err)
	if c.fatal(err) {
		return stop{err}
	}
	c.mu.Lock()
	c.report.Failed++
	n := c.report.Failed
	c.mu.Unlock()
	if n <= MaxTold {
		c.o.Log.Warn("not copied: %s", printableName(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	return nil
}

// lose notes that a property of a file could not be kept.
func (c *copier) lose(what string, it Item, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lost[what]
	if l == nil {
		l = &loss{first: fmt.Sprintf("%s: %v", it.Path, err)}
		c.lost[what] = l
	}
	l.count++
}

// losses says what could not be kept.
func (c *copier) losses() (out []string) {
	for what, l := range c.lost {
		of := fmt.Sprintf("%d files", l.count)
		if l.count == 1 {
			of = "a file"
		}
		out = append(out, fmt.Sprintf("the %s of %s could not be kept (%s)", what, of, l.first))
	}
	slices.Sort(out)
	return out
}

// done counts something that was copied.
func (c *copier) done(info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.count(info)
}

// node is what the file system knows of an item.
func (it *Item) node() filesys.Node {
	n, _ := it.Info.Sys().(filesys.Node)
	return n
}
