package winimage

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ingot/internal/block"
	"ingot/internal/disk"
)

const (
	mib = 1 << 20
	// msrSize is that of the reserved partition that Windows makes.
	msrSize = 16 * mib
	// recoveryAttributes are those of a partition with Windows RE: required, no
	// letter.
	recoveryAttributes = 1<<63 | 1
)

// Draw makes a layout for the volumes: GPT if one is an EFI system partition, else
// MBR with the first volume active. kept says that the places are those that the
// volumes say they had; else they lie one behind the other.
func (b *Backup) Draw() (l *disk.Layout, kept bool, err error) {
	order, kept := b.order()
	d := disk.Drawing{Scheme: disk.SchemeMBR, SectorSize: b.Sector}
	id := b.identity("disk")
	d.ID = strings.ToUpper(id[:8])
	if slices.ContainsFunc(b.Volumes, func(v *Volume) bool { return v.ESP }) {
		d.Scheme, d.ID = disk.SchemeGPT, id
	}
	if d.Scheme == disk.SchemeMBR && len(order) > 4 {
		return nil, false, errors.New("more than four volumes and no EFI system partition: which of them lay in an extended partition nobody knows; give a layout")
	}
	end := int64(mib)
	for i, v := range order {
		off := end
		if kept {
			off = v.Start
		}
		if d.Scheme == disk.SchemeGPT && i > 0 && order[i-1].ESP {
			off = b.reserve(&d, end, off, kept)
		}
		size := (v.Size() + b.Sector - 1) / b.Sector * b.Sector
		p := v.drawn(d.Scheme, off, size)
		if p.GUID == "" {
			p.GUID = b.identity(filepath.Base(v.Path))
		}
		d.Partitions = append(d.Partitions, p)
		end = (off + size + mib - 1) / mib * mib
	}
	if d.Scheme == disk.SchemeMBR {
		d.Partitions[0].Active = true
	}
	d.Size = end + mib
	l, err = d.Layout()
	return l, kept, err
}

// identity is a GUID for a part of the disk. It is always the same for the volumes
// of a computer, so that a later image of them is known to be of the same disk.
func (b *Backup) identity(part string) string {
	names := []string{part, b.Computer}
	for _, v := range b.Volumes {
		names = append(names, strings.ToLower(filepath.Base(v.Path)))
	}
	slices.Sort(names[2:])
	g := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	g[6] = g[6]&0x0f | 0x80 // RFC 9562, version 8: made by rules of our own
	g[8] = g[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:16])
}

// reserve draws the reserved partition behind the EFI system partition, where there
// is room, and says where the next one may begin.
func (b *Backup) reserve(d *disk.Drawing, end, off int64, kept bool) int64 {
	if kept && off-end < msrSize {
		return off
	}
	d.Partitions = append(d.Partitions, disk.Drawn{Off: end, Len: msrSize, Type: disk.TypeMSR, GUID: b.identity("reserved"), Name: "Microsoft reserved partition"})
	return max(off, end+msrSize)
}

// drawn is the partition of a volume.
func (v *Volume) drawn(s disk.Scheme, off, size int64) disk.Drawn {
	if s == disk.SchemeMBR {
		return disk.Drawn{Off: off, Len: size, Type: fmt.Sprintf("%02X", v.MBR)}
	}
	p := disk.Drawn{Off: off, Len: size, Type: disk.TypeBasic, GUID: v.Volume, Name: "Basic data partition"}
	switch {
	case v.ESP:
		p.Type, p.Name = disk.TypeESP, "EFI system partition"
	case v.recovery():
		p.Type, p.Attributes, p.Name = disk.TypeRecovery, recoveryAttributes, ""
	}
	return p
}

// recovery is true for a small volume without a letter on a disk with an EFI
// system partition: that of Windows RE.
func (v *Volume) recovery() bool {
	return v.Letter == "" && v.Size() < 4<<30 && !v.ESP && (v.Label == "" || strings.Contains(strings.ToLower(v.Label), "re"))
}

// order puts the volumes in the order of their places, if each says one and no
// two overlap. Else the EFI system partition comes first, then those without a
// letter on an MBR disk, which start the system, and with a letter; at the end
// what there is without a letter on a GPT disk.
func (b *Backup) order() (order []*Volume, kept bool) {
	order = slices.Clone(b.Volumes)
	slices.SortStableFunc(order, func(x, y *Volume) int { return cmp.Compare(x.Start, y.Start) })
	kept, end := true, int64(34*512)
	for _, v := range order {
		kept = kept && v.Start >= end && v.Start%b.Sector == 0
		end = v.Start + v.Size()
	}
	if kept {
		return order, true
	}
	gpt := slices.ContainsFunc(b.Volumes, func(v *Volume) bool { return v.ESP })
	rank := func(v *Volume) string {
		switch {
		case v.ESP:
			return "0"
		case v.Letter != "":
			return "2" + v.Letter
		case gpt:
			return "3"
		}
		return "1"
	}
	slices.SortStableFunc(order, func(x, y *Volume) int { return cmp.Compare(rank(x), rank(y)) })
	return order, false
}

// Assemble puts the volumes into the partitions of a layout: by the GUID of a
// volume, which on GPT disks is that of its partition; the EFI system partition
// into its like; by the place a volume says it had; and by their length, if only
// one partition has it. left are volumes that found no place.
func (b *Backup) Assemble(l *disk.Layout) (a *disk.Assembled, left []string, err error) {
	var contents []disk.Content
	taken := map[int64]bool{}
	todo := slices.Clone(b.Volumes)
	for _, fits := range []func(v *Volume, p *disk.Partition) bool{
		func(v *Volume, p *disk.Partition) bool { return v.Volume != "" && strings.EqualFold(v.Volume, p.GUID) },
		func(v *Volume, p *disk.Partition) bool { return v.ESP && p.ESP },
		func(v *Volume, p *disk.Partition) bool { return v.Start == p.Off && p.Off > 0 },
		func(v *Volume, p *disk.Partition) bool {
			twin := slices.ContainsFunc(todo, func(o *Volume) bool { return o != v && o.Size() == v.Size() })
			return p.Len-v.Size() < mib && !twin
		},
	} {
		todo = slices.DeleteFunc(todo, func(v *Volume) bool {
			var found []disk.Partition
			for _, p := range l.Partitions {
				if !taken[p.Off] && !p.MSR && p.Len >= v.Size() && fits(v, &p) {
					found = append(found, p)
				}
			}
			if len(found) != 1 {
				return false
			}
			taken[found[0].Off] = true
			contents = append(contents, disk.Content{Off: found[0].Off, Reader: v.Reader, Used: v.Used})
			return true
		})
	}
	for _, v := range todo {
		left = append(left, v.Name())
	}
	if len(contents) == 0 {
		return nil, left, errors.New("no volume of the backup fits into a partition of the layout")
	}
	a, err = l.Assemble(contents...)
	return a, left, err
}

var _ block.Reader = (*Volume)(nil)
