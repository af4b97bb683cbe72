package dest

import (
	"context"
	"testing"
	"time"
)

// sink takes everything.
type sink struct {
	Store
	n int
}

func (s *sink) Create(context.Context, string) (Pending, error) { return &sinkFile{s: s}, nil }

type sinkFile struct {
	Pending
	s *sink
}

func (f *sinkFile) Write(b []byte) (int, error) { f.s.n += len(b); return len(b), nil }

func TestLimited(t *testing.T) {
	begin := time.Unix(1000, 0)
	clock := begin
	s := &sink{}
	l := &Limited{Store: s, Rate: 1 << 20, now: func() time.Time { return clock },
		sleep: func(_ context.Context, d time.Duration) error { clock = clock.Add(d); return nil }}
	f, err := l.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	write := func(n int) {
		t.Helper()
		if k, err := f.Write(make([]byte, n)); k != n || err != nil {
			t.Fatal(k, err)
		}
	}
	for range 100 {
		write(1 << 19)
	}
	if took := clock.Sub(begin); took != 49*time.Second {
		t.Errorf("50 MiB at 1 MiB/s, of which one was saved, took %s", took)
	}
	// Time that passed unused is not made up for.
	clock = clock.Add(time.Hour)
	before := clock
	for range 10 {
		write(1 << 20)
	}
	if took := clock.Sub(before); took != 9*time.Second {
		t.Errorf("10 MiB after a pause took %s", took)
	}
	l.Rate = 0
	before = clock
	write(100 << 20)
	if clock != before {
		t.Error("no limit, and it waits")
	}
}

func TestLimitedEndsWithItsRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &Limited{Store: &sink{}, Rate: 1}
	f, err := l.Create(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := f.Write(make([]byte, 1<<20)); err == nil {
		t.Error("it was written")
	}
}
