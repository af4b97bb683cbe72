package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/disk"
	"ingot/internal/job"
)

// newDisk makes a small disk with a table of sgdisk or sfdisk and random
// contents in all partitions.
func newDisk(t *testing.T, scheme disk.Scheme, size int64) ([]byte, *disk.Layout) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/sbin/sgdisk", "-a", "8", "-n", "1:64:+600K", "-n", "2:0:+300K", "-n", "3:0:+900K", path)
	if scheme == disk.SchemeMBR {
		cmd = exec.Command("/sbin/sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", path)
		cmd.Stdin = strings.NewReader("label: dos\nstart=63, size=1000, type=c\nsize=2000, type=f\nstart=1126, size=500, type=7\nstart=1700, size=300, type=7\n")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (Debian packages gdisk, fdisk): %v\n%s", cmd.Args, err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := disk.Parse(blocktest.New(data), 512)
	if err != nil || l.Scheme != scheme || len(l.Partitions) != 3 {
		t.Fatalf("%+v, %v", l, err)
	}
	garbage(data, l.Partitions, 1)
	return data, l
}

func garbage(data []byte, parts []disk.Partition, seed byte) {
	r := rand.NewChaCha8([32]byte{seed})
	for _, p := range parts {
		_, _ = r.Read(data[p.Off:p.End()])
	}
}

// source gives all partitions, of which every other 4 KiB is used.
func source(data []byte, l *disk.Layout) Source {
	s := Source{Layout: l}
	for _, p := range l.Partitions {
		r, _ := block.Section(blocktest.New(data), p.Off, p.Len)
		var used []block.Extent
		for off := int64(0); off < p.Len; off += 8192 {
			used = append(used, block.Extent{Off: off, Len: min(4096, p.Len-off)})
		}
		s.Parts = append(s.Parts, Part{Number: p.Number, Name: fmt.Sprintf("partition %d", p.Number), Off: p.Off, Reader: r, Used: block.NewExtents(used...)})
	}
	return s
}

// same says whether got holds the used bytes of the source.
func same(s Source, got []byte, numbers ...int) error {
	for _, p := range s.Parts {
		if len(numbers) > 0 && numbers[0] != p.Number {
			continue
		}
		for e := range p.Used.Extents() {
			want := make([]byte, e.Len)
			if _, err := p.Reader.ReadAt(want, e.Off); err != nil {
				return err
			}
			if !bytes.Equal(want, got[p.Off+e.Off:][:e.Len]) {
				return fmt.Errorf("%s differs at %v", p.Name, e)
			}
		}
	}
	return nil
}

