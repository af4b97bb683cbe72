package draft

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"ingot/internal/filesys"
	"ingot/internal/plan"
	"ingot/internal/preview"
	"ingot/internal/result"
	"ingot/internal/service"
)

// Facts are what a draft is compared with.
type Facts struct {
	Disks []result.Disk
	// Places are what was found out about the places of the draft, in their
	// order; nil where nothing was.
	Places []*Place
	Others []Other
	// Calendar is what the schedules will do; nil when there is none.
	Calendar *preview.Calendar
	Now      time.Time
	Zone     *time.Location
}

// Place is what was found out about a place, or why nothing was.
type Place struct {
	service.PlaceCheck
	Err string
}

// Other is another definition.
type Other struct {
	Name string
	Next time.Time
	Def  *plan.Definition // nil when it cannot be read
}

// checker gathers problems.
type checker struct {
	*Draft
	*Facts
	def *plan.Definition
	all []Problem
}

func (c *checker) say(step int, level Level, field, code, format string, args ...any) *Problem {
	c.all = append(c.all, Problem{Step: step, Field: field, Level: level, Code: code, Text: fmt.Sprintf(format, args...)})
	return &c.all[len(c.all)-1]
}

// Check gives all there is to say about a draft.
func (d *Draft) Check(f *Facts) []Problem {
	def, bad := d.Definition()
	c := &checker{d, f, def, bad}
	c.what()
	c.where()
	c.when()
	c.options()
	c.summary()
	c.rest(len(bad) > 0)
	return c.all
}

func (c *checker) what() {
	if len(c.def.Sources) == 0 {
		c.say(What, Error, "part", "none", "Tick at least one partition.")
	}
	for _, k := range c.Draft.Disks {
		now := find(c.Facts.Disks, k.Key)
		if now == nil {
			c.say(What, Warning, "part", "gone "+k.Key, "%s has gone since you ticked it.", k.Name)
			continue
		}
		c.start(now)
		for i := range now.Partitions {
			if p := &now.Partitions[i]; c.Ticked(k.Key, p.Off) {
				c.partition(now, p)
			}
		}
	}
}

// start warns of a system without what it starts from. The partition that comes
// first behind the EFI one is taken to be the system's: that is where Windows and
// the installers of Linux put it.
func (c *checker) start(k *result.Disk) {
	key := DiskKey(k)
	efi := slices.IndexFunc(k.Partitions, func(p result.Partition) bool { return slices.Contains(p.Flags, "ESP") })
	if efi < 0 || c.Ticked(key, k.Partitions[efi].Off) {
		return
	}
	for i := efi + 1; i < len(k.Partitions); i++ {
		p := &k.Partitions[i]
		if slices.Contains(p.Flags, "MSR") || slices.Contains(p.Flags, "recovery") {
			continue
		}
		if c.Ticked(key, p.Off) {
			w := c.say(What, Warning, "part", "efi "+key, "%s is ticked without EFI, which it starts from. Restored to an empty disk it would not start.", PartName(p))
			w.Fix, w.FixText = "efi "+PartKey(k, &k.Partitions[efi]), "Tick EFI too"
		}
		return
	}
}

// partition says what is special about one that is ticked.
func (c *checker) partition(k *result.Disk, p *result.Partition) {
	code := PartKey(k, p)
	switch {
	case slices.Contains(p.Flags, "MSR"): // never has one
	case strings.HasPrefix(p.FileSystem, "BitLocker"):
		c.say(What, Warning, "part", "locked "+code, "%s is locked by BitLocker. Unlock it in Windows, or all %s are copied unreadable.", PartName(p), size(p.Size))
	case p.Whole != "" && (p.FileSystem == "" || p.FileSystem == "unknown"):
		c.say(What, Warning, "part", "unknown "+code, "Every block of %q is copied: its file system is not known.", PartName(p))
	case p.Whole != "":
		c.say(What, Note, "part", "whole "+code, "Every block of %q is copied: %s.", PartName(p), strings.TrimSuffix(p.Whole, "."))
	}
	for _, w := range p.Warnings {
		c.say(What, Warning, "part", "says "+code+" "+w, "%s: %s", PartName(p), w)
	}
}

// PlaceField is the name of the field of a place in forms.
func PlaceField(i int) string { return fmt.Sprintf("place-%d", i) }

func (c *checker) where() {
	if len(c.def.Destinations) == 0 {
		c.say(Where, Error, PlaceField(0), "no place", "Name a folder for the backups.")
	}
	for i, path := range c.Draft.Places {
		path = strings.TrimSpace(path)
		switch {
		case path == "":
		case !plan.Absolute(path):
			c.say(Where, Error, PlaceField(i), "relative", "%q: name the folder by its whole path.", path)
		case slices.Contains(c.Draft.Places[:i], path):
			c.say(Where, Error, PlaceField(i), "twice", "%s is named twice.", path)
		case i < len(c.Facts.Places) && c.Facts.Places[i] != nil:
			c.place(i, c.Facts.Places[i])
		}
	}
	if n := strings.TrimSpace(c.FileName); n != "" && !strings.Contains(n, "{IMAGEID}") && !strings.Contains(n, "{DATE}") {
		c.say(Where, Error, "file-name", "overwrite", "Files would overwrite each other: the name needs {IMAGEID} or {DATE}.")
	}
}

