package backup

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	"ingot/internal/block"
	"ingot/internal/filesys"
	"ingot/internal/image"
)

// Values of Options.Changes.
const (
	ChangesAll = image.ChangesAll
	ChangesMFT = image.ChangesMFT
)

// defaultFullRead is how often ChangesMFT reads everything all the same.
const defaultFullRead = 10

// PartResult says how it was found what of an NTFS partition changed.
type PartResult struct {
	Number int    `json:"partition"`
	Method string `json:"changes"`          // ChangesMFT or ChangesAll
	Reason string `json:"reason,omitempty"` // why not by the MFT
	Unread int64  `json:"unread_bytes"`     // in use, in blocks that were not read
	// Checked says that everything was read to see what the MFT does not tell;
	// Missed is how many blocks that was.
	Checked bool  `json:"checked"`
	Missed  int64 `json:"missed_blocks"`
}

func checkChanges(opts Options) error {
	switch opts.Changes {
	case "", ChangesAll, ChangesMFT:
	default:
		return fmt.Errorf("%w: changes %q: choose all or mft", ErrOptions, opts.Changes)
	}
	if opts.FullReadEvery < 0 {
		return fmt.Errorf("%w: a full read every %d backups", ErrOptions, opts.FullReadEvery)
	}
	return nil
}

// fullReadEvery is how many points of a set lie between two for which
// everything is read, one of them counted.
func (o *Options) fullReadEvery() int64 {
	if o.FullReadEvery == 0 {
		return defaultFullRead
	}
	return int64(o.FullReadEvery)
}

// scope names the rule by which it is decided which bytes are stored. What the
// parent holds says nothing of bytes that its rule left out: whatever of the
// options has to do with that is part of it.
func (o *Options) scope() string {
	switch {
	case o.AllSectors:
		return "all sectors"
	case len(o.Exclude) > 0:
		return fmt.Sprintf("used without %q", o.Exclude)
	}
	return "used"
}

// kind says how still the source holds, as the image notes it.
func (s *Source) kind() string {
	switch {
	case s.Live:
		return image.SourceLive
	case s.Snapshot:
		return image.SourceSnapshot
	}
	return image.SourceStill
}

// fast is how a partition is gone through when the MFT says what changed.
type fast struct {
	key   image.Changes
	must  *block.Cursor // what has to be read; nil: everything
	check bool          // all is read, to count what the MFT does not tell
	asked bool          // the MFT was to say what changed

	unread, missed int64
}

// fast decides how partition i is gone through; nil when it is not NTFS.
func (r *run) fast(ctx context.Context, i int) (*fast, error) {
	part := &r.Parts[i]
	if part.Info.Type != "NTFS" {
		return nil, nil
	}
	f := &fast{key: image.Changes{Method: ChangesAll, Source: r.Source.kind(), Scope: r.opts.scope()}}
	if r.target.base == nil {
		return f, nil
	}
	row, missed := r.target.told(i)
	f.key.Missed = missed
	if r.opts.Changes != ChangesMFT {
		return f, nil
	}
	f.asked = true
	must, reason, err := r.untouched(ctx, i, missed)
	if err != nil {
		return nil, err
	}
	if f.key.Reason = reason; reason != "" {
		r.log.Note("%s: everything is read: %s", part.Name(), reason)
		return f, nil
	}
	f.must = block.NewCursor(must)
	if f.check = row+1 >= r.opts.fullReadEvery(); !f.check {
		f.key.Method, f.key.Row = ChangesMFT, row+1
	}
	return f, nil
}

// told is what the points of the set say of partition i: how many of the newest
// were made without reading all, and how many blocks were ever missed.
func (t *Target) told(i int) (row, missed int64) {
	for _, m := range t.Set.Members {
		if c := partChanges(m, i); c != nil {
			missed = max(missed, c.Missed)
		}
	}
	if c := partChanges(t.Set.Newest(), i); c != nil {
		row = max(c.Row, 0)
	}
	return row, missed
}

func partChanges(m *image.Member, i int) *image.Changes {
	if len(m.Doc.Disks) == 0 || i >= len(m.Doc.Disks[0].Partitions) {
		return nil
	}
	return m.Doc.Disks[0].Partitions[i].Header.Changes
}

