package ntfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"ingot/internal/block"
)

// shadowMark is in the names of the files in which Windows keeps shadow copies.
const shadowMark = "{3808876b-c176-4e48-b7ae-04046e6cc752}"

// headSize is how much of the front of a file that is left out is stored as
// zeros, at least one cluster: what a restore finds on its target there could
// be taken for a hibernated system, a crash dump or a list of shadow copies.
const headSize = 64 << 10

// Unneeded is a file whose contents Windows makes anew.
type Unneeded struct {
	Path  string // from the root folder, such as \pagefile.sys
	Bytes int64  // in its clusters
	Out   []block.Extent
	Zero  []block.Extent // of Out, what is to be stored as zeros
	Kept  string         // why the contents are needed nevertheless; "" when they are not

	number int64 // MFT record
}

// Unneeded finds the files for paging, hibernation and shadow copies. A copy
// of the volume can do without their clusters, which nothing else claims: all
// of $MFT is read to know that. What is not known for certain is Kept.
func (v *Volume) Unneeded() []Unneeded {
	if v.mft == nil || v.facts.WholeReason != "" {
		return nil
	}
	files := v.Files().unneeded()
	reason := ""
	switch {
	case len(files) == 0:
		return nil
	case v.facts.Hibernated:
		reason = "Windows is hibernated and will go on with it"
	default:
		if err := v.mft.rivals(files); err != nil {
			reason = fmt.Sprintf("what else lies in its clusters cannot be known: %v", err)
		}
	}
	for i := range files {
		if files[i].Kept == "" {
			files[i].Kept = reason
		}
	}
	return files
}

// unneeded finds the files by their names.
func (t *Tree) unneeded() (out []Unneeded) {
	add := func(u Unneeded, err error) {
		if err != nil {
			u.Kept = err.Error()
		}
		if err != nil || len(u.Out) > 0 {
			out = append(out, u)
		}
	}
	for _, name := range []string{"pagefile.sys", "swapfile.sys", "hiberfil.sys"} {
		u := Unneeded{Path: `\` + name}
		ref, err := t.inRoot(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = t.clusters(&u, ref)
		}
		add(u, err)
	}
	shadows, err := t.shadows()
	if err != nil {
		add(Unneeded{Path: `\` + shadowFolder}, err)
	}
	for _, d := range shadows {
		u := Unneeded{Path: `\` + shadowFolder + `\` + d.name}
		add(u, t.clusters(&u, d.ref))
	}
	return out
}

// inRoot is the reference of a file in the root folder.
func (t *Tree) inRoot(name string) (uint64, error) {
	root, err := t.m.record(recRoot)
	if err != nil {
		return 0, err
	}
	at, err := t.inFolder(root, name)
	return at.ref, err
}

const shadowFolder = "System Volume Information"

// shadows are the entries of the files of shadow copies.
func (t *Tree) shadows() ([]dirEntry, error) {
	n, err := t.find(shadowFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := t.list(shadowFolder, n.rec)
	var out []dirEntry
	for _, e := range list {
		if d := e.(dirEntry); strings.Contains(strings.ToLower(d.name), shadowMark) {
			out = append(out, d)
		}
	}
	return out, err
}

// clusters reads all places of the contents of a file.
func (t *Tree) clusters(u *Unneeded, ref uint64) error {
	rec, err := t.base(ref)
	if err != nil {
		return err
	}
	names, err := t.m.links(rec)
	switch {
	case err != nil:
		return err
	case rec.folder:
		return errors.New("it is a folder")
	case names != 1:
		return fmt.Errorf("it has %d names", names)
	}
	s, err := t.m.open(rec, typeData, "")
	if err != nil {
		return err
	}
	if have := endVCN(s.runs) * s.clusterSize; s.resident == nil && have < s.size {
		return fmt.Errorf("the places of %d bytes are known, it has %d", have, s.size)
	}
	u.number, u.Out = rec.number, s.extents()
	head := max(headSize, s.clusterSize)
	for _, e := range u.Out {
		u.Bytes += e.Len
		if head > 0 {
			u.Zero = append(u.Zero, block.Extent{Off: e.Off, Len: min(e.Len, head)})
			head -= min(e.Len, head)
		}
	}
	return nil
}
