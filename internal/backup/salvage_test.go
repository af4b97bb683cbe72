package backup

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/dest/desttest"
	"ingot/internal/image"
	"ingot/internal/job"
)

// badSectors makes a device fail where one of these sectors is read. Those in
// flaky fail once each.
func badSectors(d *blocktest.Device, bad map[int64]bool, flaky map[int64]bool) {
	var mu sync.Mutex
	d.Fail = func(op blocktest.Op, e block.Extent) error {
		mu.Lock()
		defer mu.Unlock()
		for s := e.Off / 512; op == blocktest.Read && s <= (e.End()-1)/512; s++ {
			if bad[s] {
				return fmt.Errorf("sector %d: %w", s, syscall.EIO)
			}
			if flaky[s] && e.Len <= 512 {
				delete(flaky, s)
				return syscall.EIO
			}
			if flaky[s] {
				return syscall.EIO
			}
		}
		return nil
	}
}

// TestSalvage images a disk with sectors that cannot be read: all others come out
// right, they are zeros, and are listed as they are.
func TestSalvage(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 3<<20)
		for i := range data {
			data[i] = byte(r.Uint32()) | 1
		}
		d := blocktest.New(bytes.Clone(data))
		p, err := Prepare(source(t, d), Options{BlockSize: 65536})
		if err != nil {
			t.Fatal(err)
		}
		bad, flaky := map[int64]bool{}, map[int64]bool{}
		for range 1 + r.IntN(9) {
			first, n := 100+r.Int64N(int64(len(data)/512-200)), 1+r.Int64N(3)
			for s := first; s < first+n; s++ {
				bad[s] = true
			}
			flaky[100+r.Int64N(int64(len(data)/512-200))] = true
		}
		want := bytes.Clone(data)
		for s := range bad {
			clear(want[s*512 : (s+1)*512])
			delete(flaky, s)
		}
		badSectors(d, bad, flaky)
		m, log := desttest.NewMemory(), job.NewLog(nil)
		res, err := p.Run(t.Context(), m, nil, Naming{Template: "x", Time: time.Unix(1, 0)}, log)
		if err != nil {
			t.Fatal(err)
		}
		listed := map[int64]bool{}
		for _, b := range res.Bad {
			for s := b.Off / 512; s < (b.Off+b.Len)/512; s++ {
				listed[s] = true
			}
		}
		if len(listed) != len(bad) || res.BadBytes != int64(len(bad))*512 {
			t.Errorf("seed %d: %d sectors are bad, %d are listed, %d bytes", seed, len(bad), len(listed), res.BadBytes)
		}
		for s := range bad {
			if !listed[s] {
				t.Errorf("seed %d: sector %d is not listed", seed, s)
			}
		}
		if len(log.Warnings()) < len(res.Bad) {
			t.Errorf("seed %d: %d warnings for %d ranges", seed, len(log.Warnings()), len(res.Bad))
		}
		c, err := image.Open(t.Context(), m, res.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := c.Disks()[0].Partitions[0].ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("seed %d: the disk came back differently, %v", seed, err)
		}
	}
}

// TestReadErrorEnds has a run end instead: because it is to, because the source
// has gone, or because hardly any of it can be read.
func TestReadErrorEnds(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 80<<20)
	for name, c := range map[string]struct {
		opts Options
		fail func(e block.Extent) error
		want string
	}{
		"stop": {Options{OnReadError: OnReadErrorStop}, func(e block.Extent) error {
			if e.Off <= 50<<20 && e.End() > 50<<20 {
				return syscall.EIO
			}
			return nil
		}, "input/output error"},
		"gone": {Options{}, func(e block.Extent) error {
			if e.End() > 50<<20 {
				return syscall.ENXIO
			}
			return nil
		}, "no such device"},
		"failing": {Options{}, func(e block.Extent) error {
			if e.End() > 4<<20 {
				return syscall.EIO
			}
			return nil
		}, ErrFailing.Error()},
	} {
		d := blocktest.New(bytes.Clone(data))
		p, err := Prepare(source(t, d), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		d.Fail = func(op blocktest.Op, e block.Extent) error { return c.fail(e) }
		m := desttest.NewMemory()
		_, err = p.Run(t.Context(), m, nil, Naming{Template: "x"}, job.NewLog(nil))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "failing" && !errors.Is(err, ErrFailing) {
			t.Errorf("%s: %v", name, err)
		}
		if m.Get("x-00-00.mrimgx") != nil {
			t.Errorf("%s: there is an image", name)
		}
	}
}
