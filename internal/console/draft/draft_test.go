package draft

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/internal/plan"
	"ingot/internal/preview"
	"ingot/internal/result"
	"ingot/internal/service"
)

const guid = "11111111-2222-3333-4444-555555555555"

// disks are a system disk and one with data.
func disks() []result.Disk {
	return []result.Disk{
		{Path: "/dev/sda", ID: guid, Serial: "S1", Model: "WD Black", Size: 500 << 30, Partitions: []result.Partition{
			{Number: 1, Off: 1 << 20, Size: 300 << 20, Used: 30 << 20, Flags: []string{"ESP"}, FileSystem: "FAT32", GUID: strings.Replace(guid, "1", "A", 1)},
			{Number: 2, Off: 301 << 20, Size: 16 << 20, Whole: "no file system", Flags: []string{"MSR"}},
			{Number: 3, Off: 317 << 20, Size: 400 << 30, Used: 200 << 30, FileSystem: "NTFS", Label: "Windows"},
			{Number: 4, Off: 401 << 30, Size: 50 << 30, Used: 10 << 30, FileSystem: "NTFS", Label: "Data"},
		}},
		{Path: "/dev/sdb", Serial: "S2", Size: 1 << 40, Removable: true, Partitions: []result.Partition{
			{Number: 1, Off: 1 << 20, Size: 931 << 30, Whole: "it is encrypted", FileSystem: "BitLocker"},
			{Number: 2, Off: 932 << 30, Size: 16 << 30, Whole: "its file system is not known"},
		}},
	}
}

// whole is a draft with nothing wrong about it.
func whole() *Draft {
	d := New("linux")
	d.Pick(disks(), []string{guid + "/S1"}, nil)
	d.Places = []string{"/mnt/usb"}
	return d
}

func facts() *Facts {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return &Facts{Disks: disks(), Places: []*Place{good("/mnt/usb")}, Now: time.Date(2026, 11, 25, 12, 0, 0, 0, berlin), Zone: berlin}
}

func good(path string) *Place {
	return &Place{PlaceCheck: service.PlaceCheck{Path: path, Free: 1 << 40, Steps: []service.PlaceStep{{Name: service.StepApart}}}}
}

func failing(step string) *Place {
	return &Place{PlaceCheck: service.PlaceCheck{Path: "/mnt/usb", Steps: []service.PlaceStep{{Name: step, Error: "the reason"}}}}
}

