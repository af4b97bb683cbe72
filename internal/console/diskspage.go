package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ingot/internal/console/diskmap"
	"ingot/internal/console/view"
	"ingot/internal/result"
)

// diskBody is a disk with its map.
type diskBody struct {
	result.Disk
	N        int
	Segments []diskmap.Segment
	Parts    []diskPart
}

// diskPart is a partition in words.
type diskPart struct {
	result.Partition
	Kind, Title, Line string
}

func (c *Console) disksPage(w http.ResponseWriter, r *http.Request) {
	disks, err := c.Service.Disks(r.Context())
	if err != nil {
		c.fail(w, r, "disks", err)
		return
	}
	body := []diskBody{}
	for i := range disks {
		body = append(body, diskOf(&disks[i], i))
	}
	c.show(w, r, http.StatusOK, "disks", &Page{Title: "Disks", Nav: "disks", Body: body})
}

func diskOf(d *result.Disk, n int) diskBody {
	b := diskBody{Disk: *d, N: n}
	var parts []diskmap.Part
	for i := range d.Partitions {
		p := &d.Partitions[i]
		row := diskPart{Partition: *p, Kind: partKind(p), Title: partTitle(p)}
		row.Line = view.Bytes(p.Size)
		used := int64(-1)
		if knownUse(p) {
			used, row.Line = p.Used, view.Text(p.FileSystem)+" · "+view.Bytes(p.Used)+" of "+view.Bytes(p.Size)+" used"
		}
		b.Parts = append(b.Parts, row)
		parts = append(parts, diskmap.Part{Index: i, Off: p.Off, Size: p.Size, Used: used, Kind: row.Kind})
	}
	if len(parts) > 0 {
		b.Segments = diskmap.Layout(d.Size, parts)
	}
	return b
}

// knownUse says that the used bytes of a partition are counted by its file
// system, and are not all of it for want of knowledge.
func knownUse(p *result.Partition) bool { return p.FileSystem != "" && p.Whole == "" }

// Cell is what is written in a segment.
func (d diskBody) Cell(s diskmap.Segment) diskPart {
	if s.Index < 0 {
		row := diskPart{Title: "Free", Line: view.Bytes(s.Size)}
		if s.W < 6 {
			row.Title, row.Line = "", ""
		}
		return row
	}
	row := d.Parts[s.Index]
	if s.W < 18 {
		row.Line = view.Bytes(s.Size)
	}
	return row
}

// Use says how much of a partition is in use.
func (p diskPart) Use() string {
	if !knownUse(&p.Partition) {
		return "not known"
	}
	return view.Bytes(p.Used)
}

// partKind is the colour of a partition.
func partKind(p *result.Partition) string {
	has := func(flag string) bool { return slices.Contains(p.Flags, flag) }
	name := strings.ToLower(p.TypeName)
	switch {
	case has("ESP"), has("MSR"), strings.Contains(name, "bios boot"):
		return "boot"
	case has("recovery"):
		return "rec"
	case slices.Contains([]string{"ext2", "ext3", "ext4", "XFS", "Btrfs", "swap"}, p.FileSystem), strings.Contains(name, "linux"):
		return "linux"
	case has("boot"), has("active"):
		return "os"
	case p.FileSystem == "":
		return "boot"
	}
	return "data"
}

// partTitle names a partition.
func partTitle(p *result.Partition) string {
	for _, s := range []string{p.Label, p.Name} {
		if s != "" {
			return view.Text(s)
		}
	}
	for _, flag := range []string{"ESP", "MSR", "recovery"} {
		if slices.Contains(p.Flags, flag) {
			return flag
		}
	}
	return fmt.Sprintf("Partition %d", p.Number)
}
