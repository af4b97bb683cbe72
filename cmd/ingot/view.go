package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/result"
)

func viewDisk(info disk.Info, l *disk.Layout) result.Disk {
	v := result.Disk{
		Path: info.Path, ByID: info.ByID, Model: strings.TrimSpace(info.Vendor + " " + info.Model), Serial: info.Serial,
		Bus: info.Bus, Removable: info.Removable, ReadOnly: info.ReadOnly,
		Size: info.Size, Sector: info.LogicalSector, Physical: info.PhysicalSector,
		Partitions: []result.Partition{},
	}
	if l != nil {
		v.Scheme, v.ID, v.Sector, v.Warnings = string(l.Scheme), l.ID, l.SectorSize, l.Warnings
	}
	return v
}

func viewPart(p disk.Partition, fs filesys.Info) result.Partition {
	return result.Partition{
		Number: p.Number, Type: p.Type, TypeName: p.TypeName, Name: p.Name, GUID: p.GUID,
		FileSystem: fs.Type, Label: fs.Label, Serial: fs.Serial, RecoveryKeys: fs.RecoveryKeys, Off: p.Off, Size: p.Len, Used: fs.UsedBytes,
		Cluster: fs.ClusterSize, Flags: flags(p), Whole: fs.WholeReason, Warnings: fs.Warnings,
	}
}

func flags(p disk.Partition) []string {
	var out []string
	for _, f := range []struct {
		set  bool
		name string
	}{{p.ESP, "ESP"}, {p.MSR, "MSR"}, {p.Recovery, "recovery"}, {p.Active, "active"}, {p.ESP || p.Active, "boot"}, {p.Logical, "logical"}} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}

// printDisk shows a disk as a heading and a table.
func printDisk(w io.Writer, v *result.Disk) error {
	head := []string{v.Path, size(v.Size)}
	for _, s := range []string{strings.ToUpper(v.Scheme), v.ID, v.Model, v.Serial, v.Bus} {
		if s != "" {
			head = append(head, s)
		}
	}
	if v.Removable {
		head = append(head, "removable")
	}
	if v.ReadOnly {
		head = append(head, "read-only")
	}
	head = append(head, fmt.Sprintf("%d-byte sectors", v.Sector))
	fmt.Fprintln(w, strings.TrimSpace(strings.Join(head, "  ")))
	if len(v.ByID) > 0 {
		fmt.Fprintf(w, "  lasting name: %s\n", v.ByID[0])
	}
	for _, note := range v.Notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
	if v.Error != "" {
		fmt.Fprintf(w, "  %s\n", v.Error)
	}
	if len(v.Partitions) > 0 {
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "   #\tOFFSET\tSIZE\tUSED\t\tFILE SYSTEM\tLABEL\tTYPE\tFLAGS")
		for i := range v.Partitions {
			printPartition(tw, &v.Partitions[i])
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	for _, warning := range v.Warnings {
		fmt.Fprintf(w, "  Warning: %s\n", warning)
	}
	for _, p := range v.Partitions {
		for _, warning := range p.Warnings {
			fmt.Fprintf(w, "  Warning: partition %d: %s\n", p.Number, warning)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func printPartition(w io.Writer, p *result.Partition) {
	fmt.Fprintf(w, "   %d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Number, size(p.Off), size(p.Size), size(p.Used), bar(p.Used, p.Size),
		p.FileSystem, p.Label, p.TypeName, strings.Join(p.Flags, ","))
}

// bar draws how full something is, in ten characters.
func bar(used, total int64) string {
	if total <= 0 {
		return ""
	}
	n := int(max(min(float64(used)/float64(total)*10+0.5, 10), 0))
	if n == 0 && used > 0 {
		n = 1
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", 10-n) + "]"
}
