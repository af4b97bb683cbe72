package backup

import (
	"context"
	"errors"
	"time"

	"github.com/dustin/go-humanize"

	"ingot/internal/dest"
	"ingot/internal/image"
	"ingot/internal/job"
)

// begin makes what an image begins with: a document and what the Writer is asked
// for; of u, when that is gone on with.
func (p *Plan) begin(target *Target, name Naming, u *image.Unfinished) (*image.Document, image.Options, error) {
	opts := image.Options{
		TempDir: p.opts.TempDir, Base: target.base, FullIndex: p.opts.FullIndex, Access: p.opts.Access, Split: p.opts.Split,
		NextMedium: p.opts.NextMedium, Resumable: true, Flush: p.opts.Flush, Resume: u, Rule: p.opts.scope(),
	}
	doc, err := p.document(name)
	if err != nil {
		return nil, opts, err
	}
	stem := ""
	if u != nil {
		u.Adopt(doc)
		stem = setName(u.Name) // it may tell of the time when it was begun
	}
	var first int64
	opts.PartName = func(number int64) string { return name.file(stem, doc.Header.ImageID, target, number-first) }
	target.into(doc, opts.PartName(0))
	first = doc.Header.FileNumber
	if target.base == nil && p.opts.Encrypt != "" {
		err = p.opts.Access.Encrypt(doc, p.opts.Encrypt)
	}
	return doc, opts, err
}

// unfinished looks for an image of the same partitions that a run has left:
// whether it can be gone on with, if that is wanted. Else it goes: its room is
// needed.
func (p *Plan) unfinished(ctx context.Context, store dest.Store, target *Target, name Naming, log *job.Log) (*image.Unfinished, error) {
	left, err := image.ReadUnfinished(ctx, store)
	if err != nil {
		return nil, err
	}
	var found *image.Unfinished
	for _, u := range left {
		if u.Shape() != p.Shape() {
			continue
		}
		why, err := p.goesOn(u, target, name)
		switch {
		case err != nil:
			return nil, err
		case why == "" && found == nil:
			found = u
			log.Note("an image begun on %s is gone on with: %s of it are there", u.Began.Local().Format(time.DateTime), humanize.IBytes(uint64(u.Bytes)))
			continue
		case why == "":
			why = "there are two"
		}
		log.Note("an image begun on %s was not finished, and is deleted: %s", u.Began.Local().Format(time.DateTime), why)
		if err := u.Drop(ctx, store); err != nil {
			return nil, err
		}
	}
	if found == nil && p.opts.Resume {
		log.Note("there is no unfinished image of these partitions to go on with: a new one is begun")
	}
	return found, nil
}

// goesOn says in words why an unfinished image is not gone on with, "" when it
// is.
func (p *Plan) goesOn(u *image.Unfinished, target *Target, name Naming) (string, error) {
	switch {
	case !p.opts.Resume:
		return "--resume would have gone on with it", nil
	case p.Source.Live:
		return "the source may be written to while it is imaged", nil
	}
	doc, opts, err := p.begin(target, name, u)
	if errors.Is(err, image.ErrLocked) || errors.Is(err, image.ErrPassword) {
		return "", err
	}
	if err != nil {
		return err.Error(), nil
	}
	return u.Fits(doc, &opts), nil
}
