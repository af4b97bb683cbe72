package service

import "time"

// busyShare is the share of the processors' time from which on the machine is at
// work.
const busyShare = 0.1

// load is what a look at the machine found.
type load struct {
	busy, total float64   // time of the processors since the machine started
	input       time.Time // when somebody last typed something; zero when nobody can tell
}

// idleness finds out for how long nobody has used the machine: no processor was
// at work for more than a tenth of the time, and nothing was typed.
type idleness struct {
	last  load
	known bool
	since time.Time
}

// look takes a new look, and gives for how long the machine has been idle. While
// a backup runs it is not.
func (i *idleness) look(l load, running bool, now time.Time) time.Duration {
	share := 1.0
	if i.known && l.total > i.last.total {
		share = (l.busy - i.last.busy) / (l.total - i.last.total)
	}
	typed := i.known && l.input.After(i.last.input)
	i.last, i.known = l, true
	if share > busyShare || typed || running || i.since.IsZero() || i.since.After(now) {
		i.since = now
	}
	return now.Sub(i.since)
}
