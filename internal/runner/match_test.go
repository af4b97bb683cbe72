package runner

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"ingot/internal/disk"
	"ingot/internal/plan"
)

const mib = 1 << 20

func part(n int, off int64, guid string) disk.Partition {
	return disk.Partition{Number: n, Off: off * mib, Len: mib, GUID: guid}
}

func testDisk(path, bus, id, serial string, parts ...disk.Partition) Disk {
	return Disk{disk.Info{Path: path, Bus: bus, Serial: serial, Size: 100 * mib}, &disk.Layout{ID: id, Partitions: parts}}
}

// testMachine has two built-in disks, a clone of the first at USB, and a file.
func testMachine() Machine {
	disks := []Disk{
		testDisk("/dev/sda", "sata", "AAAA", "S1", part(1, 1, "P1"), part(2, 5, "P2"), part(3, 60, "P3")),
		testDisk("/dev/sdb", "nvme", "1234ABCD", "S2", part(1, 1, ""), part(5, 7, "")),
		testDisk("/dev/sdc", "usb", "AAAA", "S3", part(1, 1, "P1")),
		testDisk("/dev/sdd", "sata", "", "S4", part(1, 0, "")),
		testDisk("/dev/dm-0", "lvm", "BBBB", "LVM", part(1, 0, "")),
	}
	file := testDisk("/files/disk.img", "file", "FFFF", "", part(1, 1, "Q1"))
	return Machine{
		List:    func() ([]Disk, []string, error) { return disks, nil, nil },
		Windows: func(d *Disk) (bool, error) { return d.Info.Path == "/dev/sdb", nil },
		Open: func(path string) (*Disk, error) {
			if path == file.Info.Path {
				return &file, nil
			}
			return nil, os.ErrNotExist
		},
	}
}

