package draft

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"ingot/internal/plan"
	"ingot/internal/result"
)

// DiskKey finds a disk again in a form: by what identifies it, and by its path
// only where nothing does.
func DiskKey(d *result.Disk) string {
	key := d.ID + "/" + d.Serial
	if key == "/" {
		key = d.Path
	}
	if oneLine(key) != key { // a form would change it
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:16])
	}
	return key
}

// PartKey is the name of a partition in a form.
func PartKey(d *result.Disk, p *result.Partition) string {
	return DiskKey(d) + "@" + strconv.FormatInt(p.Off, 10)
}

// DiskName is a disk as people call it: "Disk 0", "sda".
func DiskName(where string) string {
	if n, ok := strings.CutPrefix(where, `\\.\PhysicalDrive`); ok {
		return "Disk " + n
	}
	return cmp.Or(path.Base(where), "Disk")
}

// PartName is a partition as people call it.
func PartName(p *result.Partition) string {
	for flag, name := range map[string]string{"ESP": "EFI", "MSR": "MSR", "recovery": "Recovery"} {
		if slices.Contains(p.Flags, flag) {
			return name
		}
	}
	return cmp.Or(p.Label, p.Name, "Unnamed")
}

// Pick ticks what a form names: disks, by DiskKey, and partitions, by PartKey.
// Of disks that have gone, what was ticked before and is named stays.
func (d *Draft) Pick(now []result.Disk, disks, parts []string) {
	old := d.Disks
	d.Windows, d.Disks = false, nil
	for i := range now {
		k := &now[i]
		picked := newDisk(k)
		picked.Whole = slices.Contains(disks, picked.Key)
		for j := range k.Partitions {
			p := &k.Partitions[j]
			if picked.Whole || slices.Contains(parts, PartKey(k, p)) {
				picked.Parts = append(picked.Parts, newPart(p))
			}
		}
		if picked.Whole || len(picked.Parts) > 0 {
			d.Disks = append(d.Disks, picked)
		}
	}
	for _, k := range old {
		if slices.Contains(disks, k.Key) && find(now, k.Key) == nil {
			d.Disks = append(d.Disks, k)
		}
	}
}

// PickFixed ticks all disks that stay in the machine.
func (d *Draft) PickFixed(now []result.Disk) {
	var keys []string
	for i := range now {
		if !now[i].Removable && !slices.Contains([]string{"usb", "sd", "mmc", "1394"}, now[i].Bus) {
			keys = append(keys, DiskKey(&now[i]))
		}
	}
	d.Pick(now, keys, nil)
}

func newDisk(k *result.Disk) Disk {
	id := plan.DiskID{ID: k.ID, Serial: k.Serial, Model: oneLine(k.Model)}
	if oneLine(id.Serial) != id.Serial {
		id.Serial = "" // a definition cannot hold it
	}
	if id.ID == "" && id.Serial == "" || k.Bus == "file" {
		id.Path = k.Path
	}
	return Disk{Key: DiskKey(k), Name: oneLine(DiskName(k.Path)), ID: id}
}

func newPart(p *result.Partition) Part {
	return Part{plan.PartitionID{GUID: p.GUID, Off: p.Off, Number: p.Number, Label: oneLine(cmp.Or(p.Label, p.Name))}, oneLine(PartName(p))}
}

// oneLine leaves out of a label what a definition cannot hold, and what turns the
// direction of writing.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r >= 0xFFFD && r <= 0xFFFF {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}

// find gives the disk of a key; nil when it is not there.
func find(now []result.Disk, key string) *result.Disk {
	for i := range now {
		if DiskKey(&now[i]) == key {
			return &now[i]
		}
	}
	return nil
}

// Ticked says whether a partition is ticked.
func (d *Draft) Ticked(key string, off int64) bool {
	for _, k := range d.Disks {
		if k.Key == key && (k.Whole || slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Off == off })) {
			return true
		}
	}
	return false
}

// Whole says whether a disk is ticked as a whole.
func (d *Draft) Whole(key string) bool {
	return slices.ContainsFunc(d.Disks, func(k Disk) bool { return k.Key == key && k.Whole })
}

// Sizes is what there is to read.
type Sizes struct {
	Ticked, All int   // partitions
	Read        int64 // bytes in use, or all where they cannot be told apart
	Expected    int64 // of the first image
}

// Ratio is the part of what is read that an image has, until that of this machine
// is known.
const Ratio = 0.6

// Sizes adds up what is ticked.
func (d *Draft) Sizes(now []result.Disk) (s Sizes) {
	for i := range now {
		for j := range now[i].Partitions {
			p := &now[i].Partitions[j]
			s.All++
			if d.Ticked(DiskKey(&now[i]), p.Off) {
				s.Ticked++
				s.Read += Read(p)
			}
		}
	}
	s.Expected = int64(float64(s.Read) * Ratio)
	return s
}

// Read is what of a partition is read.
func Read(p *result.Partition) int64 {
	if p.Whole != "" {
		return p.Size
	}
	return p.Used
}

// Devices are the paths of the disks that something of is ticked.
func (d *Draft) Devices(now []result.Disk) (paths []string) {
	for _, k := range d.Disks {
		if is := find(now, k.Key); is != nil {
			paths = append(paths, is.Path)
		}
	}
	return paths
}
