package plan

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func full(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/full.xml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := ParseXML(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return f
}

func TestFullDefinition(t *testing.T) {
	d := parse(t, full(t)).Definition
	password := PasswordRef{Command: []string{"/usr/bin/pass", "show", "mail"}}
	want := Definition{
		Name: "Office PC", Comment: "nightly",
		Sources: []Source{
			{Disk: DiskID{ID: "2D37A83C-3F86-4734-849E-FD9A833D874A", Serial: "S6XN", Model: "Samsung SSD 990"}, Gone: GoneWarn,
				Partitions: []PartitionID{{GUID: "0FC63DAF-8483-4772-8E79-3D69D8477DE4", Off: 1 << 20, Label: "Windows"}, {Number: 3}}},
			{Kind: SourceWindows},
			{Disk: DiskID{ID: "0A1B2C3D", Path: "/dev/sdb"}},
		},
		Destinations: []Destination{{Path: "/mnt/usb", Volume: "1234-ABCD"}, {Path: `\\nas\backup\office`, Mounted: true}}, Rotate: true,
		FileName: "{HOST}-{IMAGEID}", Template: "gfs", TimeZone: "Europe/Berlin",
		Schedules: []Schedule{
			{Type: Full, Kind: Monthly, Nth: 1, At: 150, Delay: 30 * time.Minute, Missed: Missed{Within: 7 * 24 * time.Hour}},
			{Type: Differential, At: 150, Days: 1 << time.Sunday},
			{At: 150, Days: 0x7E, Missed: Missed{Skip: true}},
			{Kind: Monthly, Day: LastDay, At: 23 * 60, Months: 1<<1 | 1<<7},
			{Kind: Interval, Every: 30 * time.Minute, From: 480, To: 1080, Days: WorkDays},
			{Type: Full, Kind: Once, Date: Date{2026, 12, 31}, At: 23 * 60},
			{Kind: AtStart, Gap: 6 * time.Hour}, {Kind: OnIdle, IdleFor: 20 * time.Minute}, {Kind: OnPlugged},
		},
		Retention: Retention{Full: Keep{6, Months}, Differential: Keep{4, Backups}, Incremental: Keep{14, Days}, MinFree: 20 << 30, PurgeBefore: true, GFS: GFS{7, 4, 12, 2}},
		Options: Options{Compression: "high", Encrypt: "aes-128", Conceal: true, Split: 4 << 30, Verify: true, Changes: "mft", FullReadEvery: 5,
			CPU: PriorityIdle, IO: PriorityNormal, Rate: 20 << 20, TempDir: "/var/tmp", Password: PasswordRef{File: "/etc/ingot/office.password"},
			Exclude: []string{"Users/*/AppData/Local/Temp/**", "**/*.iso"}},
		Conditions: Conditions{true, 60, true}, Limits: Limits{6 * time.Hour, 2, 15 * time.Minute},
		Hooks: []Hook{{BeforeSnapshot, []string{"/usr/local/bin/quiesce", "--all", ""}, "/srv", 5 * time.Minute, true}, {At: AfterFailure, Command: []string{`C:\tools\say.exe`}}},
		Notify: Notify{Desktop: true, NoEventLog: true, Metrics: "/var/lib/node/ingot.prom", AlertAfter: 7,
			Mail: []Mail{{Host: "mail.example.org", Port: 465, Security: MailTLS, User: "office", Password: password, From: "Office <pc@example.org>",
				Success: Message{To: []string{"log@example.org"}},
				Failure: Message{To: []string{"me@example.org", "you@example.org"}, Subject: "{{.Definition}} failed", Body: "It failed:\n  {{.Error}} & more\n", AttachLog: true}}},
			Webhooks: []Webhook{{URL: "https://ntfy.example.org/backup", Preset: WebhookNtfy, On: Outcomes{Start: true, Failure: true}, Timeout: 10 * time.Second, Token: PasswordRef{File: "/etc/ingot/ntfy.token"}}},
			Pings:    []Ping{{URL: "https://hc.example.org/0d3e"}}},
		After: After{true, PowerHibernate, true, 2 * time.Minute},
	}
	if !reflect.DeepEqual(d, want) {
		t.Fatalf("got\n%+v, want\n%+v", d, want)
	}
	// Every field of the data has a value here, so that none is forgotten.
	unset := map[string]bool{"Disabled": true, "AllSectors": true, "FullIndex": true, "OnReadError": true, "BlockSize": true, "AllowMounted": true,
		"Workers": true, "AllowSleep": true, "Scope": true, "SyntheticFull": true, "DropLast": true, "Minimum": true, "Warning": true, "Protected": true}
	for _, v := range []any{d, d.Options, d.Retention, d.Conditions, d.Limits, d.Hooks[0], d.Notify, d.Notify.Mail[0], d.Notify.Mail[0].Failure, d.Notify.Webhooks[0], d.After} {
		for i := range reflect.TypeOf(v).NumField() {
			if name := reflect.TypeOf(v).Field(i).Name; reflect.ValueOf(v).Field(i).IsZero() && !unset[name] {
				t.Errorf("%T.%s has no value in testdata/full.xml", v, name)
			}
		}
	}
}

func TestRoundTripKeepsAll(t *testing.T) {
	data := full(t)
	f := parse(t, data)
	out, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(data), "<argument></argument>", "<argument/>", 1)
	if string(out) != want {
		t.Fatalf("it comes back as\n%s", out)
	}
}

