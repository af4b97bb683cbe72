package view

import (
	"fmt"
	"strings"
	"time"
)

// Held is what a folder holds, in numbers.
type Held struct {
	Hosts          []string // whose points they are, the one with the newest first
	Points, Broken int      // Broken of the Points cannot be restored
	Oldest         time.Time
	Windows        int // system images that Windows wrote
	Unreadable     int // files that look like images
}

// Say tells it in a sentence or two. That files are there is all it knows: it
// never says that something was verified.
func (h Held) Say(now time.Time) string {
	var out []string
	if h.Points > 0 {
		first := Count(h.Points, "point")
		if len(h.Hosts) > 0 {
			first += " of " + hosts(h.Hosts)
		}
		out = append(out, first+", back to "+Day(h.Oldest, now)+".", able(h.Points, h.Broken))
	}
	if h.Windows > 0 {
		out = append(out, Count(h.Windows, "system image")+" that Windows made.")
	}
	if h.Unreadable > 0 {
		out = append(out, Count(h.Unreadable, "file")+" cannot be read.")
	}
	if len(out) == 0 {
		return "No restore point here yet."
	}
	return strings.Join(out, " ")
}

// able says how many points can be restored.
func able(points, broken int) string {
	switch {
	case broken == 0 && points == 1:
		return "It can be restored."
	case broken == 0:
		return "All can be restored."
	case broken == points && points == 1:
		return "It cannot be restored: a file is missing."
	case broken == points:
		return "None can be restored: files are missing."
	}
	return fmt.Sprintf("%d cannot be restored: files are missing.", broken)
}

func hosts(names []string) string {
	switch n := len(names); n {
	case 1:
		return Text(names[0])
	case 2:
		return Text(names[0]) + " and " + Text(names[1])
	default:
		return fmt.Sprintf("%s and %d others", Text(names[0]), n-1)
	}
}

// Kind is the type of a backup in a whole word.
func Kind(kind string) string {
	switch kind {
	case "inc":
		return "incremental"
	case "diff":
		return "differential"
	}
	return Text(kind)
}

// Count is a number of things.
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Day is a date, with its year when that is another one than now's.
func Day(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Year() == now.Year() {
		return t.Format("2 January")
	}
	return t.Format("2 January 2006")
}

// ShortDay is the same in less room.
func ShortDay(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Year() == now.Year() {
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// Link is a file of the chain that a point needs.
type Link struct {
	Type string // full, differential, incremental; "" when it is a part of another one
	Time time.Time
}

// Needs says what a point needs besides its own file: those that begin and
// branch a chain by their day, increments by their number.
func Needs(chain []Link, now time.Time) string {
	var out []string
	increments, parts := 0, 0
	for _, l := range chain {
		switch l.Type {
		case "incremental":
			increments++
		case "":
			parts++
		default:
			out = append(out, "the "+l.Type+" of "+Day(l.Time, now))
		}
	}
	if increments > 0 {
		out = append(out, Count(increments, "incremental"))
	}
	if parts > 0 {
		out = append(out, Count(parts, "other file"))
	}
	if len(out) == 0 {
		return "nothing else"
	}
	return strings.Join(out, ", ")
}

// Whole says which points of a set with a broken chain can be restored all the
// same, by runs of neighbours; marks are in order of time.
func Whole(marks []Mark, now time.Time) string {
	const most = 4
	var runs []string
	for i := 0; i < len(marks); i++ {
		if marks[i].Broken {
			continue
		}
		k := i
		for k+1 < len(marks) && !marks[k+1].Broken {
			k++
		}
		run := Day(marks[i].Time, now)
		if last := Day(marks[k].Time, now); last != run {
			run += " to " + last
		}
		runs = append(runs, fmt.Sprintf("%s (%s)", run, Count(k-i+1, "point")))
		i = k
	}
	switch n := len(runs); {
	case n == 0:
		return "None of its points can be restored."
	case n > most:
		runs = append(runs[n-most:], fmt.Sprintf("and %d older stretches", n-most))
	}
	return "Still whole: " + strings.Join(runs, ", ") + "."
}
