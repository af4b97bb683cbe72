package console

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/result"
)

// What one page of points shows at the most.
const (
	maxPoints = 300
	maxLanes  = 24
	maxListed = 200 // of what is listed apart
)

// pointsBody is the page of a folder with images, or without one the page that
// asks for it.
type pointsBody struct {
	Folder, Say, Mark string
	Wrong, Fix        string // why the folder cannot be read
	Known             []knownFolder
	Line              *lines
	Rows              []pointRow
	Cut               []cutSet
	Unreadable        []named
	Windows           []windowsRow
	Range             string
	Newer, Older      string
}

// knownFolder is one to choose.
type knownFolder struct{ Path, Link, From string }

// named is a file and what there is to say of it.
type named struct{ Name, Say string }

// lines is a timeline with its glyphs.
type lines struct {
	view.Timeline
	Label string
}

// Glyph draws a point.
func (lines) Glyph(m view.Mark) template.HTML {
	return template.HTML(glyph(letterOf(m.Type), m.X, m.Y, 1))
}

// letterOf is the letter of a type of backup, as glyph has it.
func letterOf(kind string) rune {
	switch kind {
	case "full":
		return 'F'
	case "differential":
		return 'D'
	}
	return 'I'
}

// pointRow is a point in the table.
type pointRow struct {
	When, RFC, Type, Set, File, Link string
	Size                             int64
	Others                           int // files that it needs besides its own
	Wrong                            string
}

// cutSet is a set of which not all points can be restored, or that holds files
// of no use.
type cutSet struct {
	Name, Whole string
	Missing     []string
	Files       []named
}

// windowsRow is a system image that Windows made.
type windowsRow struct {
	Computer, When, Link string
	Whole                bool
	Volumes              []windowsVolume
	Problems             []string
}

type windowsVolume struct {
	Name, File string
	Size, Disk int64
}

// pointsPage answers with what a folder holds.
func (c *Console) pointsPage(w http.ResponseWriter, r *http.Request) {
	b := &pointsBody{Folder: r.FormValue("folder")}
	status := http.StatusOK
	if b.Folder != "" {
		status = c.fillPoints(r, b)
	}
	b.Known = c.knownFolders(r.Context(), b.Folder)
	b.Folder = view.Text(b.Folder)
	c.show(w, r, status, "points", &Page{Title: "Restore points", Nav: "points", Body: b})
}

// fillPoints reads the folder. What goes wrong is said on the page, beside the
// form in which another one can be named.
func (c *Console) fillPoints(r *http.Request, b *pointsBody) int {
	p, err := placeOf(r)
	if err == nil && c.Images == nil {
		err = errNoImages
	}
	if err != nil {
		b.Wrong = view.Text(err.Error())
		return http.StatusBadRequest
	}
	ctx, stop := context.WithTimeout(r.Context(), asking)
	defer stop()
	f, err := c.readFolder(ctx, p.Folder)
	if err != nil {
		b.Wrong, b.Fix = said(err)
		return http.StatusBadGateway
	}
	from, _ := strconv.Atoi(r.FormValue("from"))
	now := time.Now()
	b.sum(&f, now)
	b.fill(p, f.Sets, max(from, 0), now)
	b.fillWindows(f.Windows)
	for _, u := range f.Broken[:min(len(f.Broken), maxListed)] {
		b.Unreadable = append(b.Unreadable, named{view.Text(u.File), view.Text(u.Error)})
	}
	return http.StatusOK
}

// sum makes the first sentence.
func (b *pointsBody) sum(f *result.Folder, now time.Time) {
	h := view.Held{Windows: len(f.Windows), Unreadable: len(f.Broken)}
	newestFirst(f.Sets)
	for i := range f.Sets {
		s := &f.Sets[i]
		if len(s.Points) > 0 && s.Host != "" && !slices.Contains(h.Hosts, s.Host) {
			h.Hosts = append(h.Hosts, s.Host)
		}
		for k := range s.Points {
			p := &s.Points[k]
			h.Points++
			if p.Missing != "" {
				h.Broken++
			}
			if h.Oldest.IsZero() || p.Time.Before(h.Oldest) {
				h.Oldest = p.Time
			}
		}
	}
	b.Say = h.Say(now)
	if h.Broken+h.Unreadable > 0 {
		b.Mark = "warn"
	}
}

// newestFirst sorts sets by their last point, and the points of each by time.
func newestFirst(sets []result.Set) {
	last := func(s result.Set) (t time.Time) {
		if n := len(s.Points); n > 0 {
			t = s.Points[n-1].Time
		}
		return t
	}
	for i := range sets {
		slices.SortStableFunc(sets[i].Points, func(a, b result.Point) int { return a.Time.Compare(b.Time) })
	}
	slices.SortStableFunc(sets, func(a, b result.Set) int { return last(b).Compare(last(a)) })
}

// fill shows a page of the points: maxPoints of them after the first from ones,
// counted from the newest of the newest set, in no more than maxLanes sets.
func (b *pointsBody) fill(p place, sets []result.Set, from int, now time.Time) {
	var all []view.Lane
	at, shown, total := 0, 0, 0
	for i := range sets {
		s := &sets[i]
		n := len(s.Points)
		total += n
		b.addCut(s, now)
		// Of this set the points [low, high) belong to the page.
		high := n - max(min(from-at, n), 0)
		low := max(high-(maxPoints-shown), 0)
		at += n
		if high <= low || len(all) == maxLanes {
			continue
		}
		all = append(all, b.addSet(p, s, low, high, now))
		shown += high - low
	}
	if shown > 0 {
		b.Line = &lines{view.Draw(all, now), "Timeline of " + view.Count(shown, "restore point") + "; the table below says the same"}
	}
	b.pages(p, from, shown, total)
}

