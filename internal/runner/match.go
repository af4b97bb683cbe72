package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/internal/disk"
	"ingot/internal/plan"
)

// ErrGone is wrapped by the error for a source that is not there.
var ErrGone = errors.New("the source is not there")

// Disk is a disk of today.
type Disk struct {
	Info   disk.Info
	Layout *disk.Layout
}

// name is how messages call the disk.
func (d *Disk) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", d.Info.Path, strings.TrimSpace(d.Info.Model)))
}

// Machine is where disks are looked for.
type Machine struct {
	// List gives the disks of the machine; those that cannot be read are left
	// out and named in the warnings.
	List func() (disks []Disk, warnings []string, err error)
	// Open gives the disk or disk-image file at a path.
	Open func(path string) (*Disk, error)
	// Windows says whether a disk has a Windows to start.
	Windows func(d *Disk) (bool, error)
}

// Found is what of one disk is to be imaged.
type Found struct {
	Disk
	Partitions []int // by number; none means all
	Windows    bool  // those that Windows needs to start
}

// Key names the disk in locks: what stays the same from run to run.
func (f *Found) Key() string {
	for _, s := range []string{f.Layout.ID, f.Info.Serial} {
		if s != "" {
			return s
		}
	}
	return f.Info.Path
}

// Matched is what the sources of a definition are today.
type Matched struct {
	Disks    []Found
	Notes    []string
	Warnings []string
}

// matcher finds sources among the disks of today.
type matcher struct {
	Matched
	machine Machine
	listed  bool
	disks   []Disk
	unread  []string // disks that cannot be read
	exclude []string // paths of disks that SourceAll leaves out, as the destination lies there
}

// Match finds today's disks and partitions for sources. exclude are the paths of
// disks with a destination. A source that is gone is an error that wraps ErrGone,
// or a warning where its Gone says so; when nothing is left it is an error.
func Match(sources []plan.Source, m Machine, exclude []string) (*Matched, error) {
	t := &matcher{machine: m, exclude: exclude}
	var gone []error
	for i := range sources {
		err := t.source(&sources[i])
		switch {
		case err == nil:
		case errors.Is(err, ErrGone) && sources[i].Gone == plan.GoneWarn:
			t.warn("%v", err)
		default:
			gone = append(gone, err)
		}
	}
	if len(gone) > 0 {
		return nil, errors.Join(gone...)
	}
	if len(t.Disks) == 0 {
		return nil, fmt.Errorf("%w: nothing of what is to be imaged was found: %s", ErrGone, strings.Join(t.Warnings, "; "))
	}
	return &t.Matched, nil
}

func (t *matcher) warn(format string, args ...any) {
	t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...))
}

func (t *matcher) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

func (t *matcher) source(s *plan.Source) error {
	switch s.Kind {
	case plan.SourceAll:
		return t.all()
	case plan.SourceWindows:
		return t.windows(s)
	}
	d, err := t.disk(&s.Disk)
	if err != nil {
		return err
	}
	numbers, err := t.partitions(d, s)
	if err != nil {
		return err
	}
	t.add(Found{Disk: *d, Partitions: numbers})
	return nil
}

// add adds what is to be imaged of a disk to what already is of it.
func (t *matcher) add(f Found) {
	i := slices.IndexFunc(t.Disks, func(o Found) bool { return o.Info.Path == f.Info.Path && o.Windows == f.Windows })
	if i < 0 {
		t.Disks = append(t.Disks, f)
		return
	}
	o := &t.Disks[i]
	if len(o.Partitions) == 0 || len(f.Partitions) == 0 {
		o.Partitions = nil
		return
	}
	o.Partitions = append(o.Partitions, f.Partitions...)
	slices.Sort(o.Partitions)
	o.Partitions = slices.Compact(o.Partitions)
}

// list gives the disks of the machine, which is asked once.
func (t *matcher) list() ([]Disk, error) {
	if t.listed {
		return t.disks, nil
	}
	var err error
	t.disks, t.unread, err = t.machine.List()
	t.listed = err == nil
	return t.disks, err
}

// called is how messages call a disk that is looked for.
func called(id *plan.DiskID) string {
	var words []string
	for _, w := range []struct{ name, value string }{{"", id.Model}, {"id ", id.ID}, {"serial number ", id.Serial}, {"", id.Path}} {
		if w.value != "" {
			words = append(words, w.name+w.value)
		}
	}
	return "the disk " + strings.Join(words, ", ")
}

