package image

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// sameShape says how the disks and partitions of two documents differ, as far
// as the places of their blocks depend on it; nil when they do not.
func sameShape(a, b *Document) error {
	if len(a.Disks) != len(b.Disks) {
		return fmt.Errorf("one holds %d disks, the other %d", len(a.Disks), len(b.Disks))
	}
	for i := range a.Disks {
		pa, pb := a.Disks[i].Partitions, b.Disks[i].Partitions
		if len(pa) != len(pb) {
			return fmt.Errorf("there were %d partitions, and there are %d", len(pa), len(pb))
		}
		for k := range pa {
			if why := pa[k].differs(&pb[k]); why != "" {
				return fmt.Errorf("partition %d %s", pb[k].Header.Number, why)
			}
		}
	}
	return nil
}

// differs says in words how a partition b is not what a was; "" when its
// blocks are in the same places.
func (a *Partition) differs(b *Partition) string {
	lcnA, lcnB := a.FileSystem.LCN0-a.FileSystem.Start, b.FileSystem.LCN0-b.FileSystem.Start
	switch {
	case a.Geometry.Start != b.Geometry.Start:
		return fmt.Sprintf("was moved from byte %d to %d of the disk", a.Geometry.Start, b.Geometry.Start)
	case a.Geometry.Length != b.Geometry.Length:
		return fmt.Sprintf("changed its size from %d to %d bytes", a.Geometry.Length, b.Geometry.Length)
	case a.Header.BlockSize != b.Header.BlockSize:
		return fmt.Sprintf("is imaged in blocks of %d bytes instead of %d", b.Header.BlockSize, a.Header.BlockSize)
	case lcnA != lcnB || a.FileSystem.ReservedLength != b.FileSystem.ReservedLength || a.Geometry.BootSectorOffset != b.Geometry.BootSectorOffset:
		return "was formatted anew (its clusters begin elsewhere)"
	}
	return ""
}

// Shape is the same for points in time of exactly the same partitions of the same
// disks: the disks' ids, and a hash of how they are cut.
func (m *Member) Shape() string {
	var ids []string
	cut := fnv.New64a()
	for i := range m.Doc.Disks {
		d := &m.Doc.Disks[i]
		ids = append(ids, d.Header.Format+" "+strings.ToLower(d.Header.Signature))
		for k := range d.Partitions {
			g := &d.Partitions[k].Geometry
			fmt.Fprintf(cut, "%d %d+%d ", i, g.Start, g.Length)
		}
	}
	return fmt.Sprintf("%s #%08x", strings.Join(ids, ", "), cut.Sum64()>>32)
}

// Differs says in words why a new point in time cannot be based on the member;
// "" when it can: next has the same disks, cut the same way into the same
// partitions, with the same file systems.
func (m *Member) Differs(next *Document) string {
	if len(m.Doc.Disks) != len(next.Disks) {
		return fmt.Sprintf("it holds %d disks", len(m.Doc.Disks))
	}
	for i := range next.Disks {
		a, b := &m.Doc.Disks[i], &next.Disks[i]
		switch {
		case a.Header.Format != b.Header.Format || !strings.EqualFold(a.Header.Signature, b.Header.Signature):
			return fmt.Sprintf("it is of another disk (%s %s)", a.Header.Format, a.Header.Signature)
		case a.Geometry.BytesPerSector != b.Geometry.BytesPerSector:
			return fmt.Sprintf("its disk has sectors of %d bytes", a.Geometry.BytesPerSector)
		}
	}
	if err := sameShape(m.Doc, next); err != nil {
		return err.Error()
	}
	for i := range next.Disks {
		for k := range next.Disks[i].Partitions {
			a, b := &m.Doc.Disks[i].Partitions[k].FileSystem, &next.Disks[i].Partitions[k].FileSystem
			if a.Type != b.Type || a.SectorsPerCluster != b.SectorsPerCluster && a.SectorsPerCluster > 0 && b.SectorsPerCluster > 0 {
				return fmt.Sprintf("partition %d was formatted anew", next.Disks[i].Partitions[k].Header.Number)
			}
		}
	}
	// How a set is encrypted is settled when it begins; that it is must be wanted.
	switch a, b := &m.Doc.Encryption, &next.Encryption; {
	case !a.Encrypted() && b.Encrypted():
		return "it is not encrypted"
	case !a.Conceal && b.Conceal:
		return "its hashes are not concealed"
	}
	if a, b := m.Doc.Compression.Level, next.Compression.Level; (a == CompressionNone) != (b == CompressionNone) {
		return fmt.Sprintf("its compression is %s, not %s: a set has one or none", a, b)
	}
	return ""
}
