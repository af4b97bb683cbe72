package view

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"ingot/internal/result"
)

// Bytes is a number of bytes as people read it.
func Bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// DiskName is a disk as people tell it from others: model, size, serial number.
func DiskName(d *result.Disk) string {
	var out []string
	if d.Model != "" {
		out = append(out, Text(d.Model))
	} else {
		out = append(out, Text(filepath.Base(d.Path)))
	}
	out = append(out, Bytes(d.Size))
	if d.Serial != "" {
		out = append(out, "serial "+Text(d.Serial))
	}
	return strings.Join(out, ", ")
}

// Confirm is what somebody has to type before a disk is overwritten: something
// that is on the disk itself, so that it is looked at.
type Confirm struct {
	Ask   string // "Type the last four characters of the serial number of ..."
	Shown string // what comes before it, for the eye: "S6PUNX0R91"
	Word  string // "7Q3F"
}

// ConfirmOf is that of a target: the end of its serial number; where there is
// none its size, and for a file its name.
func ConfirmOf(d *result.Disk) Confirm {
	serial := strings.TrimSpace(d.Serial)
	switch {
	case d.Bus == "file":
		return Confirm{Ask: "Type the name of the file, without its folder", Word: Text(filepath.Base(d.Path))}
	case len(serial) >= 4:
		cut := len(serial) - 4
		return Confirm{Ask: "Type the last four characters of the serial number of " + Text(d.Path), Shown: Text(serial[:cut]), Word: Text(serial[cut:])}
	default:
		return Confirm{Ask: "This disk has no serial number. Type its size in GB", Word: fmt.Sprint(d.Size / 1e9)}
	}
}

// Is says whether what was typed is the word. Upper and lower case are the same.
func (c Confirm) Is(typed string) bool {
	return c.Word != "" && strings.EqualFold(strings.TrimSpace(typed), c.Word)
}

// Loss is something that will be gone.
type Loss struct {
	Name, Size string
}

// Losses are the partitions of a target that are overwritten.
func Losses(f *result.Restore) (out []Loss) {
	for i := range f.Lost {
		p := &f.Lost[i]
		name := fmt.Sprintf("partition %d", p.Number)
		if s := strings.TrimSpace(p.Name + " " + p.Label); s != "" {
			name += " " + Text(s)
		}
		if p.TypeName != "" {
			name += ", " + Text(p.TypeName)
		}
		out = append(out, Loss{name, Bytes(p.Size)})
	}
	return out
}

// LossSay is what becomes of the target, in a sentence.
func LossSay(f *result.Restore) string {
	target := Text(f.Target)
	switch {
	case !f.Table:
		return fmt.Sprintf("The contents of %s on %s are replaced. Its partition table and everything else on it stay.", Count(len(f.Lost), "partition"), target)
	case len(f.Lost) == 0:
		return fmt.Sprintf("No partition can be read on %s. Whatever is on it is lost.", target)
	}
	return fmt.Sprintf("Everything on %s is lost: %s.", target, Count(len(f.Lost), "partition"))
}

// RestoreSteps is what will be done, in its order.
func RestoreSteps(f *result.Restore, verify, check bool) (out []string) {
	target := Text(f.Target)
	if verify {
		out = append(out, "Every block of the image is read and checked. If one is damaged, nothing is written.")
	}
	if f.Table {
		out = append(out, "The old partition table of "+target+" is taken away.")
	}
	out = append(out, fmt.Sprintf("%s are written into %s.", Bytes(f.Bytes), Count(len(f.Holds), "partition")))
	if f.Table {
		out = append(out, "The new partition table is written last. Until then the disk will not start, and a restore that is cut short shows an empty disk.")
	}
	if check {
		out = append(out, "What was written is read back and compared with the image.")
	}
	return out
}

// FitSay says how the image lies on its target, and what Ingot cannot do about
// it.
func FitSay(f *result.Restore) string {
	if !f.Table || f.Disk == nil {
		return "Partitions keep their place and size."
	}
	end := int64(0)
	for _, p := range f.Holds {
		end = max(end, p.Off+p.Size)
	}
	const note = "Partitions have the size they have in the image: changing it while restoring is not possible yet."
	if rest := f.Disk.Size - end; rest > 1<<30 {
		return fmt.Sprintf("%s of the disk stay free behind the last partition. %s", Bytes(rest), note)
	}
	return note
}
