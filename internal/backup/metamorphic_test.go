package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/dest"
	"ingot/internal/dest/desttest"
	"ingot/internal/filesys"
	"ingot/internal/image"
	"ingot/internal/job"
	"ingot/internal/plan"
	"ingot/internal/retention"
)

var (
	seedFlag  = flag.Uint64("history", 0, "run the one history of this seed")
	histories = flag.Int("histories", 100, "how many histories to run")
)

// TestHistories runs random histories of a disk and its backup sets: writes,
// images of every type, consolidations, deletions, each of them cut short now and
// then. After every step each point in time that is still kept must read as the
// disk was when it was made, for Ingot and for a reader that knows nothing of
// what Ingot notes beside the layout.
func TestHistories(t *testing.T) {
	if *seedFlag != 0 {
		runHistory(t, *seedFlag)
		return
	}
	var resumed int
	if raceDetector {
		*histories = min(*histories, 20)
	}
	for seed := range uint64(*histories) {
		if resumed += runHistory(t, seed+1); t.Failed() {
			t.Fatalf("go test ./internal/backup -run Histories -history %d", seed+1)
		}
	}
	if t.Logf("%d images were gone on with", resumed); resumed < *histories/20 {
		t.Errorf("in %d histories %d images were gone on with", *histories, resumed)
	}
}

// history is a disk and its backups as a model: what each point has to read as.
type history struct {
	t      *testing.T
	r      *rand.Rand
	store  *desttest.Memory
	disk   []byte
	parts  []modelPart
	points map[string]*modelPoint // by backup_guid
	level  string
	access *image.Access // nil: not encrypted
	split  int64
	clock  int64
	log    []string

	fullIndex bool // of the images of TestPowerCuts
	resumed   int  // images that were gone on with
}

// modelPart is a partition: its place, its reserved area, and what is in use.
type modelPart struct {
	off, size, reserved int64
	used                []bool        // of each cell
	zeroed              block.Extents // what is stored as zeros this time
}

// cell is the unit in which space is in use.
const cell = 1024

// modelPoint is a point in time: the contents of the partitions, zero where
// nothing is in use.
type modelPoint struct {
	name  string
	parts [][]byte
}

func runHistory(t *testing.T, seed uint64) (resumed int) {
	h := newHistory(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("history %d:", seed)
			for _, l := range h.log {
				t.Log("  " + l)
			}
		}
	}()
	for steps := 4 + h.r.IntN(9); steps > 0; steps-- {
		h.write()
		h.image()
		touched := h.r.IntN(3) == 0
		if touched {
			h.consolidate()
		}
		if h.r.IntN(5) == 0 {
			touched = true
			h.remove()
		}
		if h.r.IntN(4) == 0 {
			touched = true
			h.purge()
		}
		if touched || steps == 1 {
			h.check(steps == 1)
		}
		if t.Failed() {
			break
		}
	}
	return h.resumed
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, r: rand.New(rand.NewPCG(seed, 99)), store: desttest.NewMemory(), points: map[string]*modelPoint{}, level: "medium", clock: 1_700_000_000}
	if h.r.IntN(4) == 0 {
		h.level = "none"
	}
	if h.r.IntN(30) == 0 { // not often: making a key takes a while
		h.access = secret("correct horse")
	}
	if h.r.IntN(4) == 0 {
		h.split = image.MinSplit
	}
	h.disk = make([]byte, 250<<10)
	binary.LittleEndian.PutUint32(h.disk[440:], 0xBEEF0000+uint32(seed))
	h.disk[510], h.disk[511] = 0x55, 0xAA
	h.parts = []modelPart{{off: 63 * 512, size: 60<<10 + 512, reserved: 9 << 10}, {off: 100 << 10, size: 140 << 10}}
	for i := range h.parts {
		p := &h.parts[i]
		entry := h.disk[446+16*i:]
		entry[4] = 0x07
		binary.LittleEndian.PutUint32(entry[8:], uint32(p.off/512))
		binary.LittleEndian.PutUint32(entry[12:], uint32(p.size/512))
		p.used = make([]bool, (p.size+cell-1)/cell)
		for k := range p.used {
			p.used[k] = h.r.IntN(3) > 0
		}
	}
	return h
}

