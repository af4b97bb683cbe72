package console

import (
	"cmp"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"ingot/internal/console/draft"
	"ingot/internal/console/view"
	"ingot/internal/plan"
)

// wizardBody is a page of the wizard.
type wizardBody struct {
	*wizard
	Said     bool // it was asked to go on, and cannot yet
	System   string
	Problems []draft.Problem
	Earlier  []earlierProblem
	Day      int // of the calendar
	host     string
}

// earlierProblem is one of another step.
type earlierProblem struct{ Text, Step, Link string }

// stepLink is a step in the list at the top; one that may be opened has a link.
type stepLink struct {
	Name, Link string
	Done, Here bool
}

// Steps is the list at the top.
func (b *wizardBody) Steps() (out []stepLink) {
	for i, name := range draft.Names {
		s := stepLink{Name: name, Done: i < b.Draft.Done, Here: i == b.Step}
		if i <= b.Draft.Done && !s.Here {
			s.Link = stepAddress(b.ID, i)
		}
		out = append(out, s)
	}
	return out
}

// earlier gathers the errors of the steps before the summary.
func (b *wizardBody) earlier(all []draft.Problem) {
	for step := range draft.Summary {
		for _, p := range draft.Of(all, step) {
			if p.Level == draft.Error {
				b.Earlier = append(b.Earlier, earlierProblem{p.Text, draft.Names[step], stepAddress(b.ID, step) + "?said=1#problems"})
			}
		}
	}
}

// Errors says whether what is shown blocks.
func (b *wizardBody) Errors() bool { return len(b.Earlier) > 0 || draft.Blocked(b.Problems, b.Step) }

// Asks says whether there are warnings to be seen.
func (b *wizardBody) Asks() bool {
	for _, p := range b.Problems {
		if p.Level == draft.Warning {
			return true
		}
	}
	return false
}

// DisksErr is why the disks cannot be listed.
func (b *wizardBody) DisksErr() string {
	if b.disksErr == nil {
		return ""
	}
	return b.disksErr.Error()
}

// wizardDisk is a disk to tick.
type wizardDisk struct {
	Key, Name, Model, Serial, Bus, Scheme, Error string
	Size                                         int64
	Whole                                        bool
	Parts                                        []wizardPart
}

// wizardPart is a partition to tick.
type wizardPart struct {
	Key, Name, Kind, Type, FileSystem, How string
	Size                                   int64
	Used                                   string
	On                                     bool
}

// Disks are those to tick.
func (b *wizardBody) Disks() (out []wizardDisk) {
	for i := range b.facts.Disks {
		k := &b.facts.Disks[i]
		d := wizardDisk{Key: draft.DiskKey(k), Name: draft.DiskName(k.Path), Model: k.Model, Serial: k.Serial, Bus: k.Bus, Scheme: strings.ToUpper(k.Scheme), Size: k.Size, Error: k.Error}
		d.Whole = b.Draft.Whole(d.Key)
		for j := range k.Partitions {
			p := &k.Partitions[j]
			part := wizardPart{Key: draft.PartKey(k, p), Name: draft.PartName(p), Kind: partKind(p), Type: cmp.Or(p.TypeName, p.Type), FileSystem: p.FileSystem, Size: p.Size, Used: view.Bytes(p.Used), How: "used blocks", On: b.Draft.Ticked(d.Key, p.Off)}
			if p.Whole != "" {
				part.How, part.Used = "whole: "+p.Whole, "–"
			}
			d.Parts = append(d.Parts, part)
		}
		out = append(out, d)
	}
	return out
}

// Gone are the disks that are ticked and not there.
func (b *wizardBody) Gone() (out []draft.Disk) {
	for _, k := range b.Draft.Disks {
		there := false
		for i := range b.facts.Disks {
			there = there || draft.DiskKey(&b.facts.Disks[i]) == k.Key
		}
		if !there {
			out = append(out, k)
		}
	}
	return out
}

// Sizes is what there is to read.
func (b *wizardBody) Sizes() draft.Sizes { return b.Draft.Sizes(b.facts.Disks) }

// wizardPlace is a place with its checks.
type wizardPlace struct {
	Field, Path string
	Found       *draft.Place
	Steps       []placeStep
}

// placeStep is a check: its words, and whether it went well.
type placeStep struct{ Text, Mark string }

var stepWords = map[string]string{"found": "found", "folder": "a folder", "write": "can be written to", "where": "what it lies on is known", "apart": "not in the image"}

// PlaceRows are the places to name.
func (b *wizardBody) PlaceRows() (out []wizardPlace) {
	for i, path := range b.Draft.Places {
		p := wizardPlace{Field: draft.PlaceField(i), Path: path}
		if i < len(b.facts.Places) && b.facts.Places[i] != nil {
			p.Found = b.facts.Places[i]
			for _, s := range p.Found.Steps {
				mark := "ok"
				if s.Error != "" {
					mark = "fail"
				}
				p.Steps = append(p.Steps, placeStep{stepWords[s.Name], mark})
			}
		}
		out = append(out, p)
	}
	return out
}

