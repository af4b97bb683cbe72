package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Unit is what a Keep counts.
type Unit uint8

// The units.
const (
	Backups Unit = iota
	Days
	Weeks
	Months
)

var unitWords = [...]string{Backups: "backup", Days: "day", Weeks: "week", Months: "month"}

// Keep is a limit: the newest N backups, or those of the last N days, weeks or
// months. The zero value is no limit.
type Keep struct {
	N    int
	Unit Unit
}

// mostKeep is the largest N, far beyond any use and far from any overflow.
const mostKeep = 99999

// On says whether there is a limit.
func (k Keep) On() bool { return k.N > 0 }

func (k Keep) check() error {
	if k.N < 0 || k.N > mostKeep {
		return fmt.Errorf("%d is not within 0 (off) and %d", k.N, mostKeep)
	}
	if int(k.Unit) >= len(unitWords) {
		return fmt.Errorf("unit %d is unknown", k.Unit)
	}
	return nil
}

// String is the limit in the words that ParseKeep takes: "4 backups",
// "1 month", "off".
func (k Keep) String() string {
	switch {
	case !k.On():
		return "off"
	case k.N == 1:
		return "1 " + unitWords[k.Unit]
	}
	return fmt.Sprintf("%d %ss", k.N, unitWords[k.Unit])
}

// ParseKeep reads "4" or "4 backups", "14d", "14 days", "6w", "3m" (months),
// and "off".
func ParseKeep(text string) (Keep, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	if s == "off" {
		return Keep{}, nil
	}
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.Atoi(s[:digits])
	if err != nil || n < 1 || n > mostKeep {
		return Keep{}, fmt.Errorf("keep %q: begin with a number from 1 to %d, or say off", text, mostKeep)
	}
	unit, ok := parseUnit(strings.TrimSpace(s[digits:]))
	if !ok {
		return Keep{}, fmt.Errorf("keep %q: a number of backups, days (d), weeks (w) or months (m)", text)
	}
	return Keep{N: n, Unit: unit}, nil
}

func parseUnit(s string) (Unit, bool) {
	for u, word := range unitWords {
		letter := word[:1]
		if Unit(u) == Backups {
			letter = ""
		}
		if s == letter || s == word || s == word+"s" {
			return Unit(u), true
		}
	}
	return 0, false
}

// MarshalText and UnmarshalText make a Keep a value of JSON, of XML and of
// flags (flag.TextVar).
func (k Keep) MarshalText() ([]byte, error) { return []byte(k.String()), k.check() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Keep) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKeep(string(text))
	return err
}

// Cutoff is the moment before which a backup is too old, for units of time.
// Days, weeks and months are those of the calendar where now is, so that a
// change of the clock in spring or autumn makes no day shorter.
func (k Keep) Cutoff(now time.Time) time.Time {
	switch k.Unit {
	case Days:
		return now.AddDate(0, 0, -k.N)
	case Weeks:
		return now.AddDate(0, 0, -7*k.N)
	default:
		return monthsBefore(now, k.N)
	}
}

// monthsBefore goes back n months, to the last day of the month when it is too
// short: time.AddDate takes the month before March 31 to be March 3.
func monthsBefore(t time.Time, n int) time.Time {
	year, month, day := t.Date()
	month -= time.Month(n)
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(year, month, min(day, last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}
