package tui

import (
	"context"
	"fmt"
	"strings"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
)

// readDisks lists the disks of the machine, or one that is named.
func readDisks(ctx context.Context, w World, path ...string) ([]result.Disk, error) {
	args := []string{"disks"}
	if len(path) > 0 {
		args = append(append(args, "--"), path...)
	}
	a, err := w.Run(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return objects[result.Disk](a)
}

// readDisk reads one disk or file.
func readDisk(ctx context.Context, w World, path string) (*result.Disk, error) {
	list, err := readDisks(ctx, w, path)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("the program tells of %d disks at %s", len(list), path)
	}
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func loadDisks(ctx context.Context, w World, _ func(job.Event)) Step {
	list, err := readDisks(ctx, w)
	if err != nil {
		return open(trouble("List the disks", err))
	}
	return open(disksScreen(list))
}

func disksScreen(list []result.Disk) *Screen {
	s := &Screen{Title: "Disks of this machine", Again: func() Step {
		return work(func(ctx context.Context, w World, tell func(job.Event)) Step { return again(loadDisks(ctx, w, tell)) })
	}}
	if len(list) == 0 {
		s.Say = []string{"No disk can be seen. Disks need the administrator (sudo, or an elevated prompt on Windows)."}
	}
	for i := range list {
		d := &list[i]
		s.Choices = append(s.Choices, Choice{Label: diskMark(d) + " " + diskName(d), Do: func() Step { return open(diskScreen(d)) }})
	}
	return s
}

// again makes of a step to a new screen one that takes the place of this.
func again(s Step) Step {
	s.Open, s.Replace = nil, s.Open
	return s
}

// diskScreen shows the partitions of a disk.
func diskScreen(d *result.Disk) *Screen {
	s := &Screen{Title: diskName(d)}
	s.Say = append(s.Say, words(strings.ToUpper(d.Scheme), d.ID, fmt.Sprintf("%d-byte sectors", d.Sector)))
	if len(d.ByID) > 0 {
		s.Say = append(s.Say, "Lasting name: "+d.ByID[0])
	}
	if d.Error != "" {
		s.Say = append(s.Say, warn+" "+d.Error)
	}
	for _, text := range d.Warnings {
		s.Say = append(s.Say, warn+" "+text)
	}
	for i := range d.Partitions {
		p := &d.Partitions[i]
		s.Facts = append(s.Facts, Row{Text: partName(p), Done: p.Used, Total: p.Size})
		for _, text := range p.Warnings {
			s.Facts = append(s.Facts, Row{Text: warn + " " + text})
		}
	}
	s.Choices = []Choice{
		{Label: "Image this disk", Off: d.Error, Do: func() Step { return open(partsScreen(d, allParts(d))) }},
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
	}
	return s
}

func diskMark(d *result.Disk) string {
	switch {
	case d.Error != "":
		return unknown
	case len(d.Warnings) > 0:
		return warn
	}
	return good
}

// diskName is what a person knows a disk by: path, model, size, serial number.
func diskName(d *result.Disk) string {
	removable := ""
	if d.Removable {
		removable = "removable"
	}
	return words(d.Path, d.Model, view.Bytes(d.Size), d.Serial, d.Bus, removable)
}

func partName(p *result.Partition) string {
	label := p.Label
	if label == "" {
		label = p.Name
	}
	return words(fmt.Sprintf("partition %d", p.Number), p.FileSystem, label, view.Bytes(p.Used)+" of "+view.Bytes(p.Size), strings.Join(p.Flags, ","))
}