// pages are the links to the points before and behind.
func (b *pointsBody) pages(p place, from, shown, total int) {
	link := func(from int) string {
		return p.at("/points") + "&" + url.Values{"from": {strconv.Itoa(from)}}.Encode()
	}
	if from > 0 {
		b.Newer = link(max(from-maxPoints, 0))
	}
	if from+shown < total && shown > 0 {
		b.Older = link(from + shown)
	}
	if b.Newer != "" || b.Older != "" {
		b.Range = "Points " + strconv.Itoa(min(from+1, total)) + " to " + strconv.Itoa(from+shown) + " of " + strconv.Itoa(total) + ", the newest first."
	}
}

// addSet adds the rows of a set, the newest first, and gives its lane.
func (b *pointsBody) addSet(p place, s *result.Set, low, high int, now time.Time) view.Lane {
	lane := view.Lane{Name: "Set of " + setDay(s, now), Note: view.Bytes(s.Size)}
	lane.Marks = marksOf(p, s)[low:high]
	for k := high - 1; k >= low; k-- {
		o := &s.Points[k]
		b.Rows = append(b.Rows, pointRow{
			When: when(o.Time), RFC: o.Time.Format(time.RFC3339), Type: view.Kind(o.Type), Set: lane.Name, File: view.Text(o.File), Size: o.Size,
			Link: pointPlace(p, o).at("/points/point"), Others: max(len(o.Files)-1, 0), Wrong: view.Text(o.Missing),
		})
	}
	return lane
}

// setDay is the day a set is called by: that of its first point.
func setDay(s *result.Set, now time.Time) string {
	return view.ShortDay(s.Points[0].Time, now)
}

func pointPlace(p place, o *result.Point) place { return place{Folder: p.Folder, File: o.File} }

// marksOf are the points of a set, for a timeline.
func marksOf(p place, s *result.Set) []view.Mark {
	out := make([]view.Mark, len(s.Points))
	for i := range s.Points {
		o := &s.Points[i]
		name := view.Kind(o.Type) + ", " + when(o.Time)
		if o.Missing != "" {
			name += ", cannot be restored"
		}
		out[i] = view.Mark{Type: view.Kind(o.Type), Time: o.Time, Name: name, Link: pointPlace(p, o).at("/points/point"), Broken: o.Missing != ""}
	}
	return out
}

// addCut tells of a set that is not whole.
func (b *pointsBody) addCut(s *result.Set, now time.Time) {
	const most = 5
	c := cutSet{Name: "Set " + view.Text(s.ID)}
	if len(s.Points) > 0 {
		c.Name = "Set of " + setDay(s, now)
	}
	bad := 0
	for i := range s.Points {
		if s.Points[i].Missing == "" {
			continue
		}
		bad++
		if say := view.Text(s.Points[i].Missing); len(c.Missing) < most && !slices.Contains(c.Missing, say) {
			c.Missing = append(c.Missing, say)
		}
	}
	if len(c.Missing) == most {
		c.Missing = append(c.Missing, "… and so on: the table says it of each point.")
	}
	if bad > 0 {
		c.Whole = view.Whole(marksOf(place{}, s), now)
	}
	for _, name := range s.Leftover[:min(len(s.Leftover), maxListed)] {
		c.Files = append(c.Files, named{view.Text(name), "left by a consolidation that was cut short"})
	}
	for _, name := range s.Orphans[:min(len(s.Orphans), maxListed)] {
		c.Files = append(c.Files, named{view.Text(name), "part of a split backup whose last file is missing, of no use by itself"})
	}
	if (bad > 0 || len(c.Files) > 0) && len(b.Cut) < maxListed {
		b.Cut = append(b.Cut, c)
	}
}

func (b *pointsBody) fillWindows(all []result.WindowsImage) {
	slices.SortStableFunc(all, func(x, y result.WindowsImage) int { return y.Begun.Compare(x.Begun) })
	for i := range all[:min(len(all), maxListed)] {
		o := &all[i]
		row := windowsRow{Computer: view.Text(o.Computer), When: begun(o.Begun), Link: place{Folder: o.Folder}.at("/points/point"), Whole: o.Whole}
		for _, v := range o.Volumes {
			row.Volumes = append(row.Volumes, windowsVolume{view.Text(v.Name), view.Text(filepath.Base(v.File)), v.Size, v.Disk})
		}
		for _, p := range o.Problems {
			row.Problems = append(row.Problems, view.Text(p))
		}
		b.Windows = append(b.Windows, row)
	}
}

// begun is when a backup of Windows was made, which may not be known.
func begun(t time.Time) string {
	if t.IsZero() {
		return "at a time not known"
	}
	return when(t)
}

// knownFolders are those opened before and those that definitions write to.
func (c *Console) knownFolders(ctx context.Context, but string) (out []knownFolder) {
	seen := map[string]bool{but: true}
	add := func(path, from string) {
		if !seen[path] && filepath.IsAbs(path) {
			seen[path] = true
			out = append(out, knownFolder{view.Text(path), place{Folder: path}.at("/points"), view.Text(from)})
		}
	}
	for _, path := range c.memory.paths() {
		add(path, "opened before")
	}
	if c.Service == nil {
		return out
	}
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	st, err := c.Service.Status(ctx)
	if err != nil {
		return out // restore points need no service
	}
	for i := range st.Definitions {
		d := &st.Definitions[i]
		for _, path := range d.Places {
			add(path, "written to by "+cmp.Or(d.Comment, d.Name))
		}
	}
	return out[:min(len(out), 100)]
}
