package service

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Clock tells the time of day that schedules follow.
type Clock interface {
	Now() time.Time
	// Real is how long d on this clock takes.
	Real(d time.Duration) time.Duration
}

// WallClock is the clock of the machine.
type WallClock struct{}

// Now is the time without its monotonic part: schedules follow the clock on the
// wall, however it is set.
func (WallClock) Now() time.Time { return time.Now().Round(0) }

// Real is d itself.
func (WallClock) Real(d time.Duration) time.Duration { return d }

// FastClock runs Rate times as fast as the clock of the machine, and showed
// Start at Anchor. Tests of the whole service run on it; only schedules follow
// it, the runs themselves take the time they take.
type FastClock struct {
	Anchor, Start time.Time
	Rate          float64
}

// Now is the time on the fast clock.
func (c FastClock) Now() time.Time {
	real := time.Now().Round(0).Sub(c.Anchor)
	return c.Start.Add(time.Duration(float64(real) * c.Rate))
}

// Real is how long d on the fast clock takes.
func (c FastClock) Real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Rate)
}

// ParseFastClock reads "ANCHOR,START,RATE": two times of RFC 3339 and a number.
// The anchor keeps the clock going through a restart of the service.
func ParseFastClock(s string) (Clock, error) {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return nil, fmt.Errorf("clock %q: want ANCHOR,START,RATE", s)
	}
	anchor, err := time.Parse(time.RFC3339Nano, fields[0])
	if err != nil {
		return nil, fmt.Errorf("clock %q: anchor: %w", s, err)
	}
	start, err := time.Parse(time.RFC3339Nano, fields[1])
	if err != nil {
		return nil, fmt.Errorf("clock %q: start: %w", s, err)
	}
	rate, err := strconv.ParseFloat(fields[2], 64)
	if err != nil || !(rate >= 1 && rate <= 1e6) {
		return nil, fmt.Errorf("clock %q: the rate is to be between 1 and 1000000", s)
	}
	return FastClock{anchor.Round(0), start, rate}, nil
}

// jumpLimit is how far the two clocks may come apart between two looks before it
// counts as a jump.
const jumpLimit = time.Minute

// watch compares the clock on the wall with one that runs only while the machine
// does.
type watch struct {
	wall  time.Time
	awake time.Duration
}

// jump is how much further the wall clock went since the last look than the
// machine was awake: a suspend or a clock put forward when it is positive, a
// clock put back when it is negative, and 0 when it is less than a minute.
func (w *watch) jump(wall time.Time, awake time.Duration) time.Duration {
	last := *w
	w.wall, w.awake = wall, awake
	if last.wall.IsZero() {
		return 0
	}
	d := wall.Sub(last.wall) - (awake - last.awake)
	if d.Abs() < jumpLimit {
		return 0
	}
	return d
}