// secret is an Access with a password.
func secret(password string) *image.Access {
	return image.NewAccess(func() ([]byte, error) { return []byte(password), nil })
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// write changes the disk: contents, and what is in use.
func (h *history) write() {
	for i := range h.parts {
		p := &h.parts[i]
		for range h.r.IntN(8) {
			from := h.r.Int64N(p.size)
			n := min(1+h.r.Int64N(6000), p.size-from)
			b := h.disk[p.off+from : p.off+from+n]
			switch h.r.IntN(4) {
			case 0:
				clear(b)
			case 1: // as it was at some time before
				for k := range b {
					b[k] = byte(from>>10) ^ byte(h.r.IntN(2))
				}
			default:
				for k := range b {
					b[k] = byte(h.r.Uint32())
				}
			}
			state := h.r.IntN(3) > 0
			for c := from / cell; c <= (from+n-1)/cell; c++ {
				p.used[c] = state
			}
		}
	}
}

// Volume is what the engine sees of a partition.
type modelVolume struct {
	info filesys.Info
	used block.Extents
}

func (v modelVolume) Info() filesys.Info            { return v.info }
func (v modelVolume) Used() block.Map               { return v.used }
func (v modelVolume) Zeroed() block.Extents         { return nil }
func (v modelVolume) Contains(string) (bool, error) { return false, nil }
func (v modelVolume) Files() filesys.Files          { return nil }

// now is the model of a point in time that is made now.
func (h *history) now() *modelPoint {
	m := new(modelPoint)
	for i := range h.parts {
		p := &h.parts[i]
		b := make([]byte, p.size)
		for _, e := range p.extents() {
			copy(b[e.Off:e.End()], h.disk[p.off+e.Off:])
		}
		for _, e := range p.zeroed {
			clear(b[e.Off:e.End()])
		}
		m.parts = append(m.parts, b)
	}
	return m
}

func (p *modelPart) extents() block.Extents {
	in := []block.Extent{{Off: 0, Len: p.reserved}}
	for k, u := range p.used {
		if u {
			off := int64(k) * cell
			in = append(in, block.Extent{Off: off, Len: min(cell, p.size-off)})
		}
	}
	return block.NewExtents(in...)
}

// image takes an image of a random type, now and then one that is cut short.
func (h *history) image() {
	opts := Options{
		Type: []string{"", "", "inc", "inc", "diff", "full"}[h.r.IntN(6)], FullIndex: h.r.IntN(8) == 0,
		Compression: h.level, BlockSize: 4096, Workers: 1 + h.r.IntN(3), Conceal: true, Split: h.split,
	}
	resume := h.r.IntN(2) == 0
	if opts.Resume = resume; resume {
		opts.Flush = time.Nanosecond
	}
	h.takeImage(opts, resume)
}

// takeImage takes an image. With again, one that is cut short is gone on with now
// and then before the disk changes.
func (h *history) takeImage(opts Options, again bool) {
	p := h.prepare(opts)
	h.clock += h.r.Int64N(100_000) - 10_000 // clocks are set back too
	crash := h.maybeCrash()
	target, err := p.Target(h.t.Context(), crash)
	if err != nil {
		h.t.Fatalf("target: %v", err)
	}
	res, err := p.Run(h.t.Context(), crash, target, Naming{Time: time.Unix(h.clock, 0)}, job.NewLog(nil))
	if err := target.Close(); err != nil {
		h.t.Fatal(err)
	}
	if errors.Is(err, desttest.ErrCrash) {
		h.note("image %q: cut short (can be gone on with: %t)", opts.Type, errors.Is(err, image.ErrPaused))
		if again && h.r.IntN(3) > 0 {
			h.takeImage(opts, again)
		}
		return
	}
	if err != nil {
		h.t.Fatalf("image %+v: %v", opts, err)
	}
	h.note("image %q -> %s %s (full index %t), based on %s, %d bytes of %d were there", opts.Type, res.Type, res.Name, opts.FullIndex, res.Based, res.Resumed, res.Written)
	if res.Resumed > 0 {
		h.resumed++
	}
	h.keep(res)
}

// prepare makes a plan whose volumes are in use as the model says.
func (h *history) prepare(opts Options) *Plan {
	if opts.Access = h.access; h.access != nil {
		opts.Encrypt = "aes-128"
	}
	p, err := Prepare(source(h.t, blocktest.New(bytes.Clone(h.disk))), opts)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range p.Parts {
		m := &h.parts[i]
		used := m.extents()
		n, _ := block.Bytes(used)
		p.Parts[i].Info = filesys.Info{Type: "NTFS", Size: m.size, UsedBytes: n, DataStart: m.reserved}
		p.Parts[i].Volume = h.leave(m, modelVolume{p.Parts[i].Info, used})
		p.Parts[i].Info = p.Parts[i].Volume.Info()
	}
	return p
}

// leave has some of a volume stored as zeros, now and then.
func (h *history) leave(m *modelPart, v filesys.Volume) filesys.Volume {
	if m.zeroed = nil; h.r.IntN(3) > 0 {
		return v
	}
	for range 1 + h.r.IntN(3) {
		off := m.reserved + h.r.Int64N(m.size-m.reserved)
		m.zeroed = append(m.zeroed, block.Extent{Off: off, Len: min(1+h.r.Int64N(20_000), m.size-off)})
	}
	v, err := filesys.Leave(v, nil, m.zeroed)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// keep notes what the point that was just made has to read as.
func (h *history) keep(res *Result) {
	_, m := h.sets().Find(res.Name)
	point := h.now()
	point.name = res.Name
	h.points[m.Doc.Header.BackupGUID] = point
}

// maybeCrash gives the store, or one that goes down after a few steps.
func (h *history) maybeCrash() dest.Store {
	if h.r.IntN(4) > 0 {
		return h.store
	}
	return desttest.NewCrash(h.store, h.r.IntN(12))
}

func (h *history) sets() *image.Sets {
	s, err := image.ReadSets(h.t.Context(), h.store, h.access)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(s.Broken) > 0 {
		h.t.Fatalf("broken: %v", s.Broken)
	}
	return s
}

// someSet is a random set that holds a point in time, nil when there is none.
func (h *history) someSet() *image.Set {
	sets := slices.DeleteFunc(h.sets().Sets, func(s *image.Set) bool { return s.Newest() == nil })
	if len(sets) == 0 {
		return nil
	}
	return sets[h.r.IntN(len(sets))]
}

// consolidate merges two random points of a set and what is between them.
func (h *history) consolidate() {
	s := h.someSet()
	if s == nil {
		return
	}
	if err := s.Tidy(h.t.Context(), h.store); err != nil {
		h.t.Fatal(err)
	}
	points := s.Points()
	from, into := points[h.r.IntN(len(points))], points[h.r.IntN(len(points))]
	c, err := s.Consolidation(from, into)
	if err != nil {
		h.note("not consolidated: %v", err)
		return
	}
	err = c.Run(h.t.Context(), h.maybeCrash(), image.Options{}, nil)
	if errors.Is(err, image.ErrUnsupported) {
		h.note("not consolidated: %v", err)
		return
	}
	if err != nil && !errors.Is(err, desttest.ErrCrash) {
		h.t.Fatalf("consolidate %s to %s: %v", from.Name, into.Name, err)
	}
	h.note("consolidated %s to %s (%v)", from.Name, into.Name, err)
	for _, m := range c.Removed {
		delete(h.points, m.Doc.Header.BackupGUID)
	}
}

// remove deletes a point with all that hangs on it.
func (h *history) remove() {
	s := h.someSet()
	if s == nil {
		return
	}
	points := s.Points()
	m := points[h.r.IntN(len(points))]
	gone, err := s.Dependents(m)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := s.Delete(h.t.Context(), h.store, gone); err != nil {
		h.t.Fatal(err)
	}
	for _, g := range gone {
		h.note("deleted %s", g.Name)
		delete(h.points, g.Doc.Header.BackupGUID)
	}
}

// purge applies random rules; what the decision said is what must be there.
func (h *history) purge() {
	keep := func() plan.Keep { return plan.Keep{N: h.r.IntN(4)} }
	rules := plan.Retention{Full: keep(), Differential: keep(), Incremental: keep(), SyntheticFull: h.r.IntN(2) == 0, Minimum: h.r.IntN(3)}
	if s := h.someSet(); s != nil && h.r.IntN(3) == 0 {
		points := s.Points()
		if err := points[h.r.IntN(len(points))].Protect(h.t.Context(), h.store, "", time.Now()); err != nil {
			h.t.Fatal(err)
		}
	}
	sets, _, err := retention.Read(h.t.Context(), h.store)
	if err != nil {
		h.t.Fatal(err)
	}
	d := retention.Decide(rules, sets, retention.Run{Now: time.Unix(h.clock, 0)})
	log := job.NewLog(nil)
	err = d.Apply(h.t.Context(), h.maybeCrash(), retention.Options{Access: h.access}, log)
	h.note("purge %+v: %d operations, %v, %v", rules, len(d.Ops), log.Warnings(), err)
	if err != nil && !errors.Is(err, desttest.ErrCrash) {
		h.t.Fatalf("purge: %v", err)
	}
	kept := make(map[string]bool)
	for _, row := range d.Rows() {
		kept[row.File] = row.Verdict == retention.Keep
	}
	there := make(map[string]bool)
	for _, s := range h.sets().Sets {
		for _, m := range s.Points() {
			there[m.Name] = true
			if !kept[m.Name] && err == nil && len(log.Warnings()) == 0 {
				h.t.Errorf("%s is there, and the decision was that it goes", m.Name)
			}
		}
	}
	for guid, p := range h.points {
		if !kept[p.name] && !there[p.name] {
			delete(h.points, guid)
		}
	}
}

// check reads every point that is kept, by Ingot's rules and by those of the
// published reader, and verifies it if told to.
func (h *history) check(verify bool) {
	found := make(map[string]bool)
	for _, s := range h.sets().Sets {
		for _, m := range s.Points() {
			want := h.points[m.Doc.Header.BackupGUID]
			if want == nil {
				continue // made without being told: a point that was cut short late
			}
			found[m.Doc.Header.BackupGUID] = true
			h.same(s, m, want, verify, "Ingot's rules")
		}
		for _, m := range s.Members {
			m.Doc.Auxiliary.Parent = nil
		}
		if len(s.Leftover) > 0 {
			continue
		}
		for _, m := range s.Points() {
			if want := h.points[m.Doc.Header.BackupGUID]; want != nil {
				h.same(s, m, want, false, "the published reader's rules")
			}
		}
	}
	for guid, p := range h.points {
		if !found[guid] {
			h.t.Errorf("%s has gone", p.name)
		}
	}
}

func (h *history) same(s *image.Set, m *image.Member, want *modelPoint, verify bool, rules string) {
	c, err := s.Open(context.Background(), h.store, m)
	if err != nil {
		h.t.Errorf("%s by %s: %v", m.Name, rules, err)
		return
	}
	defer c.Close()
	for i, v := range c.Disks()[0].Partitions {
		got := make([]byte, v.Size())
		if _, err := v.ReadAt(got, 0); err != nil {
			h.t.Errorf("%s by %s: %v", m.Name, rules, err)
		} else if !bytes.Equal(got, want.parts[i]) {
			at := 0
			for got[at] == want.parts[i][at] {
				at++
			}
			h.t.Errorf("%s by %s: partition %d differs at byte %d", m.Name, rules, i+1, at)
		}
	}
	if !verify {
		return
	}
	if res, err := c.Verify(context.Background(), nil); err != nil || res.Count > 0 {
		h.t.Errorf("%s by %s: verify: %+v, %v", m.Name, rules, res, err)
	}
}