func TestNothingWrong(t *testing.T) {
	for _, p := range whole().Check(facts()) {
		if p.Level != Note {
			t.Errorf("%+v", p)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Draft, *Facts)
		step   int
		level  Level
		field  string
		says   string
	}{
		{"nothing", func(d *Draft, f *Facts) { d.Pick(f.Disks, nil, nil) }, What, Error, "part", "Tick at least one partition."},
		{"no EFI", func(d *Draft, f *Facts) {
			d.Pick(f.Disks, nil, []string{PartKey(&f.Disks[0], &f.Disks[0].Partitions[2])})
		}, What, Warning, "part", "Windows is ticked without EFI, which it starts from. Restored to an empty disk it would not start."},
		{"locked", func(d *Draft, f *Facts) { d.Pick(f.Disks, []string{"/S2"}, nil) }, What, Warning, "part", "Unnamed is locked by BitLocker. Unlock it in Windows, or all 931 GiB are copied unreadable."},
		{"unknown", func(d *Draft, f *Facts) { d.Pick(f.Disks, []string{"/S2"}, nil) }, What, Warning, "part", `Every block of "Unnamed" is copied: its file system is not known.`},
		{"gone", func(_ *Draft, f *Facts) { f.Disks = f.Disks[1:] }, What, Warning, "part", "sda has gone since you ticked it."},
		{"no place", func(d *Draft, _ *Facts) { d.Places = []string{" "} }, Where, Error, "place-0", "Name a folder for the backups."},
		{"relative", func(d *Draft, _ *Facts) { d.Places = []string{"usb"} }, Where, Error, "place-0", `"usb": name the folder by its whole path.`},
		{"twice", func(d *Draft, _ *Facts) { d.Places = []string{"/a", "/a"} }, Where, Error, "place-1", "/a is named twice."},
		{"absent", func(_ *Draft, f *Facts) { f.Places[0] = failing(service.StepFound) }, Where, Error, "place-0", "There is no folder /mnt/usb: make it, or plug the drive in (the reason)."},
		{"one of two is absent", func(d *Draft, f *Facts) { d.Places = append(d.Places, "/b"); f.Places[0] = failing(service.StepFound) }, Where, Warning, "place-0", "There is no folder /mnt/usb: make it, or plug the drive in (the reason)."},
		{"a file", func(_ *Draft, f *Facts) { f.Places[0] = failing(service.StepFolder) }, Where, Error, "place-0", "/mnt/usb is a file: name a folder."},
		{"read-only", func(_ *Draft, f *Facts) { f.Places[0] = failing(service.StepWrite) }, Where, Error, "place-0", "Ingot cannot write into /mnt/usb (the reason)."},
		{"in the image", func(_ *Draft, f *Facts) {
			f.Places[0] = failing(service.StepApart)
			f.Places[0].Source, f.Places[0].Off = "/dev/sda", 317<<20
		}, Where, Error, "place-0", "This folder is on Windows, which is in the image. Choose another disk."},
		{"beside it", func(d *Draft, f *Facts) {
			d.Pick(f.Disks, nil, []string{PartKey(&f.Disks[0], &f.Disks[0].Partitions[0])})
			f.Places[0] = failing(service.StepApart)
			f.Places[0].Source, f.Places[0].Off = "/dev/sda", 401<<30
		}, Where, Error, "place-0", "Data is another partition of sda. If sda dies, the backup dies too. Choose another disk: Ingot does not back up a disk to itself."},
		{"perhaps in the image", func(_ *Draft, f *Facts) { f.Places[0] = failing(service.StepApart) }, Where, Warning, "place-0", "Whether /mnt/usb lies on a disk of the image could not be found out: the reason."},
		{"small", func(_ *Draft, f *Facts) { f.Places[0].Free = 96 << 30 }, Where, Warning, "place-0", "96 GiB are free, the first image needs about 126 GiB."},
		{"FAT", func(_ *Draft, f *Facts) { f.Places[0].MaxFile = 1<<32 - 1 }, Where, Note, "place-0", "FAT32 holds 4 GiB per file: the image is split; merging still works."},
		{"shared", func(_ *Draft, f *Facts) { f.Places[0].Shared = true }, Where, Warning, "place-0", "Anyone may write here; a thief or malware could delete your backups."},
		{"name", func(d *Draft, _ *Facts) { d.FileName = "backup" }, Where, Error, "file-name", "Files would overwrite each other: the name needs {IMAGEID} or {DATE}."},
		{"time", func(d *Draft, _ *Facts) { d.Rows[2].At = "25:00" }, When, Error, "inc-at", `"25:00" is no time of the day: write it as 21:00.`},
		{"window", func(d *Draft, _ *Facts) {
			d.Rows[2] = Row{Kind: "hours", Hours: "4", From: "21:00", To: "21:00"}
		}, When, Error, "inc-to", "21:00 to 21:00 is no time."},
		{"number", func(d *Draft, _ *Facts) { d.Keep[1].N = "many" }, When, Error, "diff-keep", "Keep: a whole number from 1 on."},
		{"no full", func(d *Draft, _ *Facts) { d.Rows[0].Kind, d.Keep[2].On = "", false }, When, Warning, "full-kind", "No full is planned: the set grows for ever."},
		{"summer time", func(d *Draft, _ *Facts) { d.Rows[2].At = "02:30" }, When, Note, "inc-at", "On 28 Mar 02:30 does not exist; it runs at 03:00."},
		{"another", func(_ *Draft, f *Facts) {
			f.Others = []Other{{Name: "Photos", Next: time.Date(2026, 11, 26, 21, 0, 0, 0, f.Zone)}}
		}, When, Note, "full-at", `"Photos" runs at 21:00 too; this one will wait.`},
		{"will not fit", func(d *Draft, f *Facts) {
			f.Calendar = &preview.Calendar{Runs: []preview.Run{{Fulls: 1}, {Fulls: 4, Time: time.Date(2027, 2, 7, 21, 0, 0, 0, f.Zone)}}}
			f.Places[0].Free = 400 << 30
		}, When, Warning, "full-keep", "It will not fit: 504 GiB on 7 Feb, 400 GiB are free."},
		{"pattern", func(d *Draft, _ *Facts) { d.Options.Exclude = `C:\Users\**` }, Options, Error, "exclude", `A pattern starts inside the partition: write Users/**, not C:\Users\**.`},
		{"password", func(d *Draft, _ *Facts) { d.Options.Password = "file" }, Options, Error, "password-file", "Say where the password is."},
		{"name taken", func(d *Draft, f *Facts) { f.Others = []Other{{Name: "system"}} }, Summary, Error, "name", "A backup with this name exists."},
		{"no name", func(d *Draft, _ *Facts) { d.Name = " " }, Summary, Error, "name", `the name ""`},
		{"same", func(d *Draft, f *Facts) {
			def, _ := d.Definition()
			f.Others = []Other{{Name: "nightly", Def: def}}
		}, Summary, Warning, "name", `"nightly" images the same partitions into the same folder; two plans would clean up each other's points.`},
		{"hostile label", func(d *Draft, f *Facts) {
			f.Disks[0].Partitions[2].Label = "\x00<b>"
			d.Pick(f.Disks, nil, []string{PartKey(&f.Disks[0], &f.Disks[0].Partitions[2])})
		}, What, Warning, "part", "\x00<b> is ticked without EFI"},
	} {
		d, f := whole(), facts()
		c.change(d, f)
		all := d.Check(f)
		if !slices.ContainsFunc(all, func(p Problem) bool {
			return p.Step == c.step && p.Level == c.level && p.Field == c.field && strings.HasPrefix(p.Text, c.says)
		}) {
			t.Errorf("%s: %+v", c.name, all)
		}
		if Blocked(all, c.step) != (c.level == Error) {
			t.Errorf("%s: blocked %v: %+v", c.name, Blocked(all, c.step), Of(all, c.step))
		}
		if c.level == Warning && (!d.Ask(all, c.step) || d.Ask(all, c.step)) {
			t.Errorf("%s: a warning asks once", c.name)
		}
	}
}

