package job

import (
	"reflect"
	"testing"
	"time"
)

func TestMeterRateAndTimeLeft(t *testing.T) {
	var got []Event
	l := NewLog(func(e Event) { got = append(got, e) })
	at := time.Unix(1_000_000, 0)
	l.now = func() time.Time { return at }
	m := l.Stage("image", 1000)
	m.Add(1) // too early to be told
	for range 20 {
		at = at.Add(time.Second)
		m.Add(10)
	}
	last := got[len(got)-1]
	if last.Done != 201 || last.Rate != 10 || last.Left != 80 {
		t.Errorf("after 20 s at 10 B/s: %+v", last)
	}
	if len(got) != 21 {
		t.Errorf("%d events, want the stage and 20 of progress", len(got))
	}
	// The rate follows what happens now, not the mean of the whole run.
	for range 12 {
		at = at.Add(time.Second)
		m.Add(50)
	}
	if last := got[len(got)-1]; last.Rate != 50 {
		t.Errorf("after 12 s at 50 B/s the rate is %d", last.Rate)
	}
}

func TestWarningsAreKept(t *testing.T) {
	l := NewLog(nil)
	l.Note("a note")
	l.Warn("disk %d is odd", 3)
	if got := l.Warnings(); !reflect.DeepEqual(got, []string{"disk 3 is odd"}) {
		t.Errorf("got %q", got)
	}
}