// place says what speaks against a place, or for knowing about it.
func (c *checker) place(i int, p *Place) {
	field, path := PlaceField(i), p.Path
	if p.Err != "" {
		c.say(Where, Warning, field, "unchecked "+path, "%s could not be looked at: %s", path, p.Err)
		return
	}
	if !p.OK() {
		c.failed(i, field, p)
		return
	}
	if need := c.Sizes(c.Facts.Disks).Expected; p.Free < need {
		c.say(Where, Warning, field, "small "+path, "%s are free, the first image needs about %s.", size(p.Free), size(need))
	}
	if p.MaxFile > 0 {
		c.say(Where, Note, field, "fat "+path, "FAT32 holds 4 GiB per file: the image is split; merging still works.")
	}
	if p.Shared {
		c.say(Where, Warning, field, "shared "+path, "Anyone may write here; a thief or malware could delete your backups.")
	}
}

// failed says which step of a check was the last. A place that is not there now
// is no mistake when there is another, as with drives that are exchanged.
func (c *checker) failed(i int, field string, p *Place) {
	last := p.Steps[len(p.Steps)-1]
	level := Error
	if len(c.def.Destinations) > 1 {
		level = Warning
	}
	switch last.Name {
	case service.StepFound:
		c.say(Where, level, field, "absent "+p.Path, "There is no folder %s: make it, or plug the drive in (%s).", p.Path, last.Error)
	case service.StepFolder:
		c.say(Where, Error, field, "file", "%s is a file: name a folder.", p.Path)
	case service.StepWrite:
		c.say(Where, level, field, "unwritable "+p.Path, "Ingot cannot write into %s (%s).", p.Path, last.Error)
	case service.StepApart:
		if p.Source == "" {
			c.say(Where, Warning, field, "apart "+p.Path, "Whether %s lies on a disk of the image could not be found out: %s.", p.Path, last.Error)
			return
		}
		c.onSource(field, p)
	default:
		c.say(Where, Warning, field, "where "+p.Path, "What %s lies on could not be found out: %s", p.Path, last.Error)
	}
}

// onSource says that a place lies on a disk of the image. A run refuses that,
// even on a partition that is not in the image.
func (c *checker) onSource(field string, p *Place) {
	for i := range c.Facts.Disks {
		k := &c.Facts.Disks[i]
		if k.Path != p.Source {
			continue
		}
		j := slices.IndexFunc(k.Partitions, func(x result.Partition) bool { return x.Off == p.Off })
		if j >= 0 && !c.Ticked(DiskKey(k), p.Off) {
			c.say(Where, Error, field, "same disk", "%s is another partition of %[2]s. If %[2]s dies, the backup dies too. Choose another disk: Ingot does not back up a disk to itself.", PartName(&k.Partitions[j]), DiskName(k.Path))
			return
		}
		name := DiskName(k.Path)
		if j >= 0 {
			name = PartName(&k.Partitions[j])
		}
		c.say(Where, Error, field, "in image", "This folder is on %s, which is in the image. Choose another disk.", name)
		return
	}
	c.say(Where, Error, field, "in image", "This folder is on %s, which is in the image. Choose another disk.", p.Source)
}

func (c *checker) options() {
	for line := range strings.Lines(c.Draft.Options.Exclude) {
		line = strings.TrimSpace(line)
		if drive := len(line) > 2 && line[1] == ':'; drive || strings.HasPrefix(line, `\`) {
			c.say(Options, Error, "exclude", "pattern", `A pattern starts inside the partition: write Users/**, not C:\Users\**.`)
			return
		}
	}
	if err := filesys.CheckPatterns(c.def.Options.Exclude); err != nil {
		c.say(Options, Error, "exclude", "pattern", "%s", err)
	}
}

func (c *checker) summary() {
	for _, o := range c.Others {
		if strings.EqualFold(o.Name, c.def.Name) {
			c.say(Summary, Error, "name", "exists", "A backup with this name exists.")
		} else if o.Def != nil && c.same(o.Def) {
			c.say(Summary, Warning, "name", "same "+o.Name, "%q images the same partitions into the same folder; two plans would clean up each other's points.", o.Name)
		}
	}
}

// same says whether another definition has a source and a destination of this one.
func (c *checker) same(o *plan.Definition) bool {
	source := slices.ContainsFunc(c.def.Sources, func(a plan.Source) bool {
		return slices.ContainsFunc(o.Sources, func(b plan.Source) bool {
			return a.Kind == b.Kind && a.Disk.ID == b.Disk.ID && a.Disk.Serial == b.Disk.Serial && a.Disk.Path == b.Disk.Path
		})
	})
	return source && slices.ContainsFunc(c.def.Destinations, func(a plan.Destination) bool {
		return slices.ContainsFunc(o.Destinations, func(b plan.Destination) bool { return a.Path == b.Path })
	})
}

// rest is what the definition says about itself that nobody has said yet. What
// cannot be read is said already, and makes other things wrong.
func (c *checker) rest(unread bool) {
	err := c.def.Check()
	if err == nil || unread {
		return
	}
	var each interface{ Unwrap() []error }
	if !errors.As(err, &each) {
		return
	}
	for _, err := range each.Unwrap() {
		step, field := stepOf(err.Error())
		if !slices.ContainsFunc(c.all, func(p Problem) bool { return p.Step == step && p.Level == Error }) {
			c.say(step, Error, field, "invalid", "%s", err)
		}
	}
}

// stepOf is where what is wrong with a part of a definition can be mended.
func stepOf(text string) (step int, field string) {
	for _, s := range []struct {
		prefix string
		step   int
		field  string
	}{{"it names no source", What, "part"}, {"sources", What, "part"}, {"it names no destination", Where, PlaceField(0)}, {"destinations: file-name", Where, "file-name"}, {"destinations", Where, PlaceField(0)}, {"plan", When, ""}, {"the name", Summary, "name"}} {
		if strings.HasPrefix(text, s.prefix) {
			return s.step, s.field
		}
	}
	return Options, ""
}

// size is a number of bytes as people read it.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