// TestEdits changes a definition and looks at what is written.
func TestEdits(t *testing.T) {
	f := parse(t, full(t))
	d := &f.Definition
	d.Name, d.Disabled = "Other", true
	d.Sources = append(d.Sources[:1], Source{Disk: DiskID{Path: "/dev/sdc"}})
	d.Sources[0].Partitions = d.Sources[0].Partitions[1:]
	d.Schedules = append(d.Schedules[2:3:3], Schedule{Kind: OnIdle})
	d.Schedules[0].Kind, d.Schedules[0].Days, d.Schedules[0].Day = Monthly, 0, 15
	d.Retention = Retention{Full: Keep{4, Backups}}
	d.Options.Password = PasswordRef{Command: []string{"/bin/cat", "/x"}}
	d.Hooks = nil
	d.Notify.Mail[0].Warning = Message{To: []string{"a@b.c"}}
	out, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`name="Other" x:ticket="4711" disabled="yes">`, "<!-- the system -->\n      <partition number=\"3\"/>\n      <x:why>", `<disk path="/dev/sdc"/>`,
		`<monthly at="02:30" day="15"/>`, "<schedule>\n      <idle/>\n    </schedule>", `<retention full="4 backups"/>`, "<!-- end -->",
		"<password>\n      <command>/bin/cat</command>\n      <argument>/x</argument>\n    </password>", "<warning>\n        <to>a@b.c</to>\n      </warning>\n      <failure", "<x:note>kept <x:b>as it is</x:b></x:note>",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "<hook") || strings.Contains(string(out), "<windows") || strings.Contains(string(out), "Windows") {
		t.Errorf("not all is gone:\n%s", out)
	}
	again := parse(t, out)
	if !reflect.DeepEqual(again.Definition, *d) {
		t.Fatalf("it reads back as\n%+v, want\n%+v", again.Definition, *d)
	}
}

