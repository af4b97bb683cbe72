package draft

import (
	"strings"

	"ingot/internal/plan"
)

// Steps of the wizard, by number and by the word in their address.
const (
	What = iota
	Where
	When
	Options
	Summary
)

// Words are the steps in addresses.
var Words = [...]string{"what", "where", "when", "options", "summary"}

// Names are the steps as people read them.
var Names = [...]string{"What", "Where", "When and how long", "Options", "Summary"}

// Kind is the service.Draft.Kind of these drafts.
const Kind = "image"

// Draft is what was ticked and typed. It never holds a password.
type Draft struct {
	Done  int      // steps that were finished: each below it may be opened
	Asked []string `json:",omitempty"` // codes of the warnings that were shown and passed

	// Windows is "what Windows needs to start", found at each run. Then there are
	// no Disks.
	Windows bool   `json:",omitempty"`
	Disks   []Disk `json:",omitempty"` // that something of is ticked

	Places   []string // in their order
	Rotate   bool     `json:",omitempty"`
	FileName string   `json:",omitempty"`

	Template string
	Rows     [3]Row  // when: full, differential, incremental
	Keep     [3]Keep // how long: of the same types
	Missed   string  // "12h", "always", "never"
	Minimum  string  // points that stay at least
	MinFree  string  // GiB
	Before   bool    `json:",omitempty"` // clean up before the backup
	AllSets  bool    `json:",omitempty"`
	Rolled   bool    `json:",omitempty"` // incremental for ever: the full is rolled forward

	Options Choices

	Name, Comment string
}

// Types are the types of Rows and Keep.
var Types = [3]plan.Type{plan.Full, plan.Differential, plan.Incremental}

// Disk is a disk with what is ticked of it.
type Disk struct {
	Key   string // finds it again in forms and lists
	Name  string // for people: "Samsung SSD 870"
	ID    plan.DiskID
	Whole bool // all partitions, those of tomorrow too
	Parts []Part
}

// Part is a ticked partition.
type Part struct {
	plan.PartitionID
	Name string // for people
}

// Row is when backups of a type are made.
type Row struct {
	Kind string // see rowKinds; "" is off
	At   string // "21:00"
	Day  string // of the week: "sun"
	// Hours, From and To are for "hours": every so many, between two times.
	Hours, From, To string
}

// Keep is how many backups of a type, or for how long.
type Keep struct {
	On   bool `json:",omitempty"`
	N    string
	Unit string // backups, days, weeks, months
}

// Choices are what step 4 asks for.
type Choices struct {
	Compression     string
	Password        string // "", file, command: where it is, never what it is
	PasswordFile    string
	PasswordCommand string // program and arguments, a blank between them
	Verify          bool
	AllSectors      bool
	Exclude         string // patterns, one on a line
	Split           string // "", or a size
	Normal          bool   // priority like any program's
	Rate            string // MiB a second
	Battery         string // percent below which it does not begin; "" begins always
	AllowMounted    bool
	Detach          bool
	Power           string
	Desktop         bool
	AlertAfter      string // days
}

// New is a draft with the defaults. system is runtime.GOOS of the machine.
func New(system string) *Draft {
	d := &Draft{
		Windows: system == "windows", Places: []string{""}, Missed: "12h", Minimum: "3", MinFree: "5",
		Options: Choices{Compression: "medium", Verify: true, Battery: "30", AlertAfter: "7", AllowMounted: false},
	}
	d.Name = "System"
	if d.Windows {
		d.Name = "Windows system"
	}
	d.Take("gfs")
	return d
}

// Take takes schedules and retention of a template, at 21:00; "" is by hand only.
func (d *Draft) Take(name string) {
	d.Template, d.Rows, d.Rolled = name, [3]Row{}, false
	for i := range d.Rows {
		d.Rows[i] = Row{At: "21:00", Day: "sun", Hours: "4", From: "08:00", To: "20:00"}
	}
	d.Keep = [3]Keep{{N: "3", Unit: "backups"}, {N: "6", Unit: "backups"}, {N: "14", Unit: "backups"}}
	for _, t := range plan.Templates() {
		if t.Name != name {
			continue
		}
		for _, s := range t.Schedules {
			if i := place(s.Type); s.Kind == plan.Monthly {
				d.Rows[i].Kind = "month-first"
			} else if s.Days != 0 {
				d.Rows[i].Kind = "week"
			} else {
				d.Rows[i].Kind = "day"
			}
		}
		r := t.Retention
		for i, k := range []plan.Keep{r.Full, r.Differential, r.Incremental} {
			if k.On() {
				n, unit, _ := strings.Cut(k.String(), " ")
				d.Keep[i] = Keep{On: true, N: n, Unit: strings.TrimSuffix(unit, "s") + "s"}
			}
		}
		d.Rolled = r.SyntheticFull
	}
}

// place is where a type stands in Types; "" is incremental.
func place(t plan.Type) int {
	switch t {
	case plan.Full:
		return 0
	case plan.Differential:
		return 1
	}
	return 2
}