func equal(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// disk finds a disk by the id of its table, of several (clones) by the serial
// number; by the serial number where it has no id; else at its path.
func (t *matcher) disk(id *plan.DiskID) (*Disk, error) {
	if id.ID != "" || id.Serial != "" {
		disks, err := t.list()
		if err != nil {
			return nil, err
		}
		d, err := t.among(id, disks)
		if d != nil || err != nil {
			return d, err
		}
	}
	if id.Path != "" {
		return t.at(id)
	}
	return nil, fmt.Errorf("%w: %s%s", ErrGone, called(id), t.other(id))
}

// among finds the one disk that an id means, nil when there is none.
func (t *matcher) among(id *plan.DiskID, disks []Disk) (*Disk, error) {
	var same []Disk
	for _, d := range disks {
		if id.ID != "" && equal(d.Layout.ID, id.ID) || id.ID == "" && equal(d.Info.Serial, id.Serial) {
			same = append(same, d)
		}
	}
	if len(same) > 1 && id.ID != "" && id.Serial != "" {
		same = slices.DeleteFunc(same, func(d Disk) bool { return !equal(d.Info.Serial, id.Serial) })
	}
	switch {
	case len(same) == 0:
		return nil, nil
	case len(same) > 1:
		return nil, fmt.Errorf("%s cannot be told apart from its clone: %s and %s have the same id", called(id), same[0].name(), same[1].name())
	}
	d := &same[0]
	if id.ID != "" && id.Serial != "" && d.Info.Serial != "" && !equal(d.Info.Serial, id.Serial) {
		t.warn("%s has the id %s, but the serial number %s instead of %s: the disk was replaced by a copy of itself", d.name(), id.ID, d.Info.Serial, id.Serial)
	}
	return d, nil
}

// at takes what is at the path of an id, if it is what the id says.
func (t *matcher) at(id *plan.DiskID) (*Disk, error) {
	d, err := t.machine.Open(id.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrGone, called(id), err)
	}
	switch {
	case id.ID != "" && !equal(d.Layout.ID, id.ID):
		return nil, fmt.Errorf("%w: %s: what is there now has the id %q", ErrGone, called(id), d.Layout.ID)
	case id.ID == "" && id.Serial != "" && !equal(d.Info.Serial, id.Serial):
		return nil, fmt.Errorf("%w: %s: what is there now has the serial number %q", ErrGone, called(id), d.Info.Serial)
	}
	return d, nil
}

// other says that the hardware is there, when it is, with something else on it.
func (t *matcher) other(id *plan.DiskID) string {
	for _, d := range t.disks {
		if id.Serial != "" && equal(d.Info.Serial, id.Serial) {
			return fmt.Sprintf(" (%s has this serial number, but was partitioned anew: its id is %s; if that was meant, edit the definition)", d.name(), d.Layout.ID)
		}
	}
	if len(t.unread) > 0 {
		return " (" + strings.Join(t.unread, "; ") + ")"
	}
	return ""
}

// partitions are the numbers of those that a source names; nil means all.
func (t *matcher) partitions(d *Disk, s *plan.Source) ([]int, error) {
	if len(s.Partitions) == 0 {
		return nil, nil
	}
	var numbers []int
	var gone []string
	for i := range s.Partitions {
		id := &s.Partitions[i]
		p := t.partition(d, id)
		if p == nil {
			gone = append(gone, partitionName(id))
			continue
		}
		numbers = append(numbers, p.Number)
	}
	if len(gone) > 0 {
		err := fmt.Errorf("%w: on %s: %s", ErrGone, d.name(), strings.Join(gone, ", "))
		if s.Gone != plan.GoneWarn || len(numbers) == 0 {
			return nil, err
		}
		t.warn("%v", err)
	}
	return numbers, nil
}

func partitionName(id *plan.PartitionID) string {
	name := "partition"
	if id.Number > 0 {
		name = fmt.Sprintf("partition %d", id.Number)
	}
	if id.Label != "" {
		name += fmt.Sprintf(" %q", id.Label)
	}
	switch {
	case id.GUID != "":
		return name + " " + id.GUID
	case id.Off > 0:
		return fmt.Sprintf("%s at byte %d", name, id.Off)
	}
	return name
}

// partition finds a partition by its GUID wherever it lies, else by where it
// begins, and by its number when nothing else is known of it.
func (t *matcher) partition(d *Disk, id *plan.PartitionID) *disk.Partition {
	for i := range d.Layout.Partitions {
		p := &d.Layout.Partitions[i]
		switch {
		case id.GUID != "":
			if !equal(p.GUID, id.GUID) {
				continue
			}
			if id.Off > 0 && id.Off != p.Off {
				t.note("%s of %s has moved from byte %d to byte %d: followed by its id", partitionName(id), d.name(), id.Off, p.Off)
			}
			return p
		case id.Off > 0:
			if p.Off != id.Off {
				continue
			}
			if id.Number > 0 && id.Number != p.Number {
				t.note("%s of %s is number %d today", partitionName(id), d.name(), p.Number)
			}
			return p
		case p.Number == id.Number:
			return p
		}
	}
	return nil
}

// windows finds the disk with Windows: the one that is named, or the only one.
func (t *matcher) windows(s *plan.Source) error {
	if s.Disk != (plan.DiskID{}) {
		d, err := t.disk(&s.Disk)
		if err == nil {
			t.add(Found{Disk: *d, Windows: true})
		}
		return err
	}
	disks, err := t.list()
	if err != nil {
		return err
	}
	var with []Disk
	for i := range disks {
		has, err := t.machine.Windows(&disks[i])
		if err != nil {
			t.warn("look for Windows on %s: %v", disks[i].name(), err)
		}
		if has {
			with = append(with, disks[i])
		}
	}
	switch len(with) {
	case 0:
		return fmt.Errorf("%w: no disk with Windows", ErrGone)
	case 1:
		t.add(Found{Disk: with[0], Windows: true})
		return nil
	}
	return fmt.Errorf("several disks have Windows on them, %s and %s: name one in the definition", with[0].name(), with[1].name())
}

// made are buses of disks that are made of other ones or of memory.
var made = []string{"dm", "lvm", "crypt", "mpath", "md", "loop", "nbd", "zram", "file"}

// all finds every fixed disk but those of the destinations.
func (t *matcher) all() error {
	disks, err := t.list()
	if err != nil {
		return err
	}
	found := false
	for _, u := range t.unread {
		t.warn("%s: it is left out", u)
	}
	for _, d := range disks {
		switch {
		case slices.Contains(made, d.Info.Bus), d.Info.External():
		case slices.Contains(t.exclude, d.Info.Path):
			t.warn("%s is left out: a destination lies on it", d.name())
		default:
			t.add(Found{Disk: d})
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%w: no fixed disk", ErrGone)
	}
	return nil
}
