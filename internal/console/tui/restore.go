package tui

import (
	"context"
	"errors"
	"fmt"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
)

// target is what a restore may write to.
type target struct {
	disk   result.Disk
	fresh  bool     // a file that is not there yet
	reason string   // why it is refused; "" when it is not
	losses []string // what will be lost, and what comes
	mark   string   // the fingerprint of target and plan, which must hold when it is begun
}

// restorePoint lists the disks, and asks the program of each whether it may be
// written to.
func restorePoint(p *point) Step {
	return work(func(ctx context.Context, w World, _ func(job.Event)) Step {
		list, err := readDisks(ctx, w)
		var targets []target
		for _, d := range list {
			targets = append(targets, tryTarget(ctx, w, p, d))
		}
		s := targetsScreen(p, targets)
		if err != nil {
			s.Say = append(s.Say, warn+" The disks cannot be listed: "+err.Error())
		}
		return open(s)
	})
}

// tryTarget asks the program what a restore to a disk would do.
func tryTarget(ctx context.Context, w World, p *point, d result.Disk) target {
	t := target{disk: d}
	a, err := w.Run(ctx, nil, "restore", "--dry-run", "--", p.path(), d.Path)
	r, ok := last[result.Restore](a)
	switch {
	case err != nil:
		t.reason = err.Error()
	case !ok || r.Fingerprint == "":
		t.reason = "the program does not say what would be lost"
	default:
		t.losses, t.mark = lossesText(&d, &r), r.Fingerprint
	}
	return t
}

// lossesText says what a restore takes away and what it brings.
func lossesText(d *result.Disk, r *result.Restore) []string {
	out := []string{d.Path + " keeps its partition table. These partitions are overwritten:"}
	if r.Table {
		out[0] = d.Path + " gets a new partition table. What is on it now is lost:"
	}
	for _, p := range r.Lost {
		for i := range d.Partitions {
			if q := &d.Partitions[i]; q.Number == p.Number && q.Off == p.Off {
				p = *q // with its label, and how full it is
			}
		}
		out = append(out, "  "+words(fmt.Sprintf("partition %d", p.Number), view.Bytes(p.Size), p.TypeName, p.FileSystem, p.Label, p.Name))
	}
	if len(r.Lost) == 0 {
		out = append(out, "  (no partition table that can be read)")
	}
	out = append(out, "It will hold:")
	for _, h := range r.Holds {
		out = append(out, "  "+words(h.Name, view.Bytes(h.Size)))
	}
	for _, text := range r.Warnings {
		out = append(out, warn+" "+text)
	}
	return out
}

func targetsScreen(p *point, targets []target) *Screen {
	s := &Screen{Title: "Restore " + p.title(), Say: []string{"Which disk is to be overwritten?"}}
	for i := range targets {
		t := &targets[i]
		s.Choices = append(s.Choices, Choice{Label: diskName(&t.disk), Off: t.reason, Do: func() Step {
			return open(lossesScreen(p, t, restoreOptions{true, true}))
		}})
	}
	s.Choices = append(s.Choices, Choice{Label: "A disk-image file", Do: func() Step { return open(askRestoreFile(p)) }})
	return s
}

func askRestoreFile(p *point) *Screen {
	return &Screen{
		Title: "Restore to which file?", Say: []string{"It is made when it does not exist."},
		Ask: "File",
		Typed: func(text string) Step {
			if text == "" {
				return Step{Say: "Type the path of a file"}
			}
			return work(func(ctx context.Context, w World, _ func(job.Event)) Step { return fileTarget(ctx, w, p, text) })
		},
	}
}

// fileTarget looks at the file a restore is to write to.
func fileTarget(ctx context.Context, w World, p *point, path string) Step {
	if !w.Exists(path) {
		t := &target{disk: result.Disk{Path: path, Bus: "file"}, fresh: true, losses: []string{path + " is created."}}
		return open(lossesScreen(p, t, restoreOptions{true, true}))
	}
	d, err := readDisk(ctx, w, path)
	if err != nil {
		return open(trouble("Read "+path, err))
	}
	t := tryTarget(ctx, w, p, *d)
	if t.reason != "" {
		return open(trouble("Restore to "+path, errors.New(t.reason)))
	}
	return open(lossesScreen(p, &t, restoreOptions{true, true}))
}

// restoreOptions are what can be ticked.
type restoreOptions struct{ verify, check bool }

// lossesScreen says what will be lost, and has the options ticked.
func lossesScreen(p *point, t *target, o restoreOptions) *Screen {
	s := &Screen{Title: "Restore to " + diskName(&t.disk), Say: t.losses}
	again := func(o restoreOptions) Step { return replace(lossesScreen(p, t, o)) }
	s.Choices = []Choice{
		{Label: "Go on", Do: func() Step {
			if t.fresh {
				return startRestore(p, t, o)
			}
			return open(confirmScreen(p, t, o))
		}},
		{Label: "Verify the image before anything is overwritten", Box: true, Ticked: o.verify, Do: func() Step { return again(restoreOptions{!o.verify, o.check}) }},
		{Label: "Read the target back afterwards and compare", Box: true, Ticked: o.check, Do: func() Step { return again(restoreOptions{o.verify, !o.check}) }},
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
	}
	return s
}

// confirmScreen asks for what only somebody who looked at the target knows.
func confirmScreen(p *point, t *target, o restoreOptions) *Screen {
	word := view.ConfirmOf(&t.disk)
	return &Screen{
		Title: "Erase " + diskName(&t.disk) + " and restore?",
		Say:   append([]string{bad + " What is listed here is lost for good:"}, t.losses...),
		Ask:   word.Ask + ": " + word.Shown + word.Word,
		Typed: func(text string) Step {
			if !word.Is(text) {
				return Step{Say: "That is not it. Nothing was written."}
			}
			return startRestore(p, t, o)
		},
	}
}

// startRestore restores. The program looks once more whether the target is the
// one that was looked at; without --yes it overwrites nothing that is there.
func startRestore(p *point, t *target, o restoreOptions) Step {
	args := []string{"restore"}
	if !t.fresh {
		args = append(args, "--yes", "--expect="+t.mark)
	}
	if o.verify {
		args = append(args, "--verify")
	}
	if o.check {
		args = append(args, "--check")
	}
	args = append(args, "--", p.path(), t.disk.Path)
	return startRun("Restoring to "+diskName(&t.disk), func(_ *Run, a *Answer, err error) *Screen { return restored(t, a, err) }, args...)
}

// restored is the end of a restore.
func restored(t *target, a *Answer, err error) *Screen {
	r, ok := last[result.Restore](a)
	if err == nil && (!ok || r.Status != "done") {
		err = errors.New("the program told no result")
	}
	if err != nil {
		return trouble("Restore to "+t.disk.Path, err)
	}
	s := &Screen{Title: "Restored", Choices: endChoices()}
	s.Say = []string{fmt.Sprintf("%s %s restored to %s in %.1f s.", good, view.Bytes(r.Bytes), t.disk.Path, r.Seconds)}
	if r.Checked {
		s.Say = append(s.Say, good+" Checked: the target holds what the image holds.")
	}
	for _, text := range r.Warnings {
		s.Say = append(s.Say, warn+" "+text)
	}
	return s
}
