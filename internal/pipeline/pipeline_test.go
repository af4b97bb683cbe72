package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

type item struct{ n, out int }

// count makes stages that send 0..total-1 through a work of uneven length and
// check order and exclusion on both ends.
func count(t *testing.T, total int, got *[]int) Stages[item] {
	next := 0
	var reading, writing, made atomic.Int32
	alone := func(who *atomic.Int32, f func()) {
		if who.Add(1) != 1 {
			t.Error("two at once in a stage that is in order")
		}
		f()
		who.Add(-1)
	}
	return Stages[item]{
		New: func() *item { made.Add(1); return new(item) },
		Read: func(i *item) (err error) {
			alone(&reading, func() {
				if next == total {
					err = io.EOF
					return
				}
				i.n = next
				next++
			})
			return err
		},
		Work: func(i *item) error {
			time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
			i.out = i.n * 2
			return nil
		},
		Write: func(i *item) error {
			alone(&writing, func() { *got = append(*got, i.out) })
			return nil
		},
	}
}

func TestOrder(t *testing.T) {
	for _, items := range []int{0, 1, 2, 7} {
		var got []int
		if err := Run(t.Context(), items, count(t, 500, &got)); err != nil {
			t.Fatal(err)
		}
		if len(got) != 500 {
			t.Fatalf("%d items: %d came out", items, len(got))
		}
		for i, v := range got {
			if v != 2*i {
				t.Fatalf("%d items: result %d is %d", items, i, v)
			}
		}
	}
}

func TestFirstErrorEndsIt(t *testing.T) {
	boom := errors.New("boom")
	for _, stage := range []string{"read", "work", "write"} {
		before := runtime.NumGoroutine()
		var got []int
		s := count(t, 1000, &got)
		fail := func(name string, f func(*item) error) func(*item) error {
			return func(i *item) error {
				if err := f(i); err != nil || name != stage || i.n != 100 {
					return err
				}
				return fmt.Errorf("%s: %w", stage, boom)
			}
		}
		s.Read, s.Work, s.Write = fail("read", s.Read), fail("work", s.Work), fail("write", s.Write)
		if err := Run(t.Context(), 4, s); !errors.Is(err, boom) {
			t.Errorf("%s: %v", stage, err)
		}
		for i, v := range got {
			if v != 2*i {
				t.Fatalf("%s: what was written is no prefix: %v", stage, got)
			}
		}
		if len(got) > 101 {
			t.Errorf("%s: went on for %d items", stage, len(got))
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%s: %d goroutines were left behind", stage, n-before)
		}
	}
}

// TestWrappedEOF has an input that breaks off: that is no end.
func TestWrappedEOF(t *testing.T) {
	var got []int
	s := count(t, 1000, &got)
	read := s.Read
	s.Read = func(i *item) error {
		if err := read(i); err != nil || i.n < 100 {
			return err
		}
		return fmt.Errorf("read the index: %w", io.EOF)
	}
	if err := Run(t.Context(), 4, s); !errors.Is(err, io.EOF) || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	stop := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	var got []int
	s := count(t, 1<<30, &got)
	write := s.Write
	s.Write = func(i *item) error {
		if i.n == 50 {
			cancel(stop)
		}
		return write(i)
	}
	if err := Run(ctx, 3, s); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
