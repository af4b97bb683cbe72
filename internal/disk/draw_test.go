package disk

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// drawn writes a layout to a file.
func drawn(t testing.TB, l *Layout) string {
	t.Helper()
	path := blank(t, l.Size)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ws, err := l.Writes(l.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ws {
		if _, err := f.WriteAt(w.Data, w.Off); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

const drawMiB = 1 << 20

// TestDraw has sgdisk and sfdisk judge tables that were drawn.
func TestDraw(t *testing.T) {
	t.Parallel()
	gpt := Drawing{Scheme: SchemeGPT, SectorSize: 512, Size: 600 * drawMiB, ID: "11223344-5566-7788-99AA-BBCCDDEEFF00", Partitions: []Drawn{
		{Off: drawMiB, Len: 100 * drawMiB, Type: TypeESP, Name: "EFI"},
		{Off: 101 * drawMiB, Len: 16 * drawMiB, Type: TypeMSR},
		{Number: 7, Off: 117 * drawMiB, Len: 300 * drawMiB, Type: TypeBasic, GUID: "9b9cfbc3-369e-11e9-a17c-806e6f6e6963", Name: "Größe"},
		{Off: 420 * drawMiB, Len: 100 * drawMiB, Type: TypeRecovery, Attributes: 1<<63 | 1},
	}}
	l, err := gpt.Layout()
	if err != nil {
		t.Fatal(err)
	}
	path := drawn(t, l)
	if out := tool(t, "gdisk", "", "sgdisk", "-v", path); !strings.Contains(out, "No problems found") {
		t.Error(out)
	}
	back := parseFile(t, path, 0)
	if back.ID != gpt.ID || len(back.Partitions) != 4 || back.Partitions[2].Number != 7 || back.Partitions[2].GUID != strings.ToUpper(gpt.Partitions[2].GUID) ||
		back.Partitions[3].Number != 3 || !back.Partitions[3].Recovery || back.Partitions[2].Name != "Größe" || !back.Partitions[0].ESP {
		t.Errorf("%+v", back)
	}
	mbr := Drawing{Scheme: SchemeMBR, SectorSize: 512, Size: 300 * drawMiB, ID: "1A2B3C4D", Partitions: []Drawn{
		{Off: drawMiB, Len: 100 * drawMiB, Type: "07", Active: true}, {Off: 101 * drawMiB, Len: 100 * drawMiB, Type: "07"},
	}}
	if l, err = mbr.Layout(); err != nil {
		t.Fatal(err)
	}
	path = drawn(t, l)
	if out := tool(t, "fdisk", "", "sfdisk", "--verify", path); !strings.Contains(out, "No errors detected") || !strings.Contains(tool(t, "fdisk", "", "sfdisk", "--dump", path), "0x1a2b3c4d") {
		t.Error(out)
	}
	if back := parseFile(t, path, 0); back.ID != mbr.ID || len(back.Partitions) != 2 || !back.Partitions[0].Active {
		t.Errorf("%+v", back)
	}
}

// TestDumpIsReadBack has sfdisk dump disks, and the dump make the same tables.
func TestDumpIsReadBack(t *testing.T) {
	t.Parallel()
	gpt := blank(t, 300*drawMiB)
	tool(t, "gdisk", "", "sgdisk", "-n", "1:0:+50M", "-t", "1:ef00", "-c", "1:EFI, of all", "-n", "3:0:+100M", "-A", "3:set:63", "-A", "3:set:0", "-n", "2:0:0", gpt)
	mbr := blank(t, 300*drawMiB)
	tool(t, "fdisk", "label: dos\nsize=20M, type=7, bootable\nsize=90M, type=c\n", "sfdisk", "-q", mbr)
	for name, path := range map[string]string{"gpt": gpt, "mbr": mbr} {
		dump := tool(t, "fdisk", "", "sfdisk", "--dump", path)
		if name == "mbr" {
			dump = "disk-size: 314572800\n" + dump
		}
		l, err := ParseDump(dump)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, dump)
		}
		want := parseFile(t, path, 0)
		for _, p := range [][]Partition{l.Partitions, want.Partitions} {
			for i := range p {
				p[i].Entry = [16]byte{} // cylinders and heads are drawn otherwise
			}
		}
		if l.ID != want.ID || l.Size != want.Size || !slices.Equal(l.Partitions, want.Partitions) {
			t.Errorf("%s:\n%+v\n%+v", name, l.Partitions, want.Partitions)
		}
		if again := tool(t, "fdisk", "", "sfdisk", "--dump", drawn(t, l)); fields(again) != fields(dump) {
			t.Errorf("%s: sfdisk says\n%s\nand of what was drawn\n%s", name, dump, again)
		}
	}
}

// fields are the partitions of a dump without the names of files.
func fields(dump string) (out string) {
	for line := range strings.Lines(dump) {
		if _, rest, ok := strings.Cut(line, "start="); ok {
			out += rest
		}
	}
	return out
}

func TestDumpsThatCannotBe(t *testing.T) {
	good := "label: gpt\nx1 : start=2048, size=2048, type=" + TypeBasic + "\n"
	if _, err := ParseDump(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no label": "x1 : start=2048, size=8, type=7\n", "no partition": "label: gpt\n", "sun": "label: sun\n" + good,
		"a word": "label: gpt\nhello\n", "no number": "label: gpt\nx1 : start=x, size=8\n", "no type": "label: gpt\nx1 : start=2048, size=8\n",
		"overlap": good + "x2 : start=2049, size=9, type=" + TypeBasic + "\n", "twice": good + "x1 : start=9000, size=9, type=" + TypeBasic + "\n",
		"in the table": "label: gpt\nx1 : start=1, size=8, type=" + TypeBasic + "\n", "behind": "disk-size: 1048576\n" + good,
		"logical": "label: dos\nx5 : start=2048, size=8, type=7\n", "extended": "label: dos\nx1 : start=2048, size=8, type=f\n",
		"huge": "label: dos\nx1 : start=2048, size=70368744177664, type=7\n", "sectors of 3": "sector-size: 3\n" + good, "cylinders": "unit: cylinders\n" + good,
		"attribute": "label: gpt\nx1 : start=2048, size=8, attrs=\"Odd\", type=" + TypeBasic, "an odd field": "label: gpt\nx1 : start=2048, size=8, !!\n",
		"disk id": "label-id: 12\n" + good, "many lines": strings.Repeat("\n", 2000), "number 200": "label: gpt\nx200 : start=2048, size=2048, type=" + TypeBasic,
	} {
		if l, err := ParseDump(text); err == nil {
			t.Errorf("%s: %+v", name, l.Partitions)
		}
	}
}

func FuzzDump(f *testing.F) {
	f.Add("label: gpt\nlast-lba: 100000\nx1 : start=2048, size=2048, type=" + TypeBasic + ", name=\"a, b\", attrs=\"GUID:63\"\n")
	f.Add("label: dos\nlabel-id: 0x12345678\nx1 : start=2048, size=2048, type=7, bootable\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseDump(text)
		if err != nil {
			return
		}
		if _, err := l.Writes(l.Size); err != nil {
			t.Fatalf("what was drawn cannot be written: %v\n%s", err, text)
		}
	})
}
