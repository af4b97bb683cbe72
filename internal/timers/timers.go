package timers

import (
	"fmt"
	"strings"
	"time"

	"ingot/internal/plan"
)

// File is a file to write.
type File struct {
	Name string
	Data []byte
}

// Options say what the files start.
type Options struct {
	Program string // absolute path of ingot
	// Definition is the name of the definition, or the absolute path of its file.
	Definition string
}

// typeFlag is the flag of ingot run for a type.
func typeFlag(t plan.Type) string {
	switch t {
	case plan.Full:
		return "--full"
	case plan.Differential:
		return "--diff"
	}
	return "--inc"
}

// slug is the name of a definition as a part of file names.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name)
}

// minutesOf are the times of the day of an Interval, in minutes; ok is false when
// its window is over midnight.
func minutesOf(s *plan.Schedule) (minutes []int, ok bool) {
	end := int(s.To)
	switch {
	case s.From == s.To:
		if s.From != 0 {
			return nil, false
		}
		end = 24*60 - 1
	case s.To < s.From:
		return nil, false
	}
	for m := int(s.From); m <= end; m += int(s.Every / time.Minute) {
		minutes = append(minutes, m)
	}
	return minutes, true
}

// together notes that the system starts each schedule by itself.
func together(d *plan.Definition) []string {
	types := map[plan.Type]bool{}
	for _, s := range d.Schedules {
		t := s.Type
		if t == plan.Incremental {
			t = ""
		}
		types[t] = true
	}
	var notes []string
	if len(types) > 1 {
		notes = append(notes, "schedules of several types that are due together are started one after the other, where the service makes one run of them: leave the day of the larger one out of the smaller one's days")
	}
	if len(d.Schedules) == 0 {
		notes = append(notes, "the definition has no schedules")
	}
	return notes
}

func unsupported(i int, s *plan.Schedule, why string) string {
	return fmt.Sprintf("schedule %d (%s) is not exported: %s", i+1, s.String(), why)
}
