package browse

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"ingot/internal/block"
	"ingot/internal/blockcache"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/image"
)

// Partition is a partition that can be looked into, wherever it lies.
type Partition struct {
	Disk, Number int    // from 1; its number in the image, or in the table of a disk
	Disks        int    // how many disks there are where it comes from
	Size         int64  // bytes
	Type         string // what is known of the file system without a look into it; "" is nothing
	Label        string // the same
	Letter       string // C, or ""
	Image        *image.Volume

	open func() (*Volume, error)
}

// Name is what the partition is called in a reference.
func (p *Partition) Name() string {
	if p.Disks > 1 {
		return fmt.Sprintf("%d.%d", p.Disk, p.Number)
	}
	return strconv.Itoa(p.Number)
}

// Volume is the files of a partition.
type Volume struct {
	*Partition
	Info  filesys.Info
	Files filesys.Files
}

// cacheSize is how many bytes of the blocks of a partition are kept.
const cacheSize = 24 << 20

// newPartition adds the way to the files of a partition whose bytes r holds.
func newPartition(p Partition, r block.Reader, o blockcache.Options) *Partition {
	o.Max = cacheSize
	p.open = sync.OnceValues(func() (*Volume, error) {
		v, err := filesys.Open(blockcache.New(r, o))
		if err != nil {
			return nil, fmt.Errorf("partition %s: %w", p.Name(), err)
		}
		info := v.Info()
		if v.Files() == nil {
			return &Volume{&p, info, nil}, fmt.Errorf("partition %s (%s): its files cannot be read here: %s", p.Name(), info.Type, info.WholeReason)
		}
		return &Volume{&p, info, v.Files()}, nil
	})
	return &p
}

// Open looks into the partition, once.
func (p *Partition) Open() (*Volume, error) { return p.open() }

// FromImage gives the partitions of a point in time.
func FromImage(ch *image.Chain) []*Partition {
	var out []*Partition
	for i, d := range ch.Disks() {
		for _, v := range d.Partitions {
			fs := &v.Doc.FileSystem
			p := Partition{
				Disk: i + 1, Number: int(v.Doc.Header.Number), Disks: len(ch.Disks()), Size: v.Size(),
				Type: fs.Type, Label: fs.VolumeLabel, Letter: letter(fs.DriveLetter), Image: v,
			}
			if fs.Kind != "" {
				p.Type = fs.Kind
			}
			out = append(out, newPartition(p, v, blockcache.Options{BlockSize: v.BlockSize(), Origin: v.BlockOrigin()}))
		}
	}
	return out
}

// letter is that of a drive, whose code an image holds.
func letter(code int64) string {
	if code >= 'a' && code <= 'z' {
		code -= 'a' - 'A'
	}
	if code < 'A' || code > 'Z' {
		return ""
	}
	return string(rune(code))
}

// FromDisk gives the partitions of a disk, or of what holds one: a virtual disk,
// a file.
func FromDisk(l *disk.Layout, r block.Reader) ([]*Partition, error) {
	var out []*Partition
	for _, p := range l.Partitions {
		part, err := block.Section(r, p.Off, p.Len)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		out = append(out, newPartition(Partition{Disk: 1, Number: p.Number, Disks: 1, Size: p.Len}, part, blockcache.Options{}))
	}
	return out, nil
}

// Find gives the partition that a reference names: by its number, with that of
// its disk before it where there are several (1.2), or by its label or letter,
// without regard to case. "" is the only one there is.
func Find(all []*Partition, name string) (*Partition, error) {
	for _, is := range []func(*Partition) bool{
		func(p *Partition) bool { return name == "" },
		func(p *Partition) bool { return name == fmt.Sprintf("%d.%d", p.Disk, p.Number) },
		func(p *Partition) bool { return name == strconv.Itoa(p.Number) },
		func(p *Partition) bool { return p.Letter != "" && strings.EqualFold(name, p.Letter) },
		func(p *Partition) bool { return strings.EqualFold(name, p.label()) },
	} {
		var hits []*Partition
		for _, p := range all {
			if is(p) {
				hits = append(hits, p)
			}
		}
		switch {
		case len(hits) == 1:
			return hits[0], nil
		case len(hits) > 1:
			return nil, fmt.Errorf("%q is not one partition: say which (%s)", name, names(hits))
		}
	}
	return nil, fmt.Errorf("there is no partition %q (there are %s)", name, names(all))
}

// label is the one the image knows, or else that of the file system.
func (p *Partition) label() string {
	if p.Label != "" || p.Image != nil || p.open == nil {
		return p.Label
	}
	if v, _ := p.Open(); v != nil {
		return v.Info.Label
	}
	return ""
}

// names lists partitions for a person to choose from.
func names(all []*Partition) string {
	var out []string
	for _, p := range all {
		name := p.Name()
		if l := p.label(); l != "" {
			name += fmt.Sprintf(" %q", l)
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}
