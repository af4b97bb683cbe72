package view

import (
	"strings"
	"testing"

	"ingot/internal/result"
)

func TestConfirm(t *testing.T) {
	for _, c := range []struct {
		name   string
		disk   result.Disk
		word   string
		yes    []string
		no     []string
		shown  string
		asking string
	}{
		{"a serial number", result.Disk{Path: "/dev/sdb", Bus: "sata", Serial: "S6PUNX0R917Q3F"}, "7Q3F", []string{"7Q3F", "7q3f", " 7Q3F\n"}, []string{"", "7Q3", "S6PUNX0R917Q3F", "yes", "ja"}, "S6PUNX0R91", "/dev/sdb"},
		{"a short one", result.Disk{Path: "/dev/sdb", Bus: "usb", Serial: "12", Size: 64e9 + 5}, "64", []string{"64"}, []string{"", "12", "64 GB", "6"}, "", "size"},
		{"none", result.Disk{Path: "/dev/vdb", Bus: "virtio", Size: 1e12}, "1000", []string{"1000"}, []string{"", "1"}, "", "size"},
		{"a file", result.Disk{Path: "/tmp/x/target.img", Bus: "file", Serial: "ABCDEF"}, "target.img", []string{"target.img"}, []string{"", "CDEF", "/tmp/x/target.img"}, "", "name"},
		{"a hostile one", result.Disk{Path: "/dev/sdb", Bus: "usb", Serial: "AB\x1b[2J\x00"}, Text("[2J\x00"), nil, []string{""}, Text("AB\x1b"), "serial"},
	} {
		got := ConfirmOf(&c.disk)
		if got.Word != c.word || got.Shown != c.shown || !strings.Contains(got.Ask, c.asking) {
			t.Errorf("%s: %+v", c.name, got)
		}
		for _, s := range c.yes {
			if !got.Is(s) {
				t.Errorf("%s: %q is not taken", c.name, s)
			}
		}
		for _, s := range c.no {
			if got.Is(s) {
				t.Errorf("%s: %q is taken", c.name, s)
			}
		}
	}
	if (Confirm{}).Is("") {
		t.Error("nothing is taken where there is no word")
	}
}

func TestWhatARestoreIsSaidToDo(t *testing.T) {
	const gib = 1 << 30
	whole := &result.Restore{
		Target: "/dev/sdb", Table: true, Bytes: 3 * gib, Disk: &result.Disk{Size: 100 * gib},
		Lost:  []result.Partition{{Number: 1, Size: 50 * gib, Name: "Photos\x07", TypeName: "Basic data"}},
		Holds: []result.Extent{{Number: 1, Off: gib, Size: 9 * gib}, {Number: 2, Off: 10 * gib, Size: 10 * gib}},
	}
	if got := LossSay(whole); got != "Everything on /dev/sdb is lost: 1 partition." {
		t.Error(got)
	}
	if got := Losses(whole); len(got) != 1 || got[0].Size != "50 GiB" || strings.Contains(got[0].Name, "\x07") || !strings.Contains(got[0].Name, "Photos") {
		t.Errorf("%+v", got)
	}
	if got := FitSay(whole); !strings.HasPrefix(got, "80 GiB of the disk stay free") || !strings.Contains(got, "not possible yet") {
		t.Error(got)
	}
	if got := RestoreSteps(whole, true, true); len(got) != 5 || !strings.Contains(got[2], "3.0 GiB are written into 2 partitions") || !strings.Contains(got[3], "last") {
		t.Errorf("%q", got)
	}
	part := &result.Restore{Target: "/dev/sdb", Lost: whole.Lost, Holds: whole.Holds[:1], Disk: whole.Disk}
	if got := LossSay(part); !strings.Contains(got, "everything else on it stay") {
		t.Error(got)
	}
	if got := RestoreSteps(part, false, false); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := FitSay(part); strings.Contains(got, "free") {
		t.Error(got)
	}
	if got := LossSay(&result.Restore{Target: "x", Table: true}); !strings.Contains(got, "Whatever is on it is lost") {
		t.Error(got)
	}
}
