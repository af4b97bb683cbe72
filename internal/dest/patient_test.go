package dest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stingy is a Store of one file, which takes a few bytes at a time and fails as
// its list says.
type stingy struct {
	Store
	errs []error
	got  []byte
}

func (s *stingy) next() error {
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func (s *stingy) Create(context.Context, string) (Pending, error) { return s, s.next() }

// Write takes half of what it cannot take whole.
func (s *stingy) Write(b []byte) (int, error) {
	if err := s.next(); err != nil {
		s.got = append(s.got, b[:len(b)/2]...)
		return len(b) / 2, fmt.Errorf("write: %w", err)
	}
	s.got = append(s.got, b...)
	return len(b), nil
}

func (s *stingy) Commit(context.Context) error { return s.next() }
func (s *stingy) Abort() error                 { return nil }

func TestPatient(t *testing.T) {
	const text = "what is written comes whole and once"
	var gone = errors.New("gone for good")
	for name, c := range map[string]struct {
		errs  []error
		slept int
		err   error
	}{
		"no failure":           {},
		"no space for a while": {[]error{nil, syscall.ENOSPC, syscall.ENOSPC, syscall.EIO}, 3, nil},
		"cannot be begun":      {[]error{syscall.ESTALE, nil, syscall.EDQUOT}, 2, nil},
		"for good":             {[]error{nil, syscall.EIO, gone}, 1, gone},
		"another error":        {[]error{nil, syscall.EFBIG}, 0, syscall.EFBIG},
		"a failed sync":        {[]error{nil, nil, syscall.EIO}, 0, syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			s, slept, told := &stingy{errs: c.errs}, 0, 0
			p := &Patient{Store: s, For: time.Hour,
				Tell:  func(error, time.Duration, time.Time) { told++ },
				sleep: func(context.Context, time.Duration) error { slept++; return nil },
			}
			err := write(t.Context(), p, text)
			if !errors.Is(err, c.err) || err == nil && string(s.got) != text {
				t.Errorf("%q, %v", s.got, err)
			}
			if slept != c.slept || slept > 0 && told == 0 {
				t.Errorf("%d pauses, told of %d", slept, told)
			}
		})
	}
}

func write(ctx context.Context, s Store, text string) error {
	p, err := s.Create(ctx, "x")
	if err != nil {
		return err
	}
	if n, err := p.Write([]byte(text)); err != nil || n != len(text) {
		return errors.Join(err, p.Abort())
	}
	return p.Commit(ctx)
}

// TestPatientEnds has patience end: with the time, and with the run.
func TestPatientEnds(t *testing.T) {
	always := make([]error, 10_000)
	for i := range always {
		always[i] = syscall.ENOSPC
	}
	tell := func(error, time.Duration, time.Time) {}
	p := &Patient{Store: &stingy{errs: always}, For: 3 * time.Millisecond, Tell: tell, sleep: func(context.Context, time.Duration) error {
		time.Sleep(time.Millisecond)
		return nil
	}}
	if err := write(t.Context(), p, "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p = &Patient{Store: &stingy{errs: always}, For: time.Hour, Tell: tell}
	if err := write(ctx, p, "x"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no space") {
		t.Error(err)
	}
	p = &Patient{Store: &stingy{errs: always}, Tell: tell}
	if err := write(t.Context(), p, "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}
