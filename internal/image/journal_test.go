package image

import (
	"context"
	"testing"

	"ingot/internal/dest/desttest"
)

// leave has a store hold b as the journal of an unfinished image.
func leaveJournal(ctx context.Context, t testing.TB, b []byte) *desttest.Memory {
	t.Helper()
	m := desttest.NewMemory()
	f, err := m.Keep(ctx, "x-00-00.mrimgx"+journalSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Leave(); err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzJournal reads any bytes as a journal, and goes on with what it says.
func FuzzJournal(f *testing.F) {
	m := desttest.NewMemory()
	j := newJournal(f.Context(), m, nil, 1)
	j.first = segmentHead{Version: journalVersion, Name: "x-00-00.mrimgx", ImageID: "0123456789ABCDEF", Asked: &asked{Blocks: []int64{1}}}
	if _, err := j.begin(f.Context(), "x-00-00.mrimgx"); err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if _, err := j.Write([]byte("block")); err != nil {
			f.Fatal(err)
		}
		j.note(0, Blocks, &record{piece: int64(i), element: element{size: 5}})
		if err := j.flush(); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.leave(); err != nil {
		f.Fatal(err)
	}
	good, err := m.Left(f.Context())
	if err != nil || len(good) != 2 {
		f.Fatal(good, err)
	}
	m.Spoil(func(name string, b []byte) []byte {
		f.Add(b)
		return b
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := leaveJournal(t.Context(), t, b)
		left, err := ReadUnfinished(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range left {
			_ = u.Fits(&Document{}, &Options{})
			j := newJournal(t.Context(), m, nil, 0)
			if p, err := u.resume(j); err == nil {
				_, _ = p.prior(nil, 0, Blocks, 0, 10)
			}
		}
	})
}
