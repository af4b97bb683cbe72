package tui

import (
	"context"
	"encoding/hex"
	"fmt"
	"path"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
)

// place is a folder or file in a point.
type place struct {
	point     *point
	partition string
	path      string // from the root; "" is the root itself
}

// ref is the place as the program takes it.
func (l place) ref() string { return l.point.path() + ":" + l.partition + "/" + l.path }

func (l place) title() string { return l.partition + ":/" + l.path }

// browsePoint lists the partitions of a point.
func browsePoint(p *point) Step {
	return work(func(ctx context.Context, w World, _ func(job.Event)) Step {
		a, err := w.Run(ctx, nil, "ls", "--", p.path())
		if err != nil {
			return open(trouble("Read "+p.File, err))
		}
		parts, err := objects[result.ImagePartition](a)
		if err != nil {
			return open(trouble("Read "+p.File, err))
		}
		return open(volumesScreen(p, parts))
	})
}

func volumesScreen(p *point, parts []result.ImagePartition) *Screen {
	s := &Screen{Title: "Files of " + p.title(), Say: []string{"Choose a partition."}}
	for _, v := range parts {
		letter := ""
		if v.Letter != "" {
			letter = v.Letter + ":"
		}
		c := Choice{Label: words(v.Partition, letter, v.FileSystem, v.Label, view.Bytes(v.Size)), Do: func() Step {
			return work(loadPlace(place{point: p, partition: v.Partition}))
		}}
		if !v.Readable {
			c.Off = v.Reason
		}
		s.Choices = append(s.Choices, c)
	}
	return s
}

// loadPlace lists a folder.
func loadPlace(l place) Work {
	return func(ctx context.Context, w World, _ func(job.Event)) Step {
		a, err := w.Run(ctx, nil, "ls", "--", l.ref())
		files, derr := objects[result.File](a)
		if err == nil {
			err = derr
		}
		if err != nil && len(files) == 0 {
			return open(trouble("List "+l.title(), err))
		}
		return open(folderScreen(l, files, a.More, err))
	}
}

// folderScreen lists what lies in a folder.
func folderScreen(l place, files []result.File, more int, err error) *Screen {
	s := &Screen{Title: words(l.title(), moment(l.point.Time))}
	if err != nil {
		s.Say = append(s.Say, warn+" Not all of it can be read: "+err.Error())
	}
	if more > 0 {
		s.Say = append(s.Say, fmt.Sprintf("%s The first %d are shown, %d more are not: 'ingot ls' lists all.", warn, len(files), more))
	}
	if len(files) == 0 {
		s.Say = append(s.Say, "The folder is empty.")
	}
	s.Choices = []Choice{{Label: "Copy this folder out", Do: func() Step { return open(askTarget(l)) }}}
	for _, f := range files {
		s.Choices = append(s.Choices, fileChoice(l, f))
	}
	return s
}

// fileChoice leads into a folder, or to what is known of a file.
func fileChoice(l place, f result.File) Choice {
	to := place{l.point, l.partition, f.Path}
	if raw, err := hex.DecodeString(f.PathHex); err == nil && f.PathHex != "" {
		to.path = string(raw)
	}
	name := path.Base(f.Path)
	switch {
	case f.Type == "folder":
		return Choice{Label: name + "/", Do: func() Step { return work(loadPlace(to)) }}
	case f.Type == "":
		return Choice{Label: bad + " " + name, Off: f.Error}
	case f.Type != "file":
		return Choice{Label: words(name, f.Type), Do: func() Step { return open(fileScreen(to, &f)) }}
	}
	return Choice{Label: words(name, view.Bytes(f.Size)), Do: func() Step { return open(fileScreen(to, &f)) }}
}

// fileScreen says what is known of a file.
func fileScreen(l place, f *result.File) *Screen {
	s := &Screen{Title: words(l.title(), moment(l.point.Time))}
	s.Say = append(s.Say, fmt.Sprintf("A %s of %s (%d bytes).", f.Type, view.Bytes(f.Size), f.Size))
	if f.Modified != nil {
		s.Say = append(s.Say, "Changed "+moment(*f.Modified))
	}
	if f.Target != "" {
		s.Say = append(s.Say, "Leads to "+f.Target)
	}
	if f.Error != "" {
		s.Say = append(s.Say, warn+" "+f.Error)
	}
	s.Choices = []Choice{
		{Label: "Copy it out", Do: func() Step { return open(askTarget(l)) }},
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
	}
	return s
}

// askTarget asks where a file or folder is copied to.
func askTarget(l place) *Screen {
	return &Screen{
		Title: "Copy " + l.title(), Say: []string{"Nothing that is there is overwritten."},
		Ask: "Copy into which folder",
		Typed: func(text string) Step {
			if text == "" {
				return Step{Say: "Type the path of a folder"}
			}
			title := "Copying " + l.title()
			return startRun(title, func(_ *Run, a *Answer, err error) *Screen { return copied(l, text, a, err) }, "cp", "--", l.ref(), text)
		},
	}
}

// copyResult is what "cp --json" ends with.
type copyResult struct {
	Files   int   `json:"files"`
	Folders int   `json:"folders"`
	Bytes   int64 `json:"bytes"`
	Failed  int   `json:"failed"`
}

func copied(l place, to string, a *Answer, err error) *Screen {
	r, ok := last[copyResult](a)
	if !ok {
		if err == nil {
			err = fmt.Errorf("the program told nothing")
		}
		return trouble("Copy "+l.title(), err)
	}
	s := &Screen{Title: "Copied to " + to, Choices: endChoices()}
	s.Say = []string{fmt.Sprintf("%s %s, %s, %s.", good, view.Count(r.Files, "file"), view.Count(r.Folders, "folder"), view.Bytes(r.Bytes))}
	if err != nil {
		s.Say = append(s.Say, fmt.Sprintf("%s %d could not be copied: %v", bad, r.Failed, err))
	}
	return s
}