// What comes of a draft is a definition: it validates, its XML reads back as the
// same, and so does the draft itself.
func TestRoundTrips(t *testing.T) {
	full := whole()
	full.Places = []string{"/mnt/a", "/mnt/b", ""}
	full.Rotate, full.FileName, full.Comment, full.Before, full.AllSets = true, "{HOST}-{IMAGEID}", "two\nlines", true, true
	full.Rows = [3]Row{{Kind: "month-last", At: "1:05", Day: "fri"}, {Kind: "week", At: "23:59", Day: "mon"}, {Kind: "hours", Hours: "3", From: "08:00", To: "20:00"}}
	full.Options = Choices{Compression: "high", Password: "file", PasswordFile: "/etc/ingot/p", Verify: true, Exclude: "Users/**\n\n*.iso", Split: "4G", Normal: true, Rate: "50", Battery: "20", Detach: true, Power: "suspend", Desktop: true, AlertAfter: "3", AllowMounted: true}
	event := whole()
	event.Rows = [3]Row{{Kind: "start"}, {Kind: "idle"}, {Kind: "plugged"}}
	event.Missed, event.Options = "never", Choices{Password: "command", PasswordCommand: "/usr/bin/pass ingot"}
	single := whole()
	single.Pick(disks(), nil, []string{PartKey(&disks()[0], &disks()[0].Partitions[0]), PartKey(&disks()[0], &disks()[0].Partitions[2])})
	windows := New("windows")
	windows.Places = []string{`E:\Ingot`}
	odd := whole()
	strange := disks()
	for _, s := range []*string{&strange[0].Model, &strange[0].Serial, &strange[0].Partitions[0].Label} {
		*s = "a\x00\u202e\n\xff" + strings.Repeat("x", 5000)
	}
	odd.Pick(strange, nil, []string{PartKey(&strange[0], &strange[0].Partitions[0])})
	if len(odd.Disks) != 1 {
		t.Errorf("%+v", odd.Disks)
	}
	all := []*Draft{whole(), odd, full, event, single, windows}
	for _, template := range plan.Templates() {
		d := whole()
		d.Take(template.Name)
		all = append(all, d)
	}
	for i, d := range all {
		def, bad := d.Definition()
		if len(bad) > 0 || def.Check() != nil {
			t.Errorf("%d: %+v, %v", i, bad, def.Check())
		}
		data, err := (&plan.File{Definition: *def}).Encode()
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		back, err := plan.ParseXML(data)
		if err != nil || !reflect.DeepEqual(back.Definition, *def) {
			t.Errorf("%d: %v\n%+v\n%+v", i, err, back, def)
		}
		text, err := json.Marshal(d)
		var again Draft
		if err == nil {
			err = json.Unmarshal(text, &again)
		}
		if err != nil || !reflect.DeepEqual(&again, d) {
			t.Errorf("%d: %v\n%+v\n%+v", i, err, again, d)
		}
	}
}

// A template that is taken is the template, at another time of the day.
func TestTemplates(t *testing.T) {
	for _, want := range plan.Templates() {
		d := whole()
		d.Take(want.Name)
		d.Minimum, d.Missed = "", "always"
		def, _ := d.Definition()
		for i := range want.Schedules {
			want.Schedules[i].At = 21 * 60
		}
		slices.SortStableFunc(want.Schedules, func(a, b plan.Schedule) int { return place(a.Type) - place(b.Type) })
		if !reflect.DeepEqual(def.Schedules, want.Schedules) || def.Retention != want.Retention {
			t.Errorf("%s: %+v %+v", want.Name, def.Schedules, def.Retention)
		}
	}
}

func TestPicks(t *testing.T) {
	d := New("windows")
	d.PickFixed(disks())
	if d.Windows || len(d.Disks) != 1 || !d.Disks[0].Whole || d.Disks[0].Name != "sda" {
		t.Errorf("%+v", d.Disks)
	}
	if s := d.Sizes(disks()); s.Ticked != 4 || s.All != 6 || s.Read != 210<<30+30<<20+16<<20 || s.Expected != int64(float64(s.Read)*Ratio) {
		t.Errorf("%+v", s)
	}
	// A disk that has gone stays while the form names it.
	if d.Pick(disks()[1:], []string{guid + "/S1"}, nil); len(d.Disks) != 1 || d.Disks[0].Name != "sda" {
		t.Errorf("%+v", d.Disks)
	}
	if d.Pick(disks()[1:], nil, nil); len(d.Disks) != 0 {
		t.Errorf("%+v", d.Disks)
	}
	if DiskName(`\\.\PhysicalDrive1`) != "Disk 1" || d.Devices(disks()) != nil {
		t.Error("names")
	}
}
