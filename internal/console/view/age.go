package view

import (
	"fmt"
	"time"
)

// Age is how long something is ago or takes, in its largest unit.
func Age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 2*time.Minute:
		return Count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return Count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return Count(int(d/time.Hour), "hour")
	}
	return Count(int(d/(24*time.Hour)), "day")
}

// Took is how long something took, as a clock would count it.
func Took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return ""
	}
	d := to.Sub(from).Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	if d < time.Hour {
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d/time.Second%60)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d/time.Minute%60)
}

// At is a moment near now, with its weekday unless it is today or a day beside
// it, and the year when it is another one.
func At(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch day(t) - day(now) {
	case 0:
		return "today at " + t.Format("15:04")
	case 1:
		return "tomorrow at " + t.Format("15:04")
	case -1:
		return "yesterday at " + t.Format("15:04")
	}
	if t.Year() != now.Year() {
		return t.Format("Mon 2 Jan 2006, 15:04")
	}
	return t.Format("Mon 2 Jan, 15:04")
}

// day numbers the days of the calendar.
func day(t time.Time) int {
	return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}
