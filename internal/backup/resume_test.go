package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ingot/internal/dest"
	"ingot/internal/dest/desttest"
	"ingot/internal/image"
	"ingot/internal/job"
)

// cutShort takes an image that goes down after some steps, and says whether there
// is something to go on with.
func (h *history) cutShort(opts Options, steps int) bool {
	h.t.Helper()
	crash := desttest.NewCrash(h.store, steps)
	_, err := h.run(crash, opts, nil)
	if err != nil && !errors.Is(err, desttest.ErrCrash) {
		h.t.Fatal(err)
	}
	return errors.Is(err, image.ErrPaused)
}

// run takes an image and gives the notes it makes.
func (h *history) run(store dest.Store, opts Options, notes *[]string) (*Result, error) {
	p := h.prepare(opts)
	h.clock += 1000
	target, err := p.Target(h.t.Context(), store)
	if err != nil {
		return nil, err
	}
	log := job.NewLog(func(e job.Event) {
		if notes != nil && e.Kind == job.Note {
			*notes = append(*notes, e.Text)
		}
	})
	res, err := p.Run(h.t.Context(), store, target, Naming{Time: time.Unix(h.clock, 0)}, log)
	return res, errors.Join(err, target.Close())
}

// TestResumeDamaged changes what an unfinished image is made of: it is gone on
// with or begun anew, and always comes out right.
func TestResumeDamaged(t *testing.T) {
	seeds := uint64(60)
	if raceDetector {
		seeds = 8
	}
	for seed := range seeds {
		h := newHistory(t, seed+1)
		if seed%4 == 0 {
			h.access = secret("correct horse")
		}
		opts := Options{Compression: h.level, BlockSize: 4096, Split: h.split, Resume: true, Flush: time.Nanosecond}
		if !h.cutShort(opts, 5+h.r.IntN(14)) {
			continue
		}
		what := "nothing"
		h.store.Spoil(func(name string, b []byte) []byte {
			switch n := len(b); {
			case n == 0 || h.r.IntN(2) == 0:
				return b
			case h.r.IntN(3) == 0:
				what = "cut " + name
				return b[:h.r.IntN(n)]
			default:
				at := h.r.IntN(n)
				what = fmt.Sprintf("byte %d of %d of %s", at, n, name)
				b[at] ^= 1 << h.r.IntN(8)
				return b
			}
		})
		res, err := h.run(h.store, opts, nil)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, what, err)
		}
		h.keep(res)
		if h.check(true); t.Failed() {
			t.Fatalf("seed %d: %s", seed, what)
		}
	}
}

// TestResumeOther does not go on with an image that was to be something else, or
// of a source that has changed, and says why.
func TestResumeOther(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(h *history, o *Options)
		note   string
	}{
		{"the same", func(*history, *Options) {}, "is gone on with"},
		{"without --resume", func(_ *history, o *Options) { o.Resume = false }, "--resume would have"},
		{"another compression", func(_ *history, o *Options) { o.Compression = "high" }, "its compression is not the same"},
		{"another block size", func(_ *history, o *Options) { o.BlockSize = 8192 }, "its block size is not the same"},
		{"in parts", func(_ *history, o *Options) { o.Split = 1 << 20 }, "its size of parts is not the same"},
		{"all sectors", func(_ *history, o *Options) { o.AllSectors = true }, "rule of what is stored is not the same"},
		{"encrypted", func(h *history, _ *Options) { h.access = secret("x") }, "its encryption is not the same"},
		{"changed", func(h *history, _ *Options) { h.disk[h.parts[0].off+20<<10] ^= 0xFF }, "the source has changed since"},
		{"less in use", func(h *history, _ *Options) { clear(h.parts[0].used[16:]) }, "the source has changed since"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t, 5)
			h.access, h.split, h.level = nil, 0, "medium"
			for i := range h.parts {
				for k := range h.parts[i].used {
					h.parts[i].used[k] = true
				}
			}
			opts := Options{Compression: "medium", BlockSize: 4096, Resume: true, Flush: time.Nanosecond}
			if !h.cutShort(opts, 11) {
				t.Fatal("it was not cut short")
			}
			c.change(h, &opts)
			var notes []string
			res, err := h.run(h.store, opts, &notes)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(notes, "\n"); !strings.Contains(text, c.note) {
				t.Errorf("it says: %s", text)
			}
			if (res.Resumed > 0) != (c.name == "the same") {
				t.Errorf("%d bytes were taken over", res.Resumed)
			}
			h.keep(res)
			h.check(true)
			if left, err := h.store.Left(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