// untouched asks the MFT what of partition i has to be read, or says why it is
// not asked.
func (r *run) untouched(ctx context.Context, i int, missed int64) (must block.Map, reason string, err error) {
	part, base := &r.Parts[i], r.target.base
	was := partChanges(base.Member, i)
	switch {
	case missed > 0:
		return nil, fmt.Sprintf("its MFT did not tell of %d changed blocks before in this set", missed), nil
	case r.opts.AllSectors:
		return nil, "free sectors are imaged too, and the MFT says nothing of them", nil
	case r.Source.Live:
		return nil, "it may be written to while it is imaged", nil
	case was == nil:
		return nil, base.Member.Name + " does not say how still its source held: it was made by another program", nil
	case was.Source == image.SourceUnread:
		return nil, "some of it could not be read when " + base.Member.Name + " was made", nil
	case was.Source != image.SourceStill && was.Source != image.SourceSnapshot:
		return nil, "it may have been written to while " + base.Member.Name + " was made", nil
	case base.Member.Doc.Auxiliary.Maker != r.doc.Auxiliary.Maker:
		// What is left out, and how that is found, may have been otherwise.
		return nil, base.Member.Name + " was made by another version of Ingot", nil
	case was.Scope != r.opts.scope():
		return nil, base.Member.Name + " was made by another rule of what is stored", nil
	}
	before, err := r.before(i, was.Source == image.SourceSnapshot)
	if err != nil {
		return nil, err.Error(), nil
	}
	return filesys.Changes(ctx, part.found, before.found, filesys.StateOptions{
		Granule: part.BlockSize, Snapshot: r.Source.Snapshot, WasSnapshot: was.Source == image.SourceSnapshot,
		Also: block.Merge(block.Differ(part.Volume.Used(), before.Volume.Used()), block.Differ(part.Volume.Zeroed(), before.Volume.Zeroed())),
	})
}

// before is partition i as it is in the parent, with the same left out of it
// as today.
func (r *run) before(i int, snapshot bool) (*Part, error) {
	parent := r.target.base.Parent.Disks()[0].Partitions[i]
	held := newRecent(parent, parent.BlockSize())
	v, err := filesys.Open(held)
	if err != nil {
		return nil, fmt.Errorf("the backup it is compared with cannot be read: %w", err)
	}
	was := &Part{Partition: r.Parts[i].Partition, Volume: v, Info: v.Info(), reader: held, found: v}
	p := &Plan{Source: Source{Snapshot: snapshot}, opts: r.opts}
	p.finish(was)
	return was, nil
}

// untouched says which of n blocks from number first on have no byte that has
// to be read; nil when that is not known.
func (f *fast) untouched(out []bool, first, n, size int64, known []image.Known) ([]bool, error) {
	if f == nil || f.must == nil {
		return nil, nil
	}
	out = out[:0]
	for b := first; b < first+n; b++ {
		hit, err := f.must.Meets(block.Extent{Off: b * size, Len: size})
		if err != nil {
			return nil, err
		}
		out = append(out, !hit && known[b-first].Stored)
	}
	return out, nil
}

// count adds what came of a row.
func (f *fast) count(it *item, used int64) {
	if f == nil {
		return
	}
	if it.same {
		f.unread += used
		return
	}
	for i, n := range it.batch.Lens {
		if n != image.Same && i < len(it.untouched) && it.untouched[i] {
			f.missed++
		}
	}
}

// note tells how partition i was gone through.
func (r *run) note(i int, f *fast) {
	if f == nil {
		return
	}
	r.unread += f.unread
	name := r.Parts[i].Name()
	switch {
	case f.missed > 0:
		f.key.Missed = f.missed
		r.log.Warn("%s: %d blocks had changed and its MFT did not tell: earlier backups of this set made with --changes mft may hold them as they were before. They are stored now, and from now on everything is read", name, f.missed)
	case f.check:
		r.log.Note("%s: everything was read, as is done every %d backups: its MFT told of all changes", name, r.opts.fullReadEvery())
	case f.must != nil:
		r.log.Note("%s: %s were not read: their files are unchanged by their MFT records", name, humanize.IBytes(uint64(f.unread)))
	}
	r.doc.Disks[0].Partitions[i].Header.Changes = &f.key
	if f.asked {
		r.parts = append(r.parts, PartResult{
			Number: r.Parts[i].Number, Method: f.key.Method, Reason: f.key.Reason,
			Unread: f.unread, Checked: f.check, Missed: f.missed,
		})
	}
}
