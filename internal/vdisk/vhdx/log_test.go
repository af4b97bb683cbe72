package vhdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/vdisk/vdisktest"
)

// TestKilledQemu kills qemu-io at each of its writes to a disk, and compares what
// is read with what QEMU reads after it has replayed the log in a copy.
func TestKilledQemu(t *testing.T) {
	t.Parallel()
	pending, named := 0, 0
	dir := t.TempDir()
	path, mended := filepath.Join(dir, "killed.vhdx"), filepath.Join(dir, "mended.vhdx")
	// The writes of QEMU come from several threads, of which strace counts each for
	// itself: a few turns meet them all.
	for turn, n := 1, 1; turn <= 10 && pending < 3; n++ {
		vdisktest.QemuImg(t, "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "32M")
		if !killAtWrite(t, n, path) {
			turn, n = turn+1, 0
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(b)
		d, err := Open(bytes.NewReader(b), int64(len(b)), path, nil)
		if err != nil {
			t.Fatalf("killed at write %d: %v", n, err)
		}
		if d.Replayed() {
			named++
		}
		if len(d.m.pages) > 0 {
			pending++
		}
		if err := os.WriteFile(mended, b, 0o644); err != nil {
			t.Fatal(err)
		}
		vdisktest.QemuImg(t, "check", "-q", "-r", "all", "-f", "vhdx", mended)
		raw := filepath.Join(dir, "mended.raw")
		vdisktest.QemuImg(t, "convert", "-f", "vhdx", "-O", "raw", mended, raw)
		want, err := os.ReadFile(raw)
		if err != nil {
			t.Fatal(err)
		}
		vdisktest.Disk(want).Same(t, d, d.Used())
		if !bytes.Equal(b, before) {
			t.Fatal("the file was written to")
		}
	}
	if pending < 1 || named < pending {
		t.Errorf("%d disks had a log with changes, %d named one", pending, named)
	}
}

// killAtWrite has qemu-io write to a disk and kills it at its nth write. It is
// false when there were fewer.
func killAtWrite(t *testing.T, n int, path string) bool {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: install the Debian package strace")
	}
	cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=pwrite64,pwritev",
		"-e", fmt.Sprintf("inject=pwrite64,pwritev:signal=SIGKILL:when=%d", n),
		"qemu-io", "-f", "vhdx", path, "-c", "write -P 0xaa 0 3M", "-c", "write -P 0xbb 10M 100k", "-c", "write -P 0xcc 20M 2M", "-c", "write -P 0xdd 30M 4k")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return err != nil
}

// logged is a disk with changes in its log, and what it is with them replayed.
type logged struct {
	m    *made
	id   guid
	disk vdisktest.Disk
	seq  uint64
	pos  int64
}

func newLogged(t testing.TB) *logged {
	disk := vdisktest.Draw(8*mib, 4)
	l := &logged{m: makeDisk(t, disk, Options{BlockSize: mib}), id: newGUID(), disk: disk, seq: 41}
	l.m.setLog(l.id)
	return l
}

