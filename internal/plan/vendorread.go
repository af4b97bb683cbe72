package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// FromVendor makes a definition of one that an image embeds, as far as that goes.
// notTaken says what was left out, and why. The disks come with their signature
// and the numbers of partitions, which only the image can tell more of; it has no
// name. raw is not trusted: what comes of it passes Check once it has a name.
func FromVendor(raw []byte) (d *Definition, notTaken []string, err error) {
	var v VendorDefinition
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, nil, fmt.Errorf("read the definition in the image: %w", err)
	}
	if v.FileType == "file_and_folder" || v.Format == "file_and_folder" {
		return nil, nil, errors.New("the definition in the image is one of files and folders, not of disks")
	}
	t := &vendorTaker{v: &v, d: &Definition{}}
	t.sources()
	t.destinations()
	t.options()
	t.retention()
	t.others(raw)
	t.skip("the plan: schedules are not kept in images")
	return t.d, t.notTaken, nil
}

// vendorTaker takes a definition over, part by part.
type vendorTaker struct {
	v        *VendorDefinition
	d        *Definition
	notTaken []string
}

func (t *vendorTaker) skip(format string, args ...any) {
	t.notTaken = append(t.notTaken, fmt.Sprintf(format, args...))
}

// mostVendor is how many disks, partitions or locations are taken.
const mostVendor = 256

func (t *vendorTaker) sources() {
	for i, disk := range t.v.Disks {
		if i == mostVendor {
			t.skip("disks beyond the first %d", mostVendor)
			break
		}
		id := strings.ToUpper(disk.Signature)
		if err := (&simpleType{base: "xs:string", pattern: guidPattern + `|[0-9A-F]{8}`, max: maxText}).check(id, patterns{}); err != nil {
			t.skip("disk %d: %q is no signature that it could be found by", disk.Number, shorten(disk.Signature))
			continue
		}
		s := Source{Disk: DiskID{ID: id}}
		for _, n := range disk.Partitions[:min(len(disk.Partitions), mostVendor)] {
			if n > 0 && n <= 1<<16 {
				s.Partitions = append(s.Partitions, PartitionID{Number: n})
			}
		}
		if !slices.ContainsFunc(t.d.Sources, func(o Source) bool { return o.Disk.ID == id }) {
			t.d.Sources = append(t.d.Sources, s)
		}
	}
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// destinations takes the folder of the file and the alternative locations.
func (t *vendorTaker) destinations() {
	var paths []string
	if i := strings.LastIndexAny(t.v.FileName, `\/`); i > 0 {
		paths = append(paths, strings.TrimRight(t.v.FileName[:i+1], `\/`))
	}
	paths = append(paths, t.v.AlternativeLocations...)
	for _, p := range paths[:min(len(paths), mostVendor)] {
		if len(p) == 2 && p[1] == ':' {
			p += `\`
		}
		known := slices.ContainsFunc(t.d.Destinations, func(o Destination) bool { return o.Path == p })
		switch {
		case !Absolute(p) || len(p) > maxText:
			t.skip("the destination %q: no absolute path", shorten(p))
		case !known:
			t.d.Destinations = append(t.d.Destinations, Destination{Path: p})
		}
	}
}

func (t *vendorTaker) options() {
	o, v := &t.d.Options, t.v
	o.Verify, o.AllSectors = v.AutoVerify, !v.Intelligent
	t.d.Comment = strings.Map(func(r rune) rune {
		if strange(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, v.Comment)
	if len(t.d.Comment) > maxText {
		t.d.Comment = ""
		t.skip("the comment: it is too long")
	}
	if slices.Contains([]string{"none", "high"}, v.Compression) {
		o.Compression = v.Compression
	}
	switch v.CPU {
	case "idle":
		o.CPU = PriorityIdle
	case "normal":
		o.CPU = PriorityNormal
	case "above_normal":
		o.CPU = PriorityHigh
	}
	if name := v.FileNameTemplate; name != "" {
		probe := Definition{FileName: name}
		c := &checker{}
		if probe.checkFileName(c); len(c.errs) > 0 {
			t.skip("the name of files %q: it has fields that are not known here", shorten(name))
		} else {
			t.d.FileName = name
		}
	}
	if v.LimitFileSize {
		t.skip("the limit on the size of files: the layout does not say its unit; add split to <options>")
	}
	if s := v.Shutdown; s != nil && s.Enable {
		if p := PowerAction(s.Level); slices.Contains([]PowerAction{PowerShutDown, PowerHibernate, PowerSuspend, PowerReboot}, p) {
			t.d.After.Power = p
		}
	}
}

func (t *vendorTaker) retention() {
	s, r := t.v.Space, &t.d.Retention
	if s == nil {
		return
	}
	r.SyntheticFull = s.Forever || t.v.Consolidation == "synthetic_full"
	r.PurgeBefore = s.RunBefore
	if s.AllSets {
		r.Scope = AllSets
	}
	for _, l := range []struct {
		from VendorRetain
		to   *Keep
		of   Type
	}{{s.Full, &r.Full, Full}, {s.Differential, &r.Differential, Differential}, {s.Incremental, &r.Incremental, Incremental}} {
		if !l.from.Enable {
			continue
		}
		k := Keep{N: l.from.Interval, Unit: map[string]Unit{"days": Days, "weeks": Weeks}[l.from.Period]}
		if !k.On() || k.check() != nil || !slices.Contains([]string{"count", "days", "weeks"}, l.from.Period) {
			t.skip("how long %s backups are kept: %d %q", l.of, l.from.Interval, shorten(l.from.Period))
			continue
		}
		*l.to = k
	}
	if s.LowPurge && s.LowGB >= 1 && s.LowGB < 1<<20 {
		r.MinFree = s.LowGB * gib
	}
}

// others names what the definition has set and nothing was made of.
func (t *vendorTaker) others(raw []byte) {
	for _, e := range []struct {
		kind, to string
		on       bool
	}{
		{"success", t.email().SuccessRecipients, t.email().SuccessEnable},
		{"warnings", t.email().WarningRecipients, t.email().WarningEnable},
		{"failure", t.email().FailureRecipients, t.email().FailureEnable},
	} {
		if e.on {
			t.skip("mail about %s to %q: images do not name the mail server; add <mail> to <notify>", e.kind, shorten(e.to))
		}
	}
	var all map[string]any
	if json.Unmarshal(raw, &all) != nil {
		return
	}
	known := map[string]bool{}
	for i := range reflect.TypeFor[VendorDefinition]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[VendorDefinition]().Field(i).Tag.Get("json"), ",")
		known[name] = true
	}
	var names []string
	for name, v := range all {
		if !known[name] && v != nil && v != false && v != "" && name != "prefix_unique" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), 20)] {
		text, _ := json.Marshal(all[name])
		t.skip("%s: %s", shorten(name), shorten(string(text)))
	}
}

func (t *vendorTaker) email() *VendorEmail {
	if t.v.Email == nil {
		return &VendorEmail{}
	}
	return t.v.Email
}
