package plan

import (
	"strings"
	"testing"
	"time"
)

func TestCheckDefinition(t *testing.T) {
	good := func() Definition {
		return Definition{Name: "a", Sources: []Source{{Disk: DiskID{ID: "0A1B2C3D"}}}, Destinations: []Destination{{Path: "/b"}}}
	}
	d := good()
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(d *Definition){
		`the name ""`:                      func(d *Definition) { d.Name = "" },
		`the name "a.xml"`:                 func(d *Definition) { d.Name = "a.xml" },
		`the name "../a"`:                  func(d *Definition) { d.Name = "../a" },
		"it names no source":               func(d *Definition) { d.Sources = nil },
		"sources, source 2: the same disk": func(d *Definition) { d.Sources = append(d.Sources, d.Sources[0]) },
		"sources, source 2: all disks are a source already": func(d *Definition) { d.Sources = append(d.Sources, Source{Kind: SourceAll}) },
		"sources, source: name the disk by its id":          func(d *Definition) { d.Sources[0].Disk = DiskID{Model: "x"} },
		"single partitions go with a disk only": func(d *Definition) {
			d.Sources[0].Kind, d.Sources[0].Partitions = SourceWindows, []PartitionID{{Number: 1}}
		},
		"name the partition by":                          func(d *Definition) { d.Sources[0].Partitions = []PartitionID{{Label: "x"}} },
		"it names no destination":                        func(d *Definition) { d.Destinations = nil },
		"destination 2: /b is a destination already":     func(d *Definition) { d.Destinations = append(d.Destinations, d.Destinations[0]) },
		`the path "b" is not absolute`:                   func(d *Definition) { d.Destinations[0].Path = "b" },
		`file-name "{NAME}"`:                             func(d *Definition) { d.FileName = "{NAME}" },
		`file-name "a/b"`:                                func(d *Definition) { d.FileName = "a/b" },
		`time zone "Local"`:                              func(d *Definition) { d.TimeZone = "Local" },
		"plan, schedule 2: the day is 1 to 31":           func(d *Definition) { d.Schedules = []Schedule{{}, {Kind: Monthly}} },
		"nth is 1 to 4":                                  func(d *Definition) { d.Schedules = []Schedule{{Kind: Monthly, Nth: 5}} },
		"every 90s":                                      func(d *Definition) { d.Schedules = []Schedule{{Kind: Interval, Every: 90 * time.Second}} },
		"every 25h":                                      func(d *Definition) { d.Schedules = []Schedule{{Kind: Interval, Every: 25 * time.Hour}} },
		"is no date":                                     func(d *Definition) { d.Schedules = []Schedule{{Kind: Once, Date: Date{2026, 2, 30}}} },
		`kind "x" is unknown`:                            func(d *Definition) { d.Schedules = []Schedule{{Kind: "x"}} },
		`type "x" is none of`:                            func(d *Definition) { d.Schedules = []Schedule{{Type: "x"}} },
		"a delay of 1d reaches the next run":             func(d *Definition) { d.Schedules = []Schedule{{Delay: 24 * time.Hour}} },
		"a delay of 1h reaches":                          func(d *Definition) { d.Schedules = []Schedule{{Kind: Interval, Every: time.Hour, Delay: time.Hour}} },
		"either skipped or made up":                      func(d *Definition) { d.Schedules = []Schedule{{Missed: Missed{true, time.Hour}}} },
		"minute 1440 is not of a day":                    func(d *Definition) { d.Schedules = []Schedule{{At: 1440}} },
		"a time of 1.5s: whole seconds":                  func(d *Definition) { d.Limits.Duration = 1500 * time.Millisecond },
		"plan, retention: minimum of free space":         func(d *Definition) { d.Retention.MinFree = 1 },
		"encryption needs a password":                    func(d *Definition) { d.Options.Encrypt = "aes-256" },
		"options, password: a file, a protected file or": func(d *Definition) { d.Options.Password = PasswordRef{File: "/a", Protected: "/b"} },
		`options, password: file "a" is not absolute`:    func(d *Definition) { d.Options.Password.File = "a" },
		"a command is a program by its absolute path":    func(d *Definition) { d.Options.Password.Command = []string{"cat", "/a"} },
		"all sectors are to be copied":                   func(d *Definition) { d.Options.AllSectors, d.Options.Exclude = true, []string{"a"} },
		"block-size 5K":                                  func(d *Definition) { d.Options.BlockSize = 5 << 10 },
		"a rate of 1 a second":                           func(d *Definition) { d.Options.Rate = 1 },
		"min-battery":                                    func(d *Definition) { d.Conditions.MinBattery = 5 },
		"hook: at":                                       func(d *Definition) { d.Hooks = []Hook{{Command: []string{"/a"}}} },
		"the run is over then":                           func(d *Definition) { d.Hooks = []Hook{{At: AfterSuccess, Stop: true, Command: []string{"/a"}}} },
		"notify, mail: without encryption everybody":     func(d *Definition) { d.Notify.Mail = []Mail{{Host: "a", From: "a@b", Security: MailPlain, User: "u"}} },
		"notify, mail: a user goes with a password":      func(d *Definition) { d.Notify.Mail = []Mail{{Host: "a", From: "a@b", User: "u"}} },
		`from "x" is no mail address`:                    func(d *Definition) { d.Notify.Mail = []Mail{{Host: "a", From: "x"}} },
		"notify, mail, failure: template":                func(d *Definition) { d.Notify.Mail = []Mail{{Host: "a", From: "a@b", Failure: Message{Body: "{{"}}} },
		"a subject has one line": func(d *Definition) {
			d.Notify.Mail = []Mail{{Host: "a", From: "a@b", Failure: Message{Subject: "a\nb"}}}
		},
		`"https://" is no address`:                           func(d *Definition) { d.Notify.Webhooks = []Webhook{{URL: "https://"}} },
		`notify, ping: "file:///etc/passwd" is no address`:   func(d *Definition) { d.Notify.Pings = []Ping{{URL: "file:///etc/passwd"}} },
		"the collector reads files whose names end in .prom": func(d *Definition) { d.Notify.Metrics = "/a" },
		"after: even-if-failed goes with power":              func(d *Definition) { d.After.EvenIfFailed = true },
		`after: power "explode"`:                             func(d *Definition) { d.After.Power = "explode" },
	} {
		d := good()
		change(&d)
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