func TestRestoreOverGarbage(t *testing.T) {
	const size = 4 << 20
	for _, scheme := range []disk.Scheme{disk.SchemeGPT, disk.SchemeMBR} {
		data, l := newDisk(t, scheme, size)
		src := source(data, l)
		for _, larger := range []int64{0, 512, 3 << 20} {
			old := make([]byte, size+larger)
			_, _ = rand.NewChaCha8([32]byte{9}).Read(old)
			target := blocktest.New(old)
			p, err := Prepare(src, target, nil, Options{Check: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Run(t.Context(), job.NewLog(nil)); err != nil {
				t.Fatalf("%s: %v", scheme, err)
			}
			if err := same(src, target.Bytes()); err != nil {
				t.Errorf("%s: %v", scheme, err)
			}
			got, err := disk.Parse(target, 512)
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != l.ID || len(got.Partitions) != 3 || len(got.Warnings) > 0 {
				t.Errorf("%s: the table came out as %s with %d partitions, %q, %v", scheme, got.ID, len(got.Partitions), got.Warnings, err)
			}
		}
		_, err := Prepare(src, blocktest.New(make([]byte, l.MinSize()-512)), nil, Options{})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(l.MinSize())) {
			t.Errorf("%s: a target that is too small: %v", scheme, err)
		}
	}
}

// TestPowerCut stops the world after every write and looks at what can be on
// the disk then: a table only when all that it names is there.
func TestPowerCut(t *testing.T) {
	for _, scheme := range []disk.Scheme{disk.SchemeGPT, disk.SchemeMBR} {
		data, l := newDisk(t, scheme, 3<<20)
		src := source(data, l)
		other, old := newDisk(t, scheme, 3<<20)
		garbage(other, old.Partitions, 2)
		r := rand.New(rand.NewPCG(1, 2))
		cut := errors.New("power cut")
		for n := 0; ; n++ {
			target := blocktest.New(bytes.Clone(other))
			k := 0
			target.Fail = func(op blocktest.Op, _ block.Extent) error {
				if op == blocktest.Read {
					return nil
				}
				if k++; k > n {
					return cut
				}
				return nil
			}
			p, err := Prepare(src, target, old, Options{Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			err = p.Run(t.Context(), job.NewLog(nil))
			for range 5 {
				checkCut(t, scheme, src, old, l, target, n, r)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, cut) {
				t.Fatal(err)
			}
		}
	}
}

// checkCut draws one state: with the new table, everything must be there. The
// old table may be there only while nothing else was written.
func checkCut(t *testing.T, scheme disk.Scheme, src Source, old, l *disk.Layout, target *blocktest.Device, n int, r *rand.Rand) {
	t.Helper()
	state := target.PowerCut(r)
	got, err := disk.Parse(blocktest.New(state), 512)
	if err != nil || got.Scheme == disk.SchemeNone {
		return
	}
	switch {
	case got.ID == l.ID:
		if err := same(src, state); err != nil {
			t.Fatalf("%s, cut after %d writes: the table is there, and %v", scheme, n, err)
		}
	case n > 2:
		t.Fatalf("%s, cut after %d writes: the old table is back", scheme, n)
	}
}

// TestPowerCutOfAVolume does the same with a disk that is one volume: its front
// is there only when all of it is.
func TestPowerCutOfAVolume(t *testing.T) {
	const size = 2 << 20
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	copy(data[510:], "no") // no signature
	l, err := disk.Parse(blocktest.New(data), 512)
	if err != nil || l.Scheme != disk.SchemeNone {
		t.Fatal(l, err)
	}
	src := Source{Layout: l, Parts: []Part{{Number: 1, Name: "volume", Reader: blocktest.New(data), Used: block.Whole(size), Step: 4096}}}
	other := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{6}).Read(other)
	r := rand.New(rand.NewPCG(1, 2))
	for n := 0; ; n++ {
		target := blocktest.New(bytes.Clone(other))
		k := 0
		target.Fail = func(op blocktest.Op, _ block.Extent) error {
			if k++; op != blocktest.Read && k > n {
				return errors.New("power cut")
			}
			return nil
		}
		p, err := Prepare(src, target, nil, Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Run(t.Context(), job.NewLog(nil))
		for range 20 {
			state := target.PowerCut(r)
			front := bytes.Equal(state[:512], data[:512])
			if front && !bytes.Equal(state[head:], data[head:]) {
				t.Fatalf("cut after %d writes: the front is there, the rest is not", n)
			}
			if !front && bytes.Equal(state[:512], other[:512]) && !bytes.Equal(state[head:size-tableReach], other[head:size-tableReach]) {
				t.Fatalf("cut after %d writes: the old front is there, the old rest is not", n)
			}
		}
		if err == nil {
			break
		}
	}
}

func TestCancelledBefore(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	target := blocktest.New(bytes.Clone(data))
	p, err := Prepare(source(data, l), target, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx, job.NewLog(nil)); !errors.Is(err, context.Canceled) || len(target.Log()) != 0 {
		t.Errorf("%v, and it did %v", err, target.Log())
	}
}

// TestSourceThatEndsEarly has a map give less than it did before.
func TestSourceThatEndsEarly(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	src := source(data, l)
	p, err := Prepare(src, blocktest.New(make([]byte, 4<<20)), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Parts[1].Used = block.NewExtents(block.Extent{Off: 0, Len: 4096})
	if err := p.Run(t.Context(), job.NewLog(nil)); err == nil || !strings.Contains(err.Error(), "only") {
		t.Errorf("got %v", err)
	}
}

func TestSinglePartitions(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	src := source(data, l)
	other := bytes.Clone(data)
	garbage(other, l.Partitions, 3)
	target := blocktest.New(bytes.Clone(other))
	p, err := Prepare(src, target, l, Options{Partitions: []int{2}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Table || len(p.Lost) != 1 || p.Lost[0].Number != 2 {
		t.Errorf("in place: table %t, lost %+v", p.Table, p.Lost)
	}
	if err := p.Run(t.Context(), job.NewLog(nil)); err != nil {
		t.Fatal(err)
	}
	if err := same(src, target.Bytes(), 2); err != nil {
		t.Error(err)
	}
	e := l.Partitions[1]
	got := bytes.Clone(target.Bytes())
	copy(got[e.Off:e.End()], other[e.Off:e.End()])
	if !bytes.Equal(got, other) {
		t.Error("something outside of the partition was written")
	}

	// A target that is cut otherwise gets the table, and loses all.
	_, mbr := newDisk(t, disk.SchemeMBR, 4<<20)
	p, err = Prepare(src, target, mbr, Options{Partitions: []int{2}})
	if err != nil || !p.Table || len(p.Lost) != 3 || len(p.Warnings) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Prepare(src, target, l, Options{Partitions: []int{5}}); err == nil {
		t.Error("a partition that is not there was taken")
	}
}

// TestErrorsCount has each kind of failure come out as an error.
func TestErrorsCount(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		op   blocktest.Op
		at   int // which of them
	}{{"first write", blocktest.Write, 1}, {"content", blocktest.Write, 5}, {"first sync", blocktest.Sync, 1}, {"second sync", blocktest.Sync, 2}, {"third sync", blocktest.Sync, 3}, {"fourth sync", blocktest.Sync, 4}, {"fifth sync", blocktest.Sync, 5}, {"last sync", blocktest.Sync, 6}, {"check", blocktest.Read, 1}} {
		target := blocktest.New(make([]byte, 4<<20))
		n := 0
		target.Fail = func(op blocktest.Op, _ block.Extent) error {
			if op == c.op {
				if n++; n == c.at {
					return boom
				}
			}
			return nil
		}
		p, err := Prepare(source(data, l), target, nil, Options{Check: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), job.NewLog(nil)); !errors.Is(err, boom) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// The source fails.
	src := source(data, l)
	bad := blocktest.New(bytes.Clone(data[l.Partitions[1].Off:l.Partitions[1].End()]))
	bad.Fail = func(op blocktest.Op, e block.Extent) error {
		if e.Off <= 8192*4 && e.End() > 8192*4 {
			return boom
		}
		return nil
	}
	src.Parts[1].Reader = bad
	target := blocktest.New(make([]byte, 4<<20))
	p, err := Prepare(src, target, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), job.NewLog(nil)); !errors.Is(err, boom) || !strings.Contains(err.Error(), "partition 2") {
		t.Errorf("a failing source: %v", err)
	}
	if got, err := disk.Parse(target, 512); err == nil && got.Scheme != disk.SchemeNone {
		t.Errorf("after a failure the target has a table: %s", got.ID)
	}
}

// TestCheckFindsADifference has the medium forget a write.
func TestCheckFindsADifference(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	target := blocktest.New(make([]byte, 4<<20))
	synced := false
	target.Fail = func(op blocktest.Op, _ block.Extent) error {
		if op == blocktest.Read && !synced {
			synced = true
			target.Bytes()[l.Partitions[2].Off+8192*3+77] ^= 1
		}
		return nil
	}
	p, err := Prepare(source(data, l), target, nil, Options{Check: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), job.NewLog(nil)); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v", err)
	}
}

func TestBlankStaysSparse(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	e := l.Partitions[2]
	clear(data[e.Off:e.End()])
	target := blocktest.New(make([]byte, 4<<20))
	target.Fail = func(op blocktest.Op, w block.Extent) error {
		if op == blocktest.Write && w.Off >= e.Off && w.End() <= e.End() {
			return errors.New("zeros are written to a blank target")
		}
		return nil
	}
	p, err := Prepare(source(data, l), target, nil, Options{Blank: true, Check: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), job.NewLog(nil)); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	data, l := newDisk(t, disk.SchemeGPT, 4<<20)
	ctx, cancel := context.WithCancel(t.Context())
	target := blocktest.New(make([]byte, 4<<20))
	n := 0
	target.Fail = func(op blocktest.Op, _ block.Extent) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	}
	p, err := Prepare(source(data, l), target, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx, job.NewLog(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
