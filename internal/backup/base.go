package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/internal/dest"
	"ingot/internal/filesys"
	"ingot/internal/image"
)

// TypeAuto makes an incremental where the destination holds a set of the same
// disk and partitions, and a full where it does not.
const TypeAuto = "auto"

// CheckType refuses what is no type of a backup; "" is TypeAuto.
func CheckType(typ string) error {
	switch typ {
	case "", TypeAuto, image.TypeFull, image.TypeDiff, image.TypeInc:
		return nil
	}
	return fmt.Errorf("%w: backup type %q: choose auto, full, diff or inc", ErrOptions, typ)
}

// Target is what a new point in time will be at its destination.
type Target struct {
	// Type is full, diff or inc.
	Type string
	// Set is the set it goes into, nil for a new one.
	Set *image.Set
	// Reasons say why sets of the same disk that are there are not continued.
	Reasons []string

	base *image.Base // nil for a full
}

// Close closes the files of the set.
func (t *Target) Close() error {
	if t.base == nil {
		return nil
	}
	return t.base.Close()
}

// ByMD5 says that the parent has no strong hashes, so that MD5 decides which
// blocks changed.
func (t *Target) ByMD5() bool { return t.base != nil && !t.base.Strong() }

// Based is the file the new one is based on, "" for a full.
func (t *Target) Based() string {
	if t.base == nil {
		return ""
	}
	return t.base.Member.Name
}

// Target finds out what an image of the plan is to be in store: the newest set
// that holds exactly the same partitions of the same disk is continued, unless
// a full was asked for. One that is encrypted wants its password: a full that is
// not encrypted beside it would give away what it hides. Close it after Run.
func (p *Plan) Target(ctx context.Context, store dest.Store) (*Target, error) {
	t := &Target{Type: image.TypeFull}
	if p.opts.Type == image.TypeFull {
		return t, nil
	}
	sets, err := image.ReadSets(ctx, store, p.opts.Access)
	if err != nil {
		return nil, err
	}
	doc, err := p.document(Naming{})
	if err != nil {
		return nil, err
	}
	want := image.TypeInc
	if p.opts.Type == image.TypeDiff {
		want = image.TypeDiff
	}
	for i := len(sets.Sets) - 1; i >= 0; i-- {
		s := sets.Sets[i]
		newest := s.Newest()
		if newest == nil || !sameDisk(newest.Doc, doc) {
			continue
		}
		base, why, err := p.continues(ctx, store, s, want, doc)
		if err != nil {
			return nil, err
		}
		if why == "" {
			t.Type, t.Set, t.base = want, s, base
			return t, nil
		}
		t.Reasons = append(t.Reasons, fmt.Sprintf("set %s is not continued: %s", s.ID, why))
	}
	if len(t.Reasons) == 0 && p.opts.Type != "" && p.opts.Type != TypeAuto {
		t.Reasons = append(t.Reasons, "the destination holds no set of this disk")
	}
	return t, nil
}

// Shape is that of the image: see image.Member.Shape.
func (p *Plan) Shape() string {
	doc := &image.Document{Disks: []image.Disk{p.diskDocument()}}
	return (&image.Member{Doc: doc}).Shape()
}

func sameDisk(a, b *image.Document) bool {
	return len(a.Disks) > 0 && a.Disks[0].Header.Format == b.Disks[0].Header.Format &&
		strings.EqualFold(a.Disks[0].Header.Signature, b.Disks[0].Header.Signature)
}

// continues opens the base of a new point in time in a set, or says why it
// cannot go there.
func (p *Plan) continues(ctx context.Context, store dest.Store, s *image.Set, typ string, doc *image.Document) (*image.Base, string, error) {
	if why := s.Newest().Differs(doc); why != "" {
		return nil, why, nil
	}
	base, err := s.OpenBase(ctx, store, typ)
	if err != nil {
		if errors.Is(err, image.ErrMissing) || errors.Is(err, image.ErrDamaged) || errors.Is(err, image.ErrUnsupported) {
			return nil, err.Error(), nil
		}
		return nil, "", err
	}
	why := base.Member.Differs(doc)
	for i := range p.Parts {
		if why != "" {
			break
		}
		part := &p.Parts[i]
		was, is := filesys.Identity(part.Info.Type, base.Parent.Disks()[0].Partitions[i]), filesys.Identity(part.Info.Type, part.reader)
		if was != is {
			why = part.Name() + " was formatted anew (its serial number is another one)"
		}
	}
	if why != "" {
		return nil, why, base.Close()
	}
	return base, "", nil
}

// into fits the document of a new full into the set it belongs to, as the file
// of this name.
func (t *Target) into(doc *image.Document, name string) {
	h := &doc.Header
	var was []image.Disk
	if t.base != nil {
		parent := t.base.Member.Doc
		was = parent.Disks
		doc.Encryption = parent.Encryption
		h.ImageID, h.BackupsetTime = parent.Header.ImageID, parent.Header.BackupsetTime
		h.BackupType, h.FileNumber, h.IncrementNumber = t.Type, t.base.Number, t.base.Increment
		doc.Auxiliary.Parent = &image.ParentRef{FileNumber: parent.Header.FileNumber, GUID: parent.Header.BackupGUID}
	}
	for i := range doc.Disks {
		for k := range doc.Disks[i].Partitions {
			ph := &doc.Disks[i].Partitions[k].Header
			if was != nil {
				// Numbers belong to the set: today's may be others.
				doc.Disks[i].Header.Number = was[i].Header.Number
				ph.Number = was[i].Partitions[k].Header.Number
				ph.History = slices.Clone(was[i].Partitions[k].Header.History)
			}
			ph.History = append(ph.History, image.FileHistory{Name: name, Number: h.FileNumber})
			ph.HistoryCount = int64(len(ph.History))
		}
	}
}