func TestFreshFile(t *testing.T) {
	f := File{Definition: parse(t, full(t)).Definition}
	out, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if again := parse(t, out); !reflect.DeepEqual(again.Definition, f.Definition) {
		t.Fatalf("it reads back as\n%+v\n%s", again.Definition, out)
	}
	small := File{Definition: Definition{Name: "a", Sources: []Source{{Kind: SourceAll}}, Destinations: []Destination{{Path: "/b"}}}}
	out, err = small.Encode()
	want := `<?xml version="1.0" encoding="UTF-8"?>
<definition xmlns="urn:ingot:definition:1" name="a">
  <sources>
    <all/>
  </sources>
  <destinations>
    <destination path="/b"/>
  </destinations>
  <plan/>
</definition>
`
	if err != nil || string(out) != want {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestWithPrefix(t *testing.T) {
	data := strings.NewReplacer("xmlns=", "xmlns:i=", "</", "</i:", "<definition", "<i:definition", "<sources", "<i:sources", "<all", "<i:all", "<plan", "<i:plan", "<dest", "<i:dest").
		Replace(`<definition xmlns="urn:ingot:definition:1" name="a"><sources><all/></sources><destinations><destination path="/b"/></destinations><plan/></definition>`)
	f := parse(t, []byte(data))
	f.Definition.Limits.Retries = 2
	out, err := f.Encode()
	if err != nil || !strings.Contains(string(out), "\n  <i:limits retries=\"2\"/>") {
		t.Fatalf("%v\n%s", err, out)
	}
	parse(t, out)
}

func TestNotWritable(t *testing.T) {
	for _, comment := range []string{"a\x00b", "a\xffb", "\uFFFE"} {
		f := File{Definition: Definition{Name: "a", Comment: comment, Sources: []Source{{Kind: SourceAll}}, Destinations: []Destination{{Path: "/b"}}}}
		if out, err := f.Encode(); err == nil {
			t.Errorf("%q is written:\n%s", comment, out)
		}
	}
	f := File{Definition: Definition{Name: "a"}}
	if _, err := f.Encode(); err == nil {
		t.Error("a definition without sources is written")
	}
}

func TestErrorsSayWhere(t *testing.T) {
	data := string(full(t))
	for _, c := range []struct{ name, old, new, want string }{
		{"misspelt", "<limits ", "<limit ", "line 38: <limit>: it is unknown in <definition>, or out of order; there are: "},
		{"attribute", "retries=", "retrys=", "line 38: <limits>: the attribute retrys is unknown; there are: duration, retries, retry-after"},
		{"value", `retries="2"`, `retries="two"`, `line 38: <limits>: retries: "two" is no number from 0 to 100`},
		{"order", "<after ", "<comment>x</comment>\n  <after ", "<comment>: it stands there twice or too late; the order in <definition> is: comment, sources, "},
		{"inline password", `<password file="/etc/ingot/office.password"/>`, "<password>hunter2</password>", "line 33: <password>: no text stands here: a password never stands in a definition"},
		{"inline attribute", `<options `, `<options password="hunter2" `, "the attribute password is unknown: a password never"},
		{"meaning", `min-battery="60"`, `min-battery="100" skip-on-battery="no"`, "line 37: <conditions>: the attribute skip-on-battery stands there twice"},
		{"relative", `path="/mnt/usb"`, `path="mnt/usb"`, `line 17: <destination>: the path "mnt/usb" is not absolute`},
		{"zone", "Europe/Berlin", "Europe/Entenhausen", `line 20: <plan>: time zone "Europe/Entenhausen" is not in`},
		{"third schedule", `every="30m"`, `every="30s"`, "line 25: <schedule>: every 30s: whole minutes"},
		{"foreign in front", "<sources>", "<x:a/><sources>", "it stands behind elements of another namespace"},
		{"foreign between", "<x:why>because</x:why>", "<x:why/><partition number=\"4\"/>", "line 11: <partition>: it stands behind elements of another"},
		{"no namespace", "<limits ", `<limits xmlns="" `, "it is in no namespace"},
		{"entity", "nightly", "&night;", "line 4: <comment>: invalid character entity &night;"},
		{"type", "<!-- The office computer. -->", "<!DOCTYPE definition [<!ENTITY night 'nightly'>]>", "line 2: a document type and entities are not allowed"},
		{"not closed", "</definition>", "", "it is not closed"},
		{"missing", `<command>C:\tools\say.exe</command>`, "", "line 40: <hook>: it lacks <command>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(data, c.old) {
				t.Fatalf("%q is not in the file", c.old)
			}
			_, err := ParseXML([]byte(strings.Replace(data, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			var at *SyntaxError
			if !errors.As(err, &at) || at.Line < 1 {
				t.Fatalf("no line in %v", err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	if _, err := ParseXML(bytes.Repeat([]byte(" "), MaxXML+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too large: %v", err)
	}
	if _, err := ParseXML([]byte(strings.Repeat("<a>", 100))); err == nil || !strings.Contains(err.Error(), "within each other") {
		t.Errorf("too deep: %v", err)
	}
	if _, err := ParseXML([]byte("<a " + strings.Repeat(`xmlns:a="b" `, 100) + "/>")); err == nil || !strings.Contains(err.Error(), "more than 64 attributes") {
		t.Errorf("too many attributes: %v", err)
	}
	for _, data := range []string{"", " ", "<a/>", "\xff\xfe<\x00a\x00", "<?xml version='1.0' encoding='latin1'?><a/>"} {
		if _, err := ParseXML([]byte(data)); err == nil {
			t.Errorf("%q passes", data)
		}
	}
}

// TestTruncated and TestFlipped: whatever is read is an error, or a definition
// that can be written and read again.
func TestTruncated(t *testing.T) {
	data := full(t)
	for i := range bytes.LastIndex(data, []byte("</definition>")) {
		if _, err := ParseXML(data[:i]); err == nil {
			t.Fatalf("the first %d bytes pass", i)
		}
	}
}

func TestFlipped(t *testing.T) {
	data := full(t)
	for i := 0; i < len(data); i += 3 {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		rewrite(t, flipped)
	}
}

func rewrite(t *testing.T, data []byte) {
	f, err := ParseXML(data)
	if err != nil {
		return
	}
	d := f.Definition
	out, err := f.Encode()
	if err != nil {
		t.Fatalf("it is read and cannot be written: %v\n%q", err, data)
	}
	again, err := ParseXML(out)
	if err != nil || !reflect.DeepEqual(again.Definition, d) {
		t.Fatalf("%v: it reads back as another\n%q\n%q", err, data, out)
	}
	second, err := again.Encode()
	if err != nil || !bytes.Equal(second, out) {
		t.Fatalf("%v: written again it differs\n%s\n%s", err, out, second)
	}
}

func FuzzParseXML(f *testing.F) {
	f.Add(full(f))
	f.Add([]byte(`<definition xmlns="urn:ingot:definition:1" name="a"><sources><all/></sources><destinations><destination path="/b"/></destinations><plan/></definition>`))
	f.Fuzz(rewrite)
}

// TestEmptyElementsStay: what says nothing yet may have a comment that does.
func TestEmptyElementsStay(t *testing.T) {
	doc := `<definition xmlns="urn:ingot:definition:1" name="a">
  <sources><all/></sources>
  <destinations><destination path="/b"/></destinations>
  <plan/>
  <options><!-- ask about encryption --></options>
  <after power="nothing"><!-- no --></after>
</definition>
`
	out, err := parse(t, []byte(doc)).Encode()
	if err != nil || string(out) != doc {
		t.Fatalf("%v\n%s", err, out)
	}
}