// describe is "/dev/sda 1,2; /dev/sdb windows".
func describe(m *Matched) string {
	var out []string
	for _, f := range m.Disks {
		s := f.Info.Path
		for _, n := range f.Partitions {
			s += fmt.Sprintf(" %d", n)
		}
		if f.Windows {
			s += " windows"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestMatch(t *testing.T) {
	first := plan.DiskID{ID: "aaaa", Serial: "S1"}
	id := func(guid string, off int64, n int) plan.PartitionID {
		return plan.PartitionID{GUID: guid, Off: off * mib, Number: n}
	}
	for _, c := range []struct {
		name    string
		sources []plan.Source
		want    string
		said    string // in notes and warnings
		fails   string
	}{
		{name: "by id, a clone told apart by its serial number", sources: []plan.Source{{Disk: first}}, want: "/dev/sda"},
		{name: "clones that cannot be told apart", sources: []plan.Source{{Disk: plan.DiskID{ID: "AAAA"}}}, fails: "cannot be told apart"},
		{name: "by serial number, where there is no id", sources: []plan.Source{{Disk: plan.DiskID{Serial: "S4"}}}, want: "/dev/sdd"},
		{name: "a disk replaced by its copy", sources: []plan.Source{{Disk: plan.DiskID{ID: "1234abcd", Serial: "OLD"}}}, want: "/dev/sdb", said: "replaced by a copy"},
		{name: "partitioned anew", sources: []plan.Source{{Disk: plan.DiskID{ID: "OLD", Serial: "S2"}}}, fails: "partitioned anew: its id is 1234ABCD"},
		{name: "a file by its path", sources: []plan.Source{{Disk: plan.DiskID{Path: "/files/disk.img"}}}, want: "/files/disk.img"},
		{name: "a file that is what it should be", sources: []plan.Source{{Disk: plan.DiskID{ID: "FFFF", Path: "/files/disk.img"}}}, want: "/files/disk.img"},
		{name: "a file that is not", sources: []plan.Source{{Disk: plan.DiskID{ID: "EEEE", Path: "/files/disk.img"}}}, fails: `the id "FFFF"`},
		{name: "a file that is gone", sources: []plan.Source{{Disk: plan.DiskID{Path: "/files/other.img"}}}, fails: "not exist"},
		{name: "partitions by GUID", sources: []plan.Source{{Disk: first, Partitions: []plan.PartitionID{id("p1", 1, 1), id("P3", 60, 3)}}}, want: "/dev/sda 1 3"},
		{name: "a partition that moved", sources: []plan.Source{{Disk: first, Partitions: []plan.PartitionID{id("P2", 4, 2)}}}, want: "/dev/sda 2", said: "moved from byte 4194304 to byte 5242880"},
		{name: "a new one in the place of an old one", sources: []plan.Source{{Disk: first, Partitions: []plan.PartitionID{id("P9", 5, 2), id("P1", 1, 1)}}}, fails: "partition 2 P9"},
		{name: "the same as a warning", sources: []plan.Source{{Disk: first, Gone: plan.GoneWarn, Partitions: []plan.PartitionID{id("P9", 5, 2), id("P1", 1, 1)}}}, want: "/dev/sda 1", said: "partition 2 P9"},
		{name: "nothing left of a disk", sources: []plan.Source{{Disk: first, Gone: plan.GoneWarn, Partitions: []plan.PartitionID{id("P9", 5, 2)}}}, fails: "nothing of what"},
		{name: "MBR by offset", sources: []plan.Source{{Disk: plan.DiskID{ID: "1234ABCD"}, Partitions: []plan.PartitionID{id("", 7, 6)}}}, want: "/dev/sdb 5", said: "is number 5 today"},
		{name: "MBR that is gone from there", sources: []plan.Source{{Disk: plan.DiskID{ID: "1234ABCD"}, Partitions: []plan.PartitionID{id("", 8, 5)}}}, fails: "at byte 8388608"},
		{name: "by number alone", sources: []plan.Source{{Disk: first, Partitions: []plan.PartitionID{id("", 0, 3)}}}, want: "/dev/sda 3"},
		{name: "a disk that is gone", sources: []plan.Source{{Disk: plan.DiskID{ID: "CCCC", Model: "Old disk"}}, {Disk: first}}, fails: "Old disk, id CCCC"},
		{name: "the same as a warning, the rest is taken", sources: []plan.Source{{Disk: plan.DiskID{ID: "CCCC"}, Gone: plan.GoneWarn}, {Disk: first}}, want: "/dev/sda", said: "id CCCC"},
		{name: "what Windows needs, wherever it is", sources: []plan.Source{{Kind: plan.SourceWindows}}, want: "/dev/sdb windows"},
		{name: "what Windows needs, of a disk", sources: []plan.Source{{Kind: plan.SourceWindows, Disk: first}}, want: "/dev/sda windows"},
		{name: "all fixed disks but that of the destination", sources: []plan.Source{{Kind: plan.SourceAll}}, want: "/dev/sda; /dev/sdb", said: "/dev/sdd is left out"},
		{name: "partitions of one disk from two sources", sources: []plan.Source{
			{Disk: first, Partitions: []plan.PartitionID{id("P3", 60, 3)}}, {Disk: first, Partitions: []plan.PartitionID{id("P1", 1, 1), id("P3", 60, 3)}}}, want: "/dev/sda 1 3"},
		{name: "a part and the whole of a disk", sources: []plan.Source{{Disk: first, Partitions: []plan.PartitionID{id("P3", 60, 3)}}, {Disk: first}}, want: "/dev/sda"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Match(c.sources, testMachine(), []string{"/dev/sdd"})
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v; want an error with %q", err, c.fails)
				}
				return
			}
			if err != nil || describe(m) != c.want {
				t.Fatalf("%v, %v; want %s", m, err, c.want)
			}
			if said := strings.Join(append(m.Notes, m.Warnings...), "\n"); !strings.Contains(said, c.said) || c.said == "" && said != "" {
				t.Errorf("said %q, want %q", said, c.said)
			}
		})
	}
}

func TestMatchSeveralWindows(t *testing.T) {
	m := testMachine()
	m.Windows = func(*Disk) (bool, error) { return true, nil }
	if _, err := Match([]plan.Source{{Kind: plan.SourceWindows}}, m, nil); err == nil || !strings.Contains(err.Error(), "several disks") {
		t.Error(err)
	}
	m.Windows = func(*Disk) (bool, error) { return false, nil }
	if _, err := Match([]plan.Source{{Kind: plan.SourceWindows}}, m, nil); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}
