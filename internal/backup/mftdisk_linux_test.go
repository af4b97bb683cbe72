package backup

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/dest/desttest"
	"ingot/internal/filesys/volumetest"
	"ingot/internal/image"
	"ingot/internal/job"
)

// mftDisk is a disk with one NTFS volume of mkntfs, written through ntfs-3g, and
// its backups.
type mftDisk struct {
	t     *testing.T
	path  string // of the volume
	store *desttest.Memory
	clock int64
	said  []string // notes and warnings of the last run
}

func newMFTDisk(t *testing.T, size int64) *mftDisk {
	t.Helper()
	path := volumetest.Make(t, size, "ntfs-3g", "mkntfs", "-F", "-q", "-c", "4096")
	return &mftDisk{t: t, path: path, store: desttest.NewMemory(), clock: 1_700_000_000}
}

// write mounts the volume and has it changed.
func (d *mftDisk) write(do func(dir string)) {
	d.t.Helper()
	dir := d.t.TempDir()
	volumetest.RunTool(d.t, "ntfs-3g", "ntfs-3g", "-o", "rw,streams_interface=windows", d.path, dir)
	defer volumetest.RunTool(d.t, "fuse3", "fusermount3", "-u", dir)
	do(dir)
}

func (d *mftDisk) bytes() []byte { return mbrDisk(volumetest.Load(d.t, d.path)) }

// options are those of a small incremental by the MFT.
func mftOptions() Options {
	return Options{Changes: ChangesMFT, BlockSize: 16 << 10, Compression: "none"}
}

// image makes one of what the volume holds.
func (d *mftDisk) image(opts Options, also ...func(*Plan, *Target)) *Result {
	d.t.Helper()
	return d.imageOf(blocktest.New(d.bytes()), opts, also...)
}

func (d *mftDisk) imageOf(r block.Reader, opts Options, also ...func(*Plan, *Target)) *Result {
	d.t.Helper()
	p, err := Prepare(source(d.t, r), opts)
	if err != nil {
		d.t.Fatal(err)
	}
	target, err := p.Target(d.t.Context(), d.store)
	if err != nil {
		d.t.Fatal(err)
	}
	defer target.Close()
	for _, f := range also {
		f(p, target)
	}
	d.said = nil
	log := job.NewLog(func(e job.Event) {
		if e.Text != "" {
			d.said = append(d.said, string(e.Kind)+": "+e.Text)
		}
	})
	d.clock++
	res, err := p.Run(d.t.Context(), d.store, target, Naming{Template: "x", Time: time.Unix(d.clock, 0)}, log)
	if err != nil {
		d.t.Fatal(err)
	}
	return res
}

// holds fails the test unless an image holds the used bytes of a disk, and zeros.
func (d *mftDisk) holds(name string, disk []byte) {
	d.t.Helper()
	if at := d.differs(name, disk); at >= 0 {
		d.t.Errorf("%s: byte %d of the volume is not what it was", name, at)
	}
}

// differs is the first byte of the volume that an image holds otherwise; -1 when
// there is none.
func (d *mftDisk) differs(name string, disk []byte) int {
	d.t.Helper()
	got := d.read(name)
	p, err := Prepare(source(d.t, blocktest.New(disk)), Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	want := bytes.Clone(disk[63*512 : 63*512+len(got)])
	keepUsed(d.t, want, p.Parts[0].Volume.Used())
	for _, e := range p.Parts[0].Volume.Zeroed() {
		clear(want[e.Off:e.End()])
	}
	if bytes.Equal(got, want) {
		return -1
	}
	at := 0
	for got[at] == want[at] {
		at++
	}
	return at
}

// read is what an image holds of the volume.
func (d *mftDisk) read(name string) []byte {
	d.t.Helper()
	c, err := image.Open(d.t.Context(), d.store, name, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	v := c.Disks()[0].Partitions[0]
	got := make([]byte, v.Size())
	if _, err := v.ReadAt(got, 0); err != nil {
		d.t.Fatal(err)
	}
	return got
}

// noted is what an image says of how it was made.
func (d *mftDisk) noted(name string) *image.Changes {
	d.t.Helper()
	c, err := image.Open(d.t.Context(), d.store, name, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	return c.Doc.Disks[0].Partitions[0].Header.Changes
}

func (d *mftDisk) heard(text string) bool {
	return slices.ContainsFunc(d.said, func(s string) bool { return strings.Contains(s, text) })
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}
