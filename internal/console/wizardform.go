package console

import (
	"net/url"
	"slices"
	"strings"

	"ingot/internal/console/draft"
)

// mostPlaces is how many places a draft may name.
const mostPlaces = 8

// read takes what was typed at the step into the draft. The bounds of a draft are
// the service's.
func (x *wizard) read(f url.Values) {
	switch x.Step {
	case draft.What:
		x.readWhat(f)
	case draft.Where:
		x.readWhere(f)
	case draft.When:
		x.readWhen(f)
	case draft.Options:
		x.readOptions(f)
	case draft.Summary:
		x.Draft.Name, x.Draft.Comment = f.Get("name"), unix(f.Get("comment"))
	}
}

// unix is a text of several lines as the form sent it, with the ends of lines
// that files have.
func unix(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func (x *wizard) readWhat(f url.Values) {
	if f.Get("windows") == "yes" && len(f["disk"]) == 0 && len(f["part"]) == 0 {
		return // what it stands for is found when it runs
	}
	x.Draft.Pick(x.facts.Disks, f["disk"], f["part"])
}

func (x *wizard) readWhere(f url.Values) {
	d := x.Draft
	d.Places = nil
	for _, path := range f["place"] {
		if path = strings.TrimSpace(path); path != "" && len(d.Places) < mostPlaces {
			d.Places = append(d.Places, path)
		}
	}
	if len(d.Places) == 0 {
		d.Places = []string{""}
	}
	d.Rotate, d.FileName = f.Get("rotate") == "yes", f.Get("file-name")
}

func (x *wizard) readWhen(f url.Values) {
	d := x.Draft
	if t := f.Get("template"); t != d.Template {
		if t == "" || slices.ContainsFunc(templateCards, func(c templateCard) bool { return c.Name == t }) {
			d.Take(t)
			return // the rows in the form are those of the other
		}
	}
	for i := range d.Rows {
		get := func(what string) string { return f.Get(draft.RowField(i, what)) }
		d.Rows[i] = draft.Row{Kind: get("kind"), At: get("at"), Day: get("day"), Hours: get("hours"), From: get("from"), To: get("to")}
		d.Keep[i] = draft.Keep{On: get("on") == "yes", N: get("keep"), Unit: get("unit")}
	}
	d.Missed, d.Minimum, d.MinFree = f.Get("missed"), f.Get("minimum"), f.Get("min-free")
	d.Before, d.AllSets, d.Rolled = f.Get("before") == "yes", f.Get("all-sets") == "yes", f.Get("rolled") == "yes"
}

func (x *wizard) readOptions(f url.Values) {
	yes := func(name string) bool { return f.Get(name) == "yes" }
	x.Draft.Options = draft.Choices{
		Compression: f.Get("compression"), Password: f.Get("password"), PasswordFile: f.Get("password-file"), PasswordCommand: f.Get("password-command"),
		Verify: yes("verify"), AllSectors: yes("all-sectors"), Exclude: unix(f.Get("exclude")), Split: f.Get("split"), Normal: yes("normal"),
		Rate: f.Get("rate"), Battery: f.Get("battery"), AllowMounted: yes("allow-mounted"), Detach: yes("detach"), Power: f.Get("power"),
		Desktop: yes("desktop"), AlertAfter: f.Get("alert"),
	}
}