// templateCard is a template to choose.
type templateCard struct{ Name, Title, Text, Pattern string }

var templateCards = []templateCard{
	{"gfs", "Grandfather, father, son", "Full each month, differential each week, incremental each day.", "FIIIIIIDIIIII"},
	{"differential", "Differential sets", "Full each month, differential each day. Fewest files per restore.", "FDDDDDDDDDDDD"},
	{"incremental", "Incremental sets", "Full each week, incremental each day.", "FIIIIIIFIIIII"},
	{"forever", "Incremental for ever", "One full, then increments; the full rolls forward. Least space.", "FIIIIIIIIIIII"},
	{"", "Only when I start it", "No schedule. You start each backup yourself.", "F"},
}

// Templates are the cards.
func (b *wizardBody) Templates() []templateCard { return templateCards }

// Picture draws the pattern of a template.
func (t templateCard) Picture() template.HTML {
	var s strings.Builder
	fmt.Fprintf(&s, `<svg width="176" height="16" viewBox="0 0 176 16" aria-hidden="true">`)
	for i, c := range t.Pattern {
		s.WriteString(glyph(c, 8+13*float64(i), 8, 0.8))
	}
	return template.HTML(s.String() + "</svg>")
}

// whenRow is a type of backup with its rule and how long it is kept.
type whenRow struct {
	Title, Glyph string
	I            int
	draft.Row
	draft.Keep
}

// Field names a field of the row in the form.
func (r whenRow) Field(what string) string { return draft.RowField(r.I, what) }

// Picture is the mark of the type.
func (r whenRow) Picture() template.HTML {
	return template.HTML(`<svg class="gl" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">` + glyph(rune(r.Glyph[0]), 8, 8, 1) + `</svg>`)
}

// Rows are the types of backups.
func (b *wizardBody) Rows() (out []whenRow) {
	for i, title := range []string{"Full", "Differential", "Incremental"} {
		out = append(out, whenRow{title, title[:1], i, b.Draft.Rows[i], b.Draft.Keep[i]})
	}
	return out
}

// RowKinds, Days and Units are lists to choose from.
func (b *wizardBody) RowKinds() [][2]string { return draft.RowKinds }

// Days are those of the week.
func (b *wizardBody) Days() [][2]string { return draft.Days }

// Units are what a number of backups to keep counts.
func (b *wizardBody) Units() []string { return []string{"backups", "days", "weeks", "months"} }

// day takes the day of the calendar that is looked at.
func (b *wizardBody) day(text string) {
	b.Day = 112
	if n, err := strconv.Atoi(text); err == nil {
		b.Day = min(max(n, 0), draft.Horizon-1)
	}
}

