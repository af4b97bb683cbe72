package ntfs

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"ingot/internal/block"
)

// Entries are what ReadDir of the folder would give.
func (n *node) Entries() ([]fs.DirEntry, error) { return n.t.list(n.name, n.rec) }

// Metadata gives the clusters of the volume that hold no contents of a file
// that the tree shows: of the system files with all of $Extend, and, of the
// others, indexes, attribute lists and whatever else is no stream. All of $MFT
// is read for it, and it ends with an error when a record cannot be understood.
func (t *Tree) Metadata() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		hidden, err := t.hidden()
		if err != nil {
			yield(block.Extent{}, err)
			return
		}
		err = t.m.eachRecord(func(rec record) error {
			own := rec.owner() < firstUser && rec.owner() != recRoot || hidden[rec.owner()]
			return t.m.eachRun(rec, func(a attribute, e block.Extent) error {
				if (own || a.typ != typeData) && !yield(e, nil) {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(block.Extent{}, err)
		}
	}
}

var errEnough = errors.New("nobody wants more")

// maxHidden bounds what is looked at below $Extend; Windows keeps some dozens
// of files there.
const maxHidden = 1 << 16

// hidden are the records of the files below $Extend.
func (t *Tree) hidden() (map[int64]bool, error) {
	out := map[int64]bool{}
	for pending := []string{"$Extend"}; len(pending) > 0; {
		path := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		list, err := t.ReadDir(path)
		if errors.Is(err, fs.ErrNotExist) && path == "$Extend" {
			return out, nil // before NTFS 3.0
		}
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			d := e.(dirEntry)
			out[int64(d.ref&(1<<48-1))] = true
			if d.IsDir() {
				pending = append(pending, path+"/"+d.name)
			}
		}
		if len(out) > maxHidden {
			return nil, fmt.Errorf("more than %d files below $Extend", maxHidden)
		}
	}
	return out, nil
}

// owner is the number of the record that a record is a part of, or its own.
func (r record) owner() int64 {
	if r.base != 0 {
		return int64(r.base & (1<<48 - 1))
	}
	return r.number
}

// eachRun calls do for the clusters of each attribute in a record.
func (m *mft) eachRun(rec record, do func(attribute, block.Extent) error) error {
	for _, a := range rec.attrs {
		if a.resident {
			continue
		}
		runs, err := decodeRuns(nil, a.pairs, m.boot.TotalClusters)
		if err != nil {
			return fmt.Errorf("attribute %#x: %w", a.typ, err)
		}
		for _, r := range runs {
			if r.lcn == sparse {
				continue
			}
			if err := do(a, block.Extent{Off: r.lcn * m.boot.ClusterSize, Len: r.n * m.boot.ClusterSize}); err != nil {
				return err
			}
		}
	}
	return nil
}
