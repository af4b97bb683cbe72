package browse

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ingot/internal/dest"
	"ingot/internal/image"
)

// Moment is a file at one point in time.
type Moment struct {
	Time      time.Time // of the point in time
	Image     string    // the file that holds it
	Partition string    // as a reference names it
	Path      string    // as Files knows it
	// Err says why nothing is known of this moment.
	Err     error
	Present bool
	Mode    fs.FileMode
	Size    int64
	ModTime time.Time
	// Version counts the different contents of a history from 1; moments with
	// the same number have the same ones. 0 is for a file that is not there.
	Version int
	// Same says how it is known that the contents are those of an earlier
	// moment: SameBlocks, SameHash, or SameTime, which proves nothing.
	Same string
	Hash string // SHA-256 in hex, when it was asked for

	print [32]byte // of what is stored; zeros when nothing can be said by it
}

// How contents are known to be the same.
const (
	SameBlocks = "blocks" // what is stored of the file is the same
	SameHash   = "hash"   // its contents were read
	SameTime   = "time"   // size and time of the last change are the same
)

// History is a file in one partition, over time.
type History struct {
	DiskID    string // of the partition table
	Partition string // as a reference names it, at the last moment
	Moments   []Moment
}

// VersionOptions say how versions are looked for.
type VersionOptions struct {
	Partition string // which partition is meant, as in a reference; "" is all that have the file
	Hash      bool   // read and compare the contents
}

// Versions looks for a file at all points in time of the sets, oldest first. A
// point in time that cannot be read is a Moment with an error. Contents are
// compared by what is stored of them, which the index says, else by size and
// time; those of small files and with Hash those of all are read.
func Versions(ctx context.Context, store dest.Store, sets *image.Sets, name string, o VersionOptions) ([]History, error) {
	var all []pointOf
	for _, s := range sets.Sets {
		for _, m := range s.Points() {
			all = append(all, pointOf{s, m})
		}
	}
	slices.SortStableFunc(all, func(a, b pointOf) int {
		return int(min(max(a.m.Doc.Header.BackupTime-b.m.Doc.Header.BackupTime, -1), 1))
	})
	h := histories{o: o, name: name}
	for _, p := range all {
		if err := h.add(ctx, store, p); err != nil {
			return nil, err
		}
	}
	return h.result(), nil
}

// pointOf is a point in time and its set.
type pointOf struct {
	s *image.Set
	m *image.Member
}

// histories are in the making, one for each partition.
type histories struct {
	o    VersionOptions
	name string
	list []*History
	keys []string
}

// add looks into a point in time. The error is that of a run that was ended.
func (h *histories) add(ctx context.Context, store dest.Store, p pointOf) error {
	at := Moment{Time: time.Unix(p.m.Doc.Header.BackupTime, 0), Image: p.m.Name}
	ch, err := p.s.Open(ctx, store, p.m)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, image.ErrLocked) || errors.Is(err, image.ErrPassword) {
			return err
		}
		at.Err = err
		h.broken(p.m.Doc, at)
		return nil
	}
	defer ch.Close()
	if h.o.Hash { // a damaged index may hide blocks, which would read as zeros
		if err := ch.CheckIndex(ctx); err != nil {
			at.Err = err
			h.broken(p.m.Doc, at)
			return ctx.Err()
		}
	}
	parts := FromImage(ch)
	if h.o.Partition != "" {
		one, err := Find(parts, h.o.Partition)
		if err != nil {
			return nil // an image of another disk
		}
		parts = []*Partition{one}
	}
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		one := at
		one.Partition = part.Name()
		h.look(ctx, part, &one)
		h.put(key(&ch.Doc.Disks[part.Disk-1], part.Image.Doc), ch.Doc.Disks[part.Disk-1].Header.Signature, one)
	}
	return ctx.Err()
}

// key names a partition over time: by its disk, and where it begins on it.
func key(d *image.Disk, p *image.Partition) string {
	return fmt.Sprintf("%s %d", strings.ToUpper(d.Header.Signature), p.Geometry.Start)
}

