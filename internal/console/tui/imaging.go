package tui

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
)

// loadSources lists what can be imaged.
func loadSources(ctx context.Context, w World, _ func(job.Event)) Step {
	list, err := readDisks(ctx, w)
	s := sourcesScreen(list)
	if err != nil {
		s.Say = append(s.Say, warn+" The disks cannot be listed: "+err.Error())
	}
	return open(s)
}

func sourcesScreen(list []result.Disk) *Screen {
	s := &Screen{Title: "Image: which disk?"}
	for i := range list {
		d := &list[i]
		s.Choices = append(s.Choices, Choice{Label: diskName(d), Off: d.Error, Do: func() Step { return open(partsScreen(d, allParts(d))) }})
	}
	s.Choices = append(s.Choices, Choice{Label: "A disk-image file or virtual disk", Do: func() Step { return open(askSource()) }})
	return s
}

func askSource() *Screen {
	return &Screen{
		Title: "Image: which file?", Say: []string{"A raw disk image, or a virtual disk (VHDX, VHD, qcow2, VMDK)."},
		Ask: "File",
		Typed: func(text string) Step {
			return work(func(ctx context.Context, w World, _ func(job.Event)) Step {
				d, err := readDisk(ctx, w, text)
				if err != nil {
					return open(trouble("Read "+text, err))
				}
				return open(partsScreen(d, allParts(d)))
			})
		},
	}
}

// allParts are the numbers of all partitions of a disk.
func allParts(d *result.Disk) []int {
	var out []int
	for i := range d.Partitions {
		out = append(out, d.Partitions[i].Number)
	}
	return out
}

// partsScreen has partitions ticked, and goes on to the folder.
func partsScreen(d *result.Disk, ticked []int) *Screen {
	s := &Screen{Title: "Image: which partitions of " + diskName(d)}
	s.Say = []string{"Choose a partition to tick it, or to take the tick away."}
	next := Choice{Label: "Go on", Do: func() Step { return open(askImageFolder(d, ticked)) }}
	if len(ticked) == 0 {
		next.Off = "Tick at least one partition."
	}
	for i := range d.Partitions {
		p := &d.Partitions[i]
		on := slices.Contains(ticked, p.Number)
		s.Choices = append(s.Choices, Choice{Label: partName(p), Box: true, Ticked: on, Do: func() Step {
			return replace(partsScreen(d, toggled(d, ticked, p.Number)))
		}})
	}
	s.Choices = append(s.Choices, next)
	return s
}

// toggled is ticked with the tick of one partition changed, in the disk's order.
func toggled(d *result.Disk, ticked []int, number int) []int {
	var out []int
	for _, n := range allParts(d) {
		if slices.Contains(ticked, n) != (n == number) {
			out = append(out, n)
		}
	}
	return out
}

func askImageFolder(d *result.Disk, ticked []int) *Screen {
	return &Screen{
		Title: "Image: into which folder?",
		Say:   []string{"A folder on another disk. When it holds a set of these partitions, the image becomes an incremental of it."},
		Ask:   "Folder",
		Typed: func(text string) Step {
			if text == "" {
				return Step{Say: "Type the path of a folder"}
			}
			return work(planImage(d, ticked, text))
		},
	}
}

// imageArgs are the arguments of the run.
func imageArgs(d *result.Disk, ticked []int, to string, more ...string) []string {
	args := append([]string{"image", "--to=" + to}, more...)
	if len(ticked) < len(d.Partitions) {
		var list []string
		for _, n := range ticked {
			list = append(list, strconv.Itoa(n))
		}
		args = append(args, "--partitions="+strings.Join(list, ","))
	}
	return append(args, "--", d.Path)
}

// planImage asks the program what it would do.
func planImage(d *result.Disk, ticked []int, to string) Work {
	return func(ctx context.Context, w World, _ func(job.Event)) Step {
		a, err := w.Run(ctx, nil, imageArgs(d, ticked, to, "--dry-run")...)
		if err != nil {
			return open(trouble("Image "+d.Path, err))
		}
		plan, _ := last[result.Disk](a)
		return open(imageSummary(d, ticked, to, &plan, true))
	}
}

// imageSummary is what will be done, before it is.
func imageSummary(d *result.Disk, ticked []int, to string, plan *result.Disk, verify bool) *Screen {
	s := &Screen{Title: "Image: is this right?"}
	var used int64
	for i := range plan.Partitions {
		p := &plan.Partitions[i]
		used += p.Used
		s.Facts = append(s.Facts, Row{Text: partName(p), Done: p.Used, Total: p.Size})
	}
	s.Say = append(s.Say, fmt.Sprintf("%s of %s is read and stored in %s.", view.Bytes(used), diskName(d), to))
	for _, text := range plan.Warnings {
		s.Say = append(s.Say, warn+" "+text)
	}
	more := []string{}
	if verify {
		more = append(more, "--verify")
	}
	s.Choices = []Choice{
		{Label: "Start", Do: func() Step {
			return startRun("Imaging "+diskName(d), func(_ *Run, a *Answer, err error) *Screen { return imaged(d, a, err) }, imageArgs(d, ticked, to, more...)...)
		}},
		{Label: "Verify the image afterwards", Box: true, Ticked: verify, Do: func() Step {
			return replace(imageSummary(d, ticked, to, plan, !verify))
		}},
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
	}
	return s
}

// imageResult is what "image --json" ends with.
type imageResult struct {
	Status   string   `json:"status"`
	File     string   `json:"file"`
	Type     string   `json:"type"`
	Folder   string   `json:"folder"`
	Read     int64    `json:"read_bytes"`
	Written  int64    `json:"stored_bytes"`
	Seconds  float64  `json:"seconds"`
	Verified int64    `json:"verified_blocks"`
	Warnings []string `json:"warnings"`
}

// imaged is the end of an imaging run.
func imaged(d *result.Disk, a *Answer, err error) *Screen {
	r, ok := last[imageResult](a)
	if !ok || r.File == "" {
		if err == nil {
			err = fmt.Errorf("the program told no result")
		}
		return trouble("Image "+d.Path, err)
	}
	s := &Screen{Title: "The image is made", Choices: endChoices()}
	s.Say = []string{
		fmt.Sprintf("%s %s in %s, %s.", good, r.File, r.Folder, typeName(r.Type)),
		fmt.Sprintf("%s read, %s stored, in %.1f s.", view.Bytes(r.Read), view.Bytes(r.Written), r.Seconds),
	}
	if r.Verified > 0 {
		s.Say = append(s.Say, fmt.Sprintf("%s Verified: all %d blocks are good.", good, r.Verified))
	} else {
		s.Say = append(s.Say, unknown+" It was not verified.")
	}
	for _, text := range r.Warnings {
		s.Say = append(s.Say, warn+" "+text)
	}
	if err != nil {
		s.Say = append(s.Say, bad+" "+err.Error())
	}
	return s
}
