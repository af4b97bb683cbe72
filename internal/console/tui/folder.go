package tui

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/result"
)

// point is a point in time that was chosen.
type point struct {
	folder string
	set    result.Set
	result.Point
}

// path is the file of the point, as the program takes it.
func (p *point) path() string { return filepath.Join(p.folder, p.File) }

// title is what a person knows it by.
func (p *point) title() string {
	return words(p.set.Host, p.set.Disk, moment(p.Time), typeName(p.Type))
}

func typeName(t string) string {
	switch t {
	case "inc":
		return "incremental"
	case "diff":
		return "differential"
	}
	return t
}

// askFolder asks for a folder with images, or an image; then says what is done
// with the point that is chosen there.
func askFolder(title string, then func(*point) Step) *Screen {
	return &Screen{
		Title: title + ": where are the images?",
		Say:   []string{"A folder with images, or an image file (.mrimgx)."},
		Ask:   "Folder or file",
		Typed: func(text string) Step {
			if text == "" {
				return Step{Say: "Type a path, such as /mnt/backup or E:\\"}
			}
			return work(loadFolder(text, then))
		},
	}
}

func loadFolder(path string, then func(*point) Step) Work {
	return func(ctx context.Context, w World, _ func(job.Event)) Step {
		folder, only := path, ""
		if strings.EqualFold(filepath.Ext(path), ".mrimgx") || strings.EqualFold(filepath.Ext(path), ".mrimg") {
			folder, only = filepath.Dir(path), filepath.Base(path)
		}
		a, err := w.Run(ctx, nil, "sets", "--", folder)
		f, ok := last[result.Folder](a)
		if err != nil && !ok {
			return open(trouble("Read "+folder, err))
		}
		if only == "" {
			return open(setsScreen(&f, then))
		}
		for _, set := range f.Sets {
			if i := slices.IndexFunc(set.Points, func(p result.Point) bool { return p.File == only }); i >= 0 {
				return pick(&point{f.Folder, set, set.Points[i]}, then)
			}
		}
		return open(trouble("Read "+path, fmt.Errorf("%s is no image of a set in %s", only, folder)))
	}
}

// setsScreen lists the sets of a folder.
func setsScreen(f *result.Folder, then func(*point) Step) *Screen {
	s := &Screen{Title: "Backup sets in " + f.Folder}
	if len(f.Sets) == 0 {
		s.Say = append(s.Say, unknown+" The folder holds no images.")
	}
	for _, b := range f.Broken {
		s.Say = append(s.Say, bad+" "+b.File+": "+b.Error)
	}
	if len(f.Windows) > 0 {
		s.Say = append(s.Say, "Windows system images are here, too: 'ingot convert' and 'ingot restore' take them.")
	}
	for i := range f.Sets {
		set := &f.Sets[i]
		s.Choices = append(s.Choices, Choice{Label: setName(set), Do: func() Step { return open(pointsScreen(f.Folder, set, then)) }})
	}
	return s
}

func setName(s *result.Set) string {
	mark, newest := good, ""
	for _, p := range s.Points {
		if p.Missing != "" {
			mark = bad
		}
	}
	if n := len(s.Points); n > 0 {
		newest = "newest " + moment(s.Points[n-1].Time)
	}
	return words(mark, s.Host, s.Disk, s.DiskID, view.Count(len(s.Points), "point"), view.Bytes(s.Size), s.Encrypt, newest)
}

// pointsScreen lists the points of a set, the newest first.
func pointsScreen(folder string, set *result.Set, then func(*point) Step) *Screen {
	s := &Screen{Title: "Points in time of " + words(set.Host, set.Disk, set.ID)}
	for _, p := range slices.Backward(set.Points) {
		c := Choice{Label: words(moment(p.Time), typeName(p.Type), view.Bytes(p.Size), p.File), Off: p.Missing, Do: func() Step {
			return pick(&point{folder, *set, p}, then)
		}}
		s.Choices = append(s.Choices, c)
	}
	return s
}

// pick does what a point was chosen for, if it is whole.
func pick(p *point, then func(*point) Step) Step {
	if p.Missing != "" {
		return open(trouble("Open "+p.File, &Failure{Text: p.Missing, Code: 3}))
	}
	return then(p)
}

// showPoint asks the program what a point holds.
func showPoint(p *point) Step {
	return work(func(ctx context.Context, w World, _ func(job.Event)) Step {
		a, err := w.Run(ctx, nil, "show", "--", p.path())
		if err != nil {
			return open(trouble("Open "+p.File, err))
		}
		im, _ := last[result.Image](a)
		return open(pointScreen(p, &im))
	})
}

// pointScreen says what a point holds and what can be done with it.
func pointScreen(p *point, im *result.Image) *Screen {
	s := &Screen{Title: p.title()}
	s.Say = append(s.Say, fmt.Sprintf("%s, restored from %s, %s in this file.", p.File, view.Count(len(p.Files), "file"), view.Bytes(p.Size)))
	s.Say = append(s.Say, words("Made by "+im.Maker, "encryption: "+im.Encryption, im.Comment))
	for _, d := range im.Disks {
		s.Facts = append(s.Facts, Row{Text: diskName(&d)})
		for i := range d.Partitions {
			part := &d.Partitions[i]
			s.Facts = append(s.Facts, Row{Text: "  " + partName(part), Done: part.Used, Total: part.Size})
		}
	}
	s.Choices = []Choice{
		{Label: "Browse its files and copy them out", Do: func() Step { return browsePoint(p) }},
		{Label: "Verify it", Do: func() Step { return verifyPoint(p) }},
		{Label: "Restore it", Do: func() Step { return restorePoint(p) }},
		{Label: "Back", Do: func() Step { return Step{Back: true} }},
	}
	return s
}