// table is the page of the block table with some entries changed.
func (l *logged) table(set map[int]uint64) []byte {
	b := bytes.Clone(l.m.b[batAt:][:pageSize])
	for i, v := range set {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return b
}

// add appends an entry to the log.
func (l *logged) add(tail int64, changes ...change) {
	l.seq++
	e := logEntry(l.id, l.seq, tail, int64(len(l.m.b)), int64(len(l.m.b)), changes...)
	l.m.putLog(l.pos, e)
	l.pos = (l.pos + int64(len(e))) % mib
}

// same fails unless the disk reads as it should, to QEMU as well.
func (l *logged) same(t *testing.T, qemu bool) {
	t.Helper()
	d, err := l.m.open()
	if err != nil {
		t.Fatal(err)
	}
	if !d.Replayed() {
		t.Error("nobody saw the log")
	}
	l.disk.Same(t, d, d.Used())
	if !qemu {
		return
	}
	path := filepath.Join(t.TempDir(), "d.vhdx")
	l.m.save(t, path)
	vdisktest.QemuImg(t, "check", "-q", "-r", "all", "-f", "vhdx", path)
	vdisktest.QemuImg(t, "compare", "-f", "vhdx", "-F", "raw", path, l.disk.Save(t))
}

// swap has blocks 1 and 2 change places by a change of the table.
func (l *logged) swap() change {
	one, two := binary.LittleEndian.Uint64(l.m.b[batAt+8:]), binary.LittleEndian.Uint64(l.m.b[batAt+16:])
	a, b := bytes.Clone(l.disk[mib:2*mib]), bytes.Clone(l.disk[2*mib:3*mib])
	copy(l.disk[mib:], b)
	copy(l.disk[2*mib:], a)
	return change{off: batAt, data: l.table(map[int]uint64{1: two, 2: one})}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	garbage := func(l *logged, at int64, n int) {
		copy(l.m.b[at:], bytes.Repeat([]byte{0xa5}, n))
	}
	// QEMU 7.2 does not look at the tail of a sequence, and reads the descriptors of
	// one sector.
	notQemu := []string{"over the end of the ring", "only what the tail begins", "more descriptors than fit into a sector"}
	for name, make := range map[string]func(l *logged){
		"one entry": func(l *logged) { l.add(0, l.swap()) },
		"the table in the file is torn": func(l *logged) {
			c := l.swap()
			garbage(l, batAt, 100)
			l.add(0, c)
		},
		"a page of a block": func(l *logged) {
			page := bytes.Repeat([]byte("what was logged "), pageSize/16)
			at := int64(binary.LittleEndian.Uint64(l.m.b[batAt+8:]) &^ (mib - 1))
			copy(l.disk[mib+3*pageSize:], page)
			l.add(0, change{off: at + 3*pageSize, data: page})
		},
		"the metadata is torn": func(l *logged) {
			b := bytes.Clone(l.m.b[metadataAt+tableSize:][:pageSize])
			garbage(l, metadataAt+tableSize, 16)
			l.add(0, change{off: metadataAt + tableSize, data: b})
		},
		"both region tables are torn": func(l *logged) {
			b := bytes.Clone(l.m.b[regionAt0:][:pageSize])
			garbage(l, regionAt0, 50)
			garbage(l, regionAt1, 50)
			l.add(0, change{off: regionAt0, data: b}, change{off: regionAt1, data: b})
		},
		"the later entry wins": func(l *logged) {
			l.add(0, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.add(0, l.swap())
		},
		"only what the tail begins": func(l *logged) {
			l.add(0, change{off: metadataAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.add(2*sectorSize, l.swap())
		},
		"zeros, and a page upon them": func(l *logged) {
			c := l.swap()
			l.add(0, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)}, change{off: batAt, zero: 64 * kib})
			l.add(0, c)
			garbage(l, batAt+pageSize, 60*kib)
		},
		"zeros last": func(l *logged) {
			l.add(0, l.swap(), change{off: batAt, zero: pageSize})
			clear(l.disk)
		},
		"over the end of the ring": func(l *logged) {
			l.pos = mib - 3*sectorSize
			tail := l.pos
			l.add(tail, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.add(tail, l.swap())
			l.add(tail, change{off: batAt + pageSize, zero: pageSize})
		},
		"an older lap behind": func(l *logged) {
			l.pos, l.seq = 8*sectorSize, 3
			for range 20 {
				l.add(8*sectorSize, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			}
			l.pos, l.seq = 0, 60
			l.add(0, l.swap())
			l.add(0, change{off: batAt + pageSize, zero: pageSize})
		},
		"an older lap before": func(l *logged) {
			l.add(0, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.seq, l.pos = 60, 40*sectorSize
			l.add(40*sectorSize, l.swap())
		},
		"a torn entry behind": func(l *logged) {
			l.add(0, l.swap())
			at := l.pos
			l.add(0, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.m.b[logAt+at+sectorSize+100]++
		},
		"a log of another time behind": func(l *logged) {
			l.add(0, l.swap())
			old := l.id
			l.id = newGUID()
			l.add(0, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			l.id = old
		},
		"more descriptors than fit into a sector": func(l *logged) {
			var cs []change
			c := l.swap()
			for range 130 {
				cs = append(cs, change{off: batAt, data: bytes.Repeat([]byte{0xff}, pageSize)})
			}
			l.add(0, append(cs, c)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLogged(t)
			make(l)
			l.same(t, !slices.Contains(notQemu, name))
		})
	}
}

// TestLongerFile has a log that was written when the file had been made longer.
func TestLongerFile(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	old := int64(len(l.m.b))
	e := logEntry(l.id, 5, 0, old, old+mib, change{off: batAt, data: l.table(map[int]uint64{3: uint64(old) | statePresent})})
	l.m.putLog(0, e)
	clear(l.disk[3*mib : 4*mib])
	d, err := l.m.open()
	if err != nil {
		t.Fatal(err)
	}
	l.disk.Same(t, d, d.Used())
}

func TestLogsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(l *logged)
		want string
	}{
		"the first of two is torn": {func(l *logged) {
			l.add(0, l.swap())
			l.add(0, l.swap())
			l.m.b[logAt+sectorSize+9]++
		}, "not whole"},
		"cut short": {func(l *logged) {
			l.add(0, l.swap())
			l.m.b = l.m.b[:len(l.m.b)-mib]
		}, "cut short"},
		"no tail": {func(l *logged) { l.add(64*kib, l.swap()) }, "not whole"},
		"another sequence number in the data": {func(l *logged) {
			l.add(0, l.swap())
			b := l.m.b[logAt:][:2*sectorSize]
			b[2*sectorSize-1]++
			clear(b[4:8])
			binary.LittleEndian.PutUint32(b[4:], crcOf(b))
		}, "not whole"},
		"outside of the file": {func(l *logged) {
			for _, at := range []int{headerAt0, headerAt1} {
				binary.LittleEndian.PutUint64(l.m.b[at+72:], 1<<40)
			}
			l.m.resum()
		}, "of a file of"},
		"longer than can be": {func(l *logged) {
			for _, at := range []int{headerAt0, headerAt1} {
				binary.LittleEndian.PutUint32(l.m.b[at+68:], 1<<31)
			}
			l.m.resum()
		}, "of a file of"},
		"another version": {func(l *logged) {
			for _, at := range []int{headerAt0, headerAt1} {
				l.m.b[at+64] = 1
			}
			l.m.resum()
		}, "log version"},
	} {
		l := newLogged(t)
		c.make(l)
		if _, err := l.m.open(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTornLog has a log whose only entry is not whole: nothing of it counts.
func TestTornLog(t *testing.T) {
	l := newLogged(t)
	want := bytes.Clone(l.disk)
	l.add(0, l.swap())
	l.m.b[logAt+sectorSize+9]++
	l.disk = want
	l.same(t, true)
	if d, err := l.m.open(); err != nil || !d.TornLog() {
		t.Errorf("nobody saw that it is torn (%v)", err)
	}
}

// crcOf is the checksum of an entry whose own is zero.
func crcOf(b []byte) uint32 {
	g := ring{r: bytes.NewReader(b), len: int64(len(b)), budget: int64(len(b))}
	sum, err := g.checksum(&entry{size: int64(len(b))})
	if err != nil {
		panic(err)
	}
	return sum
}

// TestLogFullOfHeads has a log of which each sector looks like the start of an
// entry as long as the log.
func TestLogFullOfHeads(t *testing.T) {
	l := newLogged(t)
	for pos := int64(0); pos < mib; pos += sectorSize {
		e := logEntry(l.id, 5, 0, 0, 0)
		binary.LittleEndian.PutUint32(e[8:], mib)
		l.m.putLog(pos, e)
	}
	if _, err := l.m.open(); !errors.Is(err, errBudget) {
		t.Errorf("%v", err)
	}
}

// TestNothingLogged has a log that was named and not yet written to.
func TestNothingLogged(t *testing.T) {
	l := newLogged(t)
	l.same(t, true)
}
