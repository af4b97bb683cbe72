package view

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// ago is a point made some days before noon.
func ago(days float64, kind string) Mark {
	return Mark{Type: kind, Time: noon.Add(-time.Duration(days * 24 * float64(time.Hour)))}
}

func TestDrawPlacesPointsInOrder(t *testing.T) {
	for name, marks := range map[string][]Mark{
		"one":         {ago(3, "full")},
		"old one":     {ago(900, "full")},
		"two":         {ago(40, "full"), ago(0.1, "incremental")},
		"folded":      {ago(300, "full"), ago(200, "differential"), ago(31, "incremental"), ago(2, "differential"), ago(0, "incremental")},
		"to come":     {ago(2, "full"), ago(-1, "incremental")},
		"same moment": {ago(2, "full"), ago(2, "incremental"), ago(2, "incremental")},
		"ages": {{Type: "full", Time: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)}, {Type: "incremental", Time: time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)},
			{Type: "incremental", Time: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}},
	} {
		d := Draw([]Lane{{Marks: marks}}, noon)
		last := lineLeft
		for i, m := range d.Lanes[0].Marks {
			if math.IsNaN(m.X) || m.X < last || m.X > d.Width-lineRight+0.01 || m.Y > d.Height {
				t.Errorf("%s: point %d at %.1f,%.1f of %.0f x %.0f, after %.1f", name, i, m.X, m.Y, d.Width, d.Height, last)
			}
			last = m.X
		}
		for i := 1; i < len(d.Ticks); i++ {
			if d.Ticks[i].X-d.Ticks[i-1].X < tickApart {
				t.Errorf("%s: dates touch: %v", name, d.Ticks)
			}
		}
	}
}

func TestDrawMakesOldTimeNarrower(t *testing.T) {
	d := Draw([]Lane{{Marks: []Mark{ago(330, "full"), ago(300, "differential"), ago(30, "differential"), ago(0, "differential")}}}, noon)
	m := d.Lanes[0].Marks
	if d.Fold == 0 || d.Now == 0 || (m[1].X-m[0].X)*3 > m[3].X-m[2].X {
		t.Errorf("fold %v, now %v, %v", d.Fold, d.Now, m)
	}
	d = Draw([]Lane{{Marks: []Mark{ago(50, "full"), ago(1, "full")}}}, noon)
	if d.Fold != 0 {
		t.Errorf("fold %v", d.Fold)
	}
	if d = Draw([]Lane{{Marks: []Mark{ago(500, "full"), ago(400, "full")}}}, noon); d.Now != 0 {
		t.Errorf("now is drawn at %v, a year after the last point", d.Now)
	}
	if d = Draw(nil, noon); d.Height != 0 {
		t.Error("nothing is drawn")
	}
}

func TestDrawIsBounded(t *testing.T) {
	var marks []Mark
	for i := range 2000 {
		marks = append(marks, ago(float64(2000-i)/100, "incremental"))
	}
	if d := Draw([]Lane{{Marks: marks}}, noon); d.Width != lineMost || len(d.Ticks) > 60 {
		t.Errorf("%.0f wide, %d dates", d.Width, len(d.Ticks))
	}
}

func TestDrawJoinsChains(t *testing.T) {
	broken := func(m Mark) Mark { m.Broken = true; return m }
	for _, c := range []struct {
		name  string
		marks []Mark
		lines string // r whole, b broken
		gaps  int
	}{
		{"full only", []Mark{ago(3, "full")}, "", 0},
		{"chain", []Mark{ago(9, "full"), ago(8, "incremental"), ago(7, "incremental"), ago(6, "differential"), ago(5, "incremental")}, "wwww", 0},
		{"cut", []Mark{ago(9, "full"), ago(8, "incremental"), broken(ago(6, "incremental")), broken(ago(5, "incremental")), ago(4, "differential")}, "wbbw", 1},
		{"no full", []Mark{broken(ago(9, "incremental")), broken(ago(8, "incremental"))}, "bb", 1},
		{"older ones elsewhere", []Mark{ago(9, "incremental"), ago(8, "incremental")}, "ww", 0},
	} {
		l := Draw([]Lane{{Marks: c.marks}}, noon).Lanes[0]
		var lines strings.Builder
		for _, line := range l.Lines {
			lines.WriteString(map[bool]string{true: "b", false: "w"}[line.Broken])
		}
		if lines.String() != c.lines || len(l.Gaps) != c.gaps {
			t.Errorf("%s: %s, %d gaps; want %s, %d", c.name, lines.String(), len(l.Gaps), c.lines, c.gaps)
		}
	}
}

func TestHeldSays(t *testing.T) {
	july := time.Date(2026, 7, 5, 9, 0, 0, 0, time.UTC)
	for want, h := range map[string]Held{
		"No restore point here yet.":                                                                 {},
		"27 points of STUDIO-PC, back to 5 July. All can be restored.":                               {Hosts: []string{"STUDIO-PC"}, Points: 27, Oldest: july},
		"1 point of A and B, back to 5 July. It can be restored.":                                    {Hosts: []string{"A", "B"}, Points: 1, Oldest: july},
		"9 points of A␊ and 2 others, back to 5 July 2024. 3 cannot be restored: files are missing.": {Hosts: []string{"A\n", "B", "C"}, Points: 9, Broken: 3, Oldest: july.AddDate(-2, 0, 0)},
		"2 points, back to 5 July. None can be restored: files are missing. 1 file cannot be read.":  {Points: 2, Broken: 2, Oldest: july, Unreadable: 1},
		"2 system images that Windows made.":                                                         {Windows: 2},
	} {
		if got := h.Say(noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestKind(t *testing.T) {
	for in, want := range map[string]string{"full": "full", "inc": "incremental", "diff": "differential", "new\n": "new␊"} {
		if got := Kind(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNeedsAndWhole(t *testing.T) {
	at := func(days float64, kind string) Link { m := ago(days, kind); return Link{m.Type, m.Time} }
	if got := Needs(nil, noon); got != "nothing else" {
		t.Error(got)
	}
	if got := Needs([]Link{at(24, "full"), at(10, "differential"), at(3, "incremental"), at(2, "incremental"), {}}, noon); got != "the full of 1 November, the differential of 15 November, 2 incrementals, 1 other file" {
		t.Error(got)
	}
	var marks []Mark
	for i := range 8 {
		m := ago(float64(20-i), "incremental")
		m.Broken = i > 2 && i < 6
		marks = append(marks, m)
	}
	if got := Whole(marks, noon); got != "Still whole: 5 November to 7 November (3 points), 11 November to 12 November (2 points)." {
		t.Error(got)
	}
	if got := Whole(marks[3:6], noon); got != "None of its points can be restored." {
		t.Error(got)
	}
	marks = nil
	for i := range 20 {
		m := ago(float64(20-i), "full")
		m.Broken = i%2 == 0
		marks = append(marks, m)
	}
	if got := Whole(marks, noon); !strings.Contains(got, "and 6 older stretches") {
		t.Error(fmt.Sprint(got))
	}
}
