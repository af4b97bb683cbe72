package disk

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ingot/internal/block"
)

// judge parses a disk that may be anything and checks what holds for every
// Layout: it is inside of the disk, in order, and can be written and read back.
func judge(t testing.TB, b block.Reader, ss int64) {
	t.Helper()
	begin := time.Now()
	l, err := Parse(b, ss)
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
	if err != nil {
		return
	}
	end := int64(0)
	for _, p := range l.Partitions {
		if p.Off < end || p.Len <= 0 || p.End() > b.Size() {
			t.Fatalf("partition %d: %d+%d on a disk of %d bytes, the one before ends at %d", p.Number, p.Off, p.Len, b.Size(), end)
		}
		end = p.End()
	}
	size := max(l.MinSize(), b.Size())
	ws, err := l.Writes(size)
	if err != nil {
		t.Fatalf("write what was read: %v", err)
	}
	// A first sector is enough of a table without partitions.
	if l.Scheme == SchemeNone {
		return
	}
	again, err := Parse(sparse{size, ws}, l.SectorSize)
	if err != nil || again.ID != l.ID || !slices.Equal(again.Partitions, l.Partitions) {
		t.Fatalf("read what was written: %v\n%+v\n%+v", err, l, again)
	}
	kept, err := FromImage(l.Track0, l.EBRs, l.SectorSize, l.Size)
	if err != nil || !slices.Equal(kept.Partitions, l.Partitions) {
		t.Fatalf("FromImage of what was read: %v", err)
	}
}

// sparse is a disk of zeros with some writes.
type sparse struct {
	size   int64
	writes []Write
}

func (s sparse) Size() int64 { return s.size }

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size-int64(len(p)) {
		return 0, errors.New("outside")
	}
	clear(p)
	for _, w := range s.writes {
		lo, hi := max(off, w.Off), min(off+int64(len(p)), w.Off+int64(len(w.Data)))
		if lo < hi {
			copy(p[lo-off:hi-off], w.Data[lo-w.Off:])
		}
	}
	return len(p), nil
}

// small are disks of little content for sweeps, made by real tools.
func small(t testing.TB) map[string]mem {
	gpt := blank(t, 1<<19)
	tool(t, "gdisk", "", "sgdisk", "-a", "1", "-S", "8", "-n", "1:40:99", "-n", "2:100:199", "-t", "2:ef00", "-n", "5:300:900", gpt)
	mbr := blank(t, 1<<19)
	tool(t, "fdisk", "label: dos\nstart=8, size=50, type=7\nstart=60, size=40, type=c, bootable\nstart=100, type=5\nstart=110, size=20, type=83\nstart=140, size=30, type=83\n", "sfdisk", "-q", mbr)
	return map[string]mem{"gpt": load(t, gpt), "mbr": load(t, mbr)}
}

func TestTruncations(t *testing.T) {
	t.Parallel()
	for name, b := range small(t) {
		t.Run(name, func(t *testing.T) {
			for n := 0; n <= len(b); n += 512 {
				judge(t, b[:n], 0)
				judge(t, b[:n], 512)
				judge(t, b[:min(n+100, len(b))], 4096)
			}
		})
	}
}

func TestBitFlips(t *testing.T) {
	t.Parallel()
	for name, sound := range small(t) {
		t.Run(name, func(t *testing.T) {
			var used []int // bytes that are not zero, and their neighbours
			for i := range sound {
				if sound[i] != 0 || i < 1536 {
					used = append(used, i)
				}
			}
			r := rand.New(rand.NewPCG(1, 2))
			b := slices.Clone(sound)
			for range 6000 {
				var at []int
				for range 1 + r.IntN(3) {
					i := used[r.IntN(len(used))]
					b[i] ^= 1 << r.IntN(8)
					at = append(at, i)
				}
				if name == "gpt" && r.IntN(2) == 0 && fits(b) { // else the checksum hides the rest
					resum(b)
					at = append(at, 512+16, 512+17, 512+18, 512+19, 512+88, 512+89, 512+90, 512+91)
				}
				judge(t, b, 0)
				for _, i := range at {
					b[i] = sound[i]
				}
			}
		})
	}
}

// fits says that the fields resum goes by lie inside of b.
func fits(b mem) bool {
	le := binary.LittleEndian
	size, at := le.Uint32(b[512+12:]), le.Uint64(b[512+72:])
	n := uint64(le.Uint32(b[512+80:])) * uint64(le.Uint32(b[512+84:]))
	return size >= 92 && size <= 512 && at < uint64(len(b)/512) && n <= uint64(len(b))-at*512
}

func FuzzParse(f *testing.F) {
	for _, b := range small(f) {
		f.Add([]byte(b[:4096]), []byte(b[len(b)-4096:]), int64(len(b)), true)
	}
	f.Fuzz(func(t *testing.T, head, tail []byte, size int64, sum bool) {
		if size < int64(len(head)+len(tail)) || size > 1<<50 {
			return
		}
		if sum && len(head) >= 1024 && fits(head) {
			head = slices.Clone(head)
			resum(head)
		}
		judge(t, sparse{size, []Write{{0, head}, {size - int64(len(tail)), tail}}}, 0)
	})
}
