package backup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
	"ingot/internal/dest/desttest"
	"ingot/internal/filesys"
	"ingot/internal/filesys/volumetest"
	"ingot/internal/image"
	"ingot/internal/job"
)

// fill gives the volume 60 files of 200 000 bytes.
func (d *mftDisk) fill() {
	d.write(func(dir string) {
		must(d.t, os.Mkdir(dir+"/folder", 0o755))
		for i := range 60 {
			must(d.t, os.WriteFile(fmt.Sprintf("%s/f%d.txt", dir, i), noise(200_000, uint64(i)), 0o644))
		}
	})
}

// changes are the ways in which files change; each is done before an image.
func changes() []func(t *testing.T, dir string) {
	file := func(dir string, i int) string { return fmt.Sprintf("%s/f%d.txt", dir, i) }
	return []func(t *testing.T, dir string){
		func(*testing.T, string) {},
		func(t *testing.T, dir string) { // grow, shrink, overwrite in place, with the time set back
			st, err := os.Stat(file(dir, 3))
			must(t, err, appendTo(file(dir, 1), noise(90_000, 100)), os.Truncate(file(dir, 2), 1000))
			f, err := os.OpenFile(file(dir, 3), os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt(noise(5000, 101), 100_000)
			must(t, err, f.Close(), os.Chtimes(file(dir, 3), st.ModTime(), st.ModTime()))
		},
		func(t *testing.T, dir string) { // delete, and create in its place
			must(t, os.Remove(file(dir, 4)), os.Remove(file(dir, 5)), os.WriteFile(dir+"/new.txt", noise(200_000, 102), 0o644))
		},
		func(t *testing.T, dir string) { // rename, link, streams
			must(t, os.Rename(file(dir, 6), dir+"/folder/moved.txt"), os.Link(file(dir, 7), dir+"/folder/linked.txt"),
				os.WriteFile(file(dir, 8)+":stream", noise(70_000, 103), 0o644))
		},
		func(t *testing.T, dir string) { // many small ones, in pieces
			for i := range 300 {
				must(t, os.WriteFile(fmt.Sprintf("%s/folder/s%d", dir, i), noise(i*10, uint64(i)), 0o644))
			}
			for i := 0; i < 300; i += 2 {
				must(t, os.Remove(fmt.Sprintf("%s/folder/s%d", dir, i)))
			}
		},
		func(t *testing.T, dir string) { // a stream overwritten, a hole, a file through its other name
			must(t, os.WriteFile(file(dir, 8)+":stream", noise(70_000, 104), 0o644), appendTo(dir+"/folder/linked.txt", []byte("more")),
				os.Truncate(file(dir, 9), 5_000_000))
		},
	}
}

func appendTo(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// TestChangesByMFT makes an incremental, and a differential, after each kind of
// change: each holds exactly what the volume held, and most was not read.
func TestChangesByMFT(t *testing.T) {
	d := newMFTDisk(t, 24<<20)
	d.fill()
	type point struct {
		name string
		disk []byte
	}
	opts := mftOptions()
	res := d.image(opts)
	points := []point{{res.Name, d.bytes()}}
	if res.Type != image.TypeFull || res.Unread != 0 || len(res.Parts) != 0 {
		t.Errorf("%+v", res)
	}
	for i, change := range changes() {
		d.write(func(dir string) { change(t, dir) })
		for _, typ := range []string{image.TypeInc, image.TypeDiff} {
			opts.Type, opts.FullIndex, opts.FullReadEvery = typ, i == 2, 100
			res := d.image(opts)
			points = append(points, point{res.Name, d.bytes()})
			if res.Type != typ || len(res.Parts) != 1 || res.Parts[0].Method != ChangesMFT || res.Unread < 8<<20 || res.Read+res.Unread < 11<<20 {
				t.Errorf("change %d, %s: %+v, %q", i, typ, res, d.said)
			}
			if k := d.noted(res.Name); k.Method != ChangesMFT || k.Row != int64(len(points)-1) || k.Missed != 0 || k.Source != image.SourceStill || k.Scope != "used" {
				t.Errorf("change %d, %s: noted %+v", i, typ, k)
			}
		}
	}
	for _, p := range points {
		d.holds(p.name, p.disk)
	}
	d.sameFiles(points[len(points)-1].name)
}

// sameFiles compares all files of an image with those of the volume.
func (d *mftDisk) sameFiles(name string) {
	d.t.Helper()
	copied := &mftDisk{t: d.t, path: filepath.Join(d.t.TempDir(), "restored")}
	must(d.t, os.WriteFile(copied.path, d.read(name), 0o600))
	var want, got map[string]string
	d.write(func(dir string) { want = volumetest.Hashes(d.t, dir) })
	copied.write(func(dir string) { got = volumetest.Hashes(d.t, dir) })
	if len(want) < 50 || fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("%d files came back of %d, or other ones", len(got), len(want))
	}
}

// TestUnchangedIsNotAskedFor has the disk fail wherever a file that did not
// change is read.
func TestUnchangedIsNotAskedFor(t *testing.T) {
	d := newMFTDisk(t, 24<<20)
	d.fill()
	d.image(mftOptions())
	d.write(func(dir string) { must(t, appendTo(dir+"/f1.txt", []byte("more"))) })
	data := d.bytes()
	at := int64(bytes.Index(data, noise(200_000, 30)[:4096]))
	dev := blocktest.New(data)
	dev.Fail = func(op blocktest.Op, e block.Extent) error {
		if e.Off < at+150_000 && at+20_000 < e.End() {
			return syscall.EIO
		}
		return nil
	}
	d.holds(d.imageOf(dev, mftOptions()).Name, data)
}

// behind changes a byte of file f20.txt without the driver.
func (d *mftDisk) behind() {
	d.t.Helper()
	vol := volumetest.Load(d.t, d.path)
	at := bytes.Index(vol, noise(200_000, 20)[50_000:50_100])
	if at < 0 {
		d.t.Fatal("the file is not in one piece")
	}
	vol[at+10_000] ^= 1
	must(d.t, os.WriteFile(d.path, vol, 0o600))
}

// TestMissedIsFound changes a file behind the driver's back: incrementals by the
// MFT miss it until one reads everything. That one counts it, and from then on,
// whatever is done with the set, all is read.
func TestMissedIsFound(t *testing.T) {
	for _, typ := range []string{image.TypeInc, image.TypeDiff} {
		d := newMFTDisk(t, 24<<20)
		d.fill()
		opts := mftOptions()
		opts.FullReadEvery = 3
		d.image(opts)
		opts.Type = typ
		d.behind()
		for range 2 {
			res := d.image(opts)
			if d.differs(res.Name, d.bytes()) < 0 || res.Parts[0].Method != ChangesMFT || res.Parts[0].Checked {
				t.Fatalf("the change was not missed: this is no test: %+v", res)
			}
		}
		res := d.image(opts)
		d.holds(res.Name, d.bytes())
		if p := res.Parts[0]; !p.Checked || p.Missed != 1 || p.Method != ChangesAll || res.Unread != 0 || !d.heard("warning: partition 1 (NTFS): 1 blocks had changed") {
			t.Errorf("%+v, %q", res, d.said)
		}
		for range 2 {
			res = d.image(opts)
			d.holds(res.Name, d.bytes())
			if p := res.Parts[0]; p.Checked || p.Method != ChangesAll || !strings.Contains(p.Reason, "did not tell of 1 changed blocks") || !d.heard(p.Reason) {
				t.Errorf("%+v, %q", res, d.said)
			}
			if k := d.noted(res.Name); k.Missed != 1 || k.Row != 0 || k.Reason == "" {
				t.Errorf("noted %+v", k)
			}
			if typ == image.TypeInc {
				d.consolidate()
			}
		}
	}
}

// consolidate makes a synthetic full of the only set.
func (d *mftDisk) consolidate() {
	d.t.Helper()
	sets, err := image.ReadSets(d.t.Context(), d.store, nil)
	must(d.t, err)
	s := sets.Sets[0]
	points := s.Points()
	c, err := s.Consolidation(points[0], points[len(points)-1])
	must(d.t, err)
	must(d.t, c.Run(d.t.Context(), d.store, image.Options{}, nil))
}

// TestFullReadEvery counts the points between two that read everything.
func TestFullReadEvery(t *testing.T) {
	d := newMFTDisk(t, 12<<20)
	opts := mftOptions()
	d.image(opts)
	var got []string
	run := func(every int, changes string) {
		opts.FullReadEvery, opts.Changes = every, changes
		res := d.image(opts)
		mark := "-"
		if len(res.Parts) > 0 {
			mark = map[bool]string{true: "R", false: res.Parts[0].Method[:1]}[res.Parts[0].Checked]
		}
		got = append(got, mark)
	}
	for range 21 {
		run(0, ChangesMFT)
	}
	for range 2 {
		run(1, ChangesMFT)
	}
	run(2, ChangesMFT)
	run(2, ChangesAll)
	run(2, ChangesMFT)
	run(2, ChangesMFT)
	if s := strings.Join(got, ""); s != "mmmmmmmmmR"+"mmmmmmmmmR"+"m"+"RR"+"m"+"-"+"mR" {
		t.Error(s)
	}
	if !d.heard("its MFT told of all changes") {
		t.Errorf("%q", d.said)
	}
}

// TestChangesNotAsked has each reason why the MFT is not asked, and all is read
// then.
func TestChangesNotAsked(t *testing.T) {
	for _, c := range []struct {
		name, want string
		full, inc  func(*Options)
		was, now   func(*Plan, *Target)
	}{
		{name: "nothing"},
		{name: "live", want: "may be written to while it is imaged", now: func(p *Plan, _ *Target) { p.Source.Live = true }},
		{name: "was live", want: "may have been written to while x-00-00.mrimgx was made", was: func(p *Plan, _ *Target) { p.Source.Live = true }},
		{name: "all sectors", want: "free sectors are imaged too", inc: func(o *Options) { o.AllSectors = true }, full: func(o *Options) { o.AllSectors = true }},
		{name: "all sectors before", want: "another rule of what is stored", full: func(o *Options) { o.AllSectors = true }},
		{name: "of another program", want: "does not say how still its source held", now: func(_ *Plan, target *Target) {
			target.base.Member.Doc.Disks[0].Partitions[0].Header.Changes = nil
		}},
		{name: "other files left out", want: "another rule of what is stored", inc: func(o *Options) { o.Exclude = []string{"tmp/**"} }},
		{name: "of another version", want: "another version of Ingot", now: func(_ *Plan, target *Target) {
			target.base.Member.Doc.Auxiliary.Maker = "0.0.1"
		}},
		{name: "snapshot", was: func(p *Plan, _ *Target) { p.Source.Snapshot = true }, now: func(p *Plan, _ *Target) { p.Source.Snapshot = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newMFTDisk(t, 12<<20)
			d.write(func(dir string) { must(t, os.WriteFile(dir+"/file.txt", noise(400_000, 1), 0o644)) })
			opts := mftOptions()
			some := func(f func(*Plan, *Target)) func(*Plan, *Target) {
				if f == nil {
					return func(*Plan, *Target) {}
				}
				return f
			}
			full, inc := opts, opts
			if c.full != nil {
				c.full(&full)
			}
			if c.inc != nil {
				c.inc(&inc)
			}
			d.image(full, some(c.was))
			d.behind0()
			res := d.image(inc, some(c.now))
			asked := d.differs(res.Name, d.bytes()) >= 0
			if len(res.Parts) != 1 || (res.Parts[0].Method == ChangesMFT) != (c.want == "") || !strings.Contains(res.Parts[0].Reason, c.want) ||
				c.want != "" && !d.heard("note: partition 1 (NTFS): everything is read: ") {
				t.Errorf("%+v, %q", res, d.said)
			}
			if !inc.AllSectors && asked != (c.want == "") {
				t.Errorf("the change that the MFT does not tell of was missed: %t", asked)
			}
		})
	}
}

// TestLeftOutSince stores as zeros what the parent holds as it is: what is
// stored goes by what is left out, not by the MFT.
func TestLeftOutSince(t *testing.T) {
	d := newMFTDisk(t, 24<<20)
	d.fill()
	d.image(mftOptions())
	data := d.bytes()
	at := int64(bytes.Index(data, noise(200_000, 30)[:4096])) - 63*512
	zero := []block.Extent{{Off: at, Len: 100_000}}
	res := d.image(mftOptions(), func(p *Plan, _ *Target) {
		v, err := filesys.Leave(p.Parts[0].Volume, nil, zero)
		must(t, err)
		p.Parts[0].Volume = v
	})
	want := bytes.Clone(data)
	clear(want[63*512+at:][:zero[0].Len])
	d.holds(res.Name, want)
	if res.Parts[0].Method != ChangesMFT || res.Unread < 8<<20 {
		t.Errorf("%+v", res)
	}
}

// TestExcludedSince renames a folder whose files are left out, and makes the page
// file a file: no record of the files themselves tells that they are wanted now.
func TestExcludedSince(t *testing.T) {
	d := newMFTDisk(t, 24<<20)
	d.fill()
	d.write(func(dir string) {
		must(t, os.MkdirAll(dir+"/tmp/deep", 0o755), os.WriteFile(dir+"/tmp/deep/big.bin", noise(900_000, 200), 0o644),
			os.WriteFile(dir+"/pagefile.sys", noise(900_000, 201), 0o644))
	})
	opts := mftOptions()
	opts.Exclude = []string{"tmp/**"}
	first := d.image(opts)
	held := d.read(first.Name)
	if bytes.Contains(held, noise(900_000, 200)[:100]) || bytes.Contains(held, noise(900_000, 201)[80_000:80_100]) {
		t.Fatal("nothing is left out: this is no test")
	}
	if res := d.image(opts); res.Parts[0].Method != ChangesMFT || res.Changed != 0 || res.Unread < 8<<20 {
		t.Errorf("%+v", res)
	}
	d.write(func(dir string) {
		must(t, os.Rename(dir+"/tmp", dir+"/kept"), os.Rename(dir+"/pagefile.sys", dir+"/kept/page.bin"))
	})
	for _, typ := range []string{image.TypeInc, image.TypeDiff} {
		opts.Type = typ
		res := d.image(opts)
		d.holds(res.Name, d.bytes())
		if res.Parts[0].Method != ChangesMFT || res.Unread < 8<<20 || !bytes.Contains(d.read(res.Name), noise(900_000, 200)[:100]) {
			t.Errorf("%+v", res)
		}
	}
}

// behind0 changes a byte of file.txt without the driver.
func (d *mftDisk) behind0() {
	d.t.Helper()
	vol := volumetest.Load(d.t, d.path)
	vol[bytes.Index(vol, noise(400_000, 1)[:100])+200_000] ^= 1
	must(d.t, os.WriteFile(d.path, vol, 0o600))
}

// TestDamagedParent has the set hold an unreadable $MFT: all is read.
func TestDamagedParent(t *testing.T) {
	d := newMFTDisk(t, 12<<20)
	d.image(mftOptions())
	vol := volumetest.Load(t, d.path)
	name := "x-00-00.mrimgx"
	b := d.store.Get(name)
	at := bytes.Index(b, vol[bytes.Index(vol, []byte("FILE0")):][:1024])
	if at < 0 {
		t.Fatal("the image does not hold $MFT as it is")
	}
	b[at+300] ^= 1
	res := d.image(mftOptions())
	if p := res.Parts[0]; p.Method != ChangesAll || !strings.Contains(p.Reason, "MD5 is wrong") {
		t.Errorf("%+v", p)
	}
}

// TestOnlyNTFS has a FAT volume, of which nothing is said.
func TestOnlyNTFS(t *testing.T) {
	data, m := fatDisk(t), desttest.NewMemory()
	for range 2 {
		p, err := Prepare(source(t, blocktest.New(data)), mftOptions())
		must(t, err)
		target, err := p.Target(t.Context(), m)
		must(t, err)
		res, err := p.Run(t.Context(), m, target, Naming{Template: "x"}, job.NewLog(nil))
		must(t, err, target.Close())
		if len(res.Parts) != 0 || res.Unread != 0 {
			t.Errorf("%+v", res)
		}
	}
	c, err := image.Open(t.Context(), m, "x-01-01.mrimgx", nil)
	must(t, err)
	defer c.Close()
	if k := c.Doc.Disks[0].Partitions[0].Header.Changes; k != nil {
		t.Errorf("%+v", k)
	}
}

func TestChangesOptions(t *testing.T) {
	data := fatDisk(t)
	for _, opts := range []Options{{Changes: "usn"}, {Changes: "mft", FullReadEvery: -1}} {
		if _, err := Prepare(source(t, blocktest.New(data)), opts); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}