// XML is the definition as it will be saved, or why it cannot be.
func (b *wizardBody) XML() string {
	def, _ := b.Draft.Definition()
	data, err := (&plan.File{Definition: *def}).Encode()
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Command runs the definition once it is saved.
func (b *wizardBody) Command() string {
	name := "'" + strings.ReplaceAll(b.Draft.Name, "'", "") + "'"
	return "sudo ingot run " + name
}

// Sentences are the whole in words.
func (b *wizardBody) Sentences() []string {
	def, _ := b.Draft.Definition()
	s := b.Sizes()
	out := []string{b.whatSentence(s), b.whereSentence(def)}
	if len(def.Schedules) == 0 {
		out = append(out, "It runs only when you start it.")
	}
	for i := range def.Schedules {
		t := def.Schedules[i].Type
		if t == "" {
			t = plan.Incremental
		}
		out = append(out, fmt.Sprintf("%s: %s.", strings.ToUpper(t.String()[:1])+t.String()[1:], def.Schedules[i].String()))
	}
	r := def.Retention
	out = append(out, fmt.Sprintf("Kept: fulls %s, differentials %s, incrementals %s, and never fewer than %d.", keepWords(r.Full), keepWords(r.Differential), keepWords(r.Incremental), r.Least()))
	if def.Options.Password.Given() {
		out = append(out, "Encrypted: without the password nobody can open the images, we neither.")
	} else {
		out = append(out, "Not encrypted.")
	}
	return out
}

func keepWords(k plan.Keep) string {
	if !k.On() {
		return "all"
	}
	return k.String()
}

func (b *wizardBody) whatSentence(s draft.Sizes) string {
	if b.Draft.Windows {
		return "What Windows needs to start goes into one image; which partitions that is, is found at each run."
	}
	var names []string
	for _, k := range b.Draft.Disks {
		what := fmt.Sprintf("%d partitions of %s", len(k.Parts), k.Name)
		if k.Whole {
			what = "all of " + k.Name
		} else if len(k.Parts) == 1 {
			what = "1 partition of " + k.Name
		}
		names = append(names, what)
	}
	return fmt.Sprintf("%s: about %s the first time.", strings.Join(names, ", "), view.Bytes(s.Expected))
}

func (b *wizardBody) whereSentence(def *plan.Definition) string {
	var paths []string
	for _, d := range def.Destinations {
		paths = append(paths, d.Path)
	}
	joint := ", else to "
	if def.Rotate {
		joint = " in turn with "
	}
	return "It goes to " + strings.Join(paths, joint) + " as " + cmp.Or(def.FileName, "{IMAGEID}") + "."
}

// calendarRow is a run in the table under the calendar.
type calendarRow struct {
	Date, Type, State string
	Points            int
}

// Calendar is the drawing of the coming weeks with the day that is looked at.
type Calendar struct {
	SVG                 template.HTML
	Date, Oldest, First string
	Count, Last         int
	Rows                []calendarRow
	Peak                string
}

// Calendar draws what will be; nil when there is nothing planned by the clock.
func (b *wizardBody) Calendar() *Calendar {
	cal := b.facts.Calendar
	if cal == nil || len(cal.Runs) == 0 {
		return nil
	}
	from := cal.From
	start := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, from.Location())
	end := start.AddDate(0, 0, b.Day+1).Add(-time.Nanosecond)
	held := map[int64]bool{}
	out := &Calendar{Date: end.Format("Mon 2 Jan 2006"), First: start.Format(time.DateOnly), Last: draft.Horizon - 1}
	for _, p := range cal.At(end) {
		if held[p.Time.UnixNano()] = true; out.Oldest == "" {
			out.Oldest = p.Time.In(from.Location()).Format("2 Jan 2006")
		}
		out.Count++
	}
	days := make([]calendarDay, draft.Horizon)
	for _, r := range cal.Runs {
		local := r.Time.In(from.Location())
		state := "merged or gone"
		switch {
		case r.Time.After(end):
			state = "still to come"
		case held[r.Time.UnixNano()]:
			state = "there"
		}
		out.Rows = append(out.Rows, calendarRow{local.Format("Mon 2 Jan 2006, 15:04"), r.Type.String(), state, r.Points})
		if n := dayNumber(start, local); n >= 0 && n < len(days) {
			days[n].add(letterOf(r.Type.String()), state)
		}
	}
	out.SVG = drawCalendar(start, days, b.Day)
	return out
}

// dayNumber is how many days of the calendar lie between two moments.
func dayNumber(start, t time.Time) int {
	utc := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	return int(utc(t).Sub(utc(start)).Hours() / 24)
}

// calendarDay is what a day has: of several runs the one that holds most, and of
// those one that is still there.
type calendarDay struct {
	letter rune
	state  string
}

func (d *calendarDay) add(letter rune, state string) {
	rank := func(c rune) int { return strings.IndexRune("\x00IDF", c) }
	if d.state == "there" && state != "there" || d.state == state && rank(letter) < rank(d.letter) {
		return
	}
	d.letter, d.state = letter, state
}

// drawCalendar draws weeks as columns, with a frame around one day.
func drawCalendar(start time.Time, days []calendarDay, at int) template.HTML {
	const cw, ch, left, top = 24.0, 22.0, 34.0, 20.0
	first := int(start.Weekday()+6) % 7
	w, h := left+cw*float64((len(days)+first+6)/7), top+ch*7+4
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="cal" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="Calendar of the coming %d days; the table below says the same">`, w, h, w, h, len(days))
	for i, name := range []string{"Mon", "", "Wed", "", "Fri", "", "Sun"} {
		fmt.Fprintf(&s, `<text class="cl" x="0" y="%.0f">%s</text>`, top+ch*float64(i)+15, name)
	}
	month := time.Month(0)
	for n, d := range days {
		x, y := left+cw*float64((n+first)/7)+cw/2, top+ch*float64((n+first)%7)+ch/2
		if t := start.AddDate(0, 0, n); t.Month() != month && t.Day() <= 7 {
			month = t.Month()
			fmt.Fprintf(&s, `<text class="cl" x="%.1f" y="12">%s</text>`, x-cw/2+2, t.Format("Jan"))
		}
		if class, some := map[string]string{"there": "pt", "merged or gone": "pt gone", "still to come": "pt future"}[d.state]; some {
			fmt.Fprintf(&s, `<g class="%s"><rect class="day" x="%.1f" y="%.1f" width="20" height="18" rx="4"/>%s</g>`, class, x-10, y-9, glyph(d.letter, x, y, 0.92))
		}
	}
	fmt.Fprintf(&s, `<rect class="cur" x="%.1f" y="%.1f" width="24" height="22" rx="6"/></svg>`, left+cw*float64((at+first)/7), top+ch*float64((at+first)%7))
	return template.HTML(s.String())
}
