package job

import (
	"testing"
	"time"
)

func TestOverdue(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	ended := func(n int, s Status) Report { return Report{Status: s, Ended: day(n)} }
	for _, c := range []struct {
		name    string
		history []Report
		limit   int // days
		since   int
		overdue bool
	}{
		{"never run, known long", nil, 7, 1, true},
		{"never run, but no limit", nil, 0, 1, false},
		{"a success within the limit", []Report{ended(18, Success)}, 7, 18, false},
		{"exactly the limit", []Report{ended(13, Success)}, 7, 13, false},
		{"one day more", []Report{ended(12, Success)}, 7, 12, true},
		{"warnings count as a backup", []Report{ended(18, Warned)}, 7, 18, false},
		{"failures and skipped runs do not", []Report{ended(5, Success), ended(18, Failed), ended(19, Skipped), ended(19, Stopped)}, 7, 5, true},
		{"any order", []Report{ended(18, Success), ended(5, Success)}, 7, 18, false},
		{"a clock that was put back", []Report{ended(29, Success)}, 7, 20, false},
	} {
		since, overdue := Overdue(c.history, day(1), day(20), time.Duration(c.limit)*24*time.Hour)
		if !since.Equal(day(c.since)) || overdue != c.overdue {
			t.Errorf("%s: %s, %v; want day %d, %v", c.name, since, overdue, c.since, c.overdue)
		}
	}
}