// broken notes a point in time that cannot be read, for all partitions that it
// says it has.
func (h *histories) broken(doc *image.Document, at Moment) {
	for i := range doc.Disks {
		d := &doc.Disks[i]
		for k := range d.Partitions {
			p := &d.Partitions[k]
			named := Partition{
				Disk: i + 1, Number: int(p.Header.Number), Disks: len(doc.Disks),
				Label: p.FileSystem.VolumeLabel, Letter: letter(p.FileSystem.DriveLetter),
			}
			if h.o.Partition != "" {
				if _, err := Find([]*Partition{&named}, h.o.Partition); err != nil {
					continue
				}
			}
			at.Partition = named.Name()
			h.put(key(d, p), d.Header.Signature, at)
		}
	}
}

func (h *histories) put(key, disk string, at Moment) {
	i := slices.Index(h.keys, key)
	if i < 0 {
		i = len(h.keys)
		h.keys = append(h.keys, key)
		h.list = append(h.list, &History{DiskID: disk})
	}
	h.list[i].Partition = at.Partition
	h.list[i].Moments = append(h.list[i].Moments, at)
}

// look finds the file in a partition.
func (h *histories) look(ctx context.Context, part *Partition, at *Moment) {
	v, err := part.Open()
	if v != nil && v.Files == nil {
		if h.o.Partition != "" {
			at.Err = err
		}
		return // a partition without files that could be read here
	}
	if err != nil {
		at.Err = err
		return
	}
	path, info, err := v.Resolve(h.name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		at.Err = err
		return
	}
	at.Present, at.Path, at.Mode, at.Size, at.ModTime = true, path, info.Mode(), info.Size(), info.ModTime()
	if !info.Mode().IsRegular() {
		return
	}
	switch {
	case h.o.Hash:
		at.Hash, at.Err = hashOf(ctx, v, path)
	case info.Size() <= smallFile:
		at.Hash, _ = hashOf(ctx, v, path)
	default:
		at.print = printOf(part.Image, info)
	}
}

// smallFile is up to which size contents are read in any case: that costs no more
// than finding the file.
const smallFile = 64 << 10

// hashOf reads the contents of a file.
func hashOf(ctx context.Context, v *Volume, path string) (string, error) {
	f, err := v.Files.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	b := make([]byte, copyPiece)
	for {
		n, err := f.Read(b)
		_, _ = h.Write(b[:n])
		if err == io.EOF {
			return fmt.Sprintf("%x", h.Sum(nil)), nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return "", err
		}
	}
}

// printOf tells contents apart without reading them, by the blocks that are
// stored of them. It is zeros when it can tell nothing.
func printOf(img *image.Volume, info fs.FileInfo) (sum [32]byte) {
	it := Item{Info: info}
	n := it.node()
	if n == nil {
		return sum
	}
	var stored int64
	for e, err := range n.Extents() {
		if err != nil {
			return sum
		}
		stored += e.Len
	}
	if stored < info.Size() { // holes, whose places the extents do not show
		return sum
	}
	out, err := img.Print(n.Extents())
	if err != nil {
		return [32]byte{}
	}
	return out
}

// result numbers the versions, and drops the partitions that never had the file,
// but where none had it those of which it is not known.
func (h *histories) result() (out []History) {
	for _, has := range []func(Moment) bool{
		func(m Moment) bool { return m.Present },
		func(m Moment) bool { return m.Err != nil },
	} {
		for _, one := range h.list {
			if slices.ContainsFunc(one.Moments, has) {
				number(one.Moments)
				out = append(out, *one)
			}
		}
		if out != nil {
			return out
		}
	}
	return nil
}

// number gives equal contents equal numbers.
func number(all []Moment) {
	next := 1
	for i := range all {
		m := &all[i]
		if !m.Present {
			continue
		}
		for k := i - 1; k >= 0 && m.Version == 0; k-- {
			if same := sameAs(m, &all[k]); same != "" {
				m.Version, m.Same = all[k].Version, same
			}
		}
		if m.Version == 0 {
			m.Version = next
			next++
		}
	}
}

// sameAs says how it is known that two moments have the same contents, "" when
// it is not.
func sameAs(a, b *Moment) string {
	switch {
	case !a.Present || !b.Present || a.Mode.Type() != b.Mode.Type() || a.Size != b.Size:
		return ""
	case a.Hash != "" && b.Hash != "":
		if a.Hash == b.Hash {
			return SameHash
		}
		return ""
	case a.print != [32]byte{} && a.print == b.print:
		return SameBlocks
	case a.ModTime.Equal(b.ModTime):
		return SameTime
	}
	return ""
}
