package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// told is what Changes makes of two states, in granules of 512 bytes or a cluster.
func told(t testing.TB, now, was disk, opts StateOptions) (block.Map, string) {
	t.Helper()
	a, b := mustOpen(t, now), mustOpen(t, was)
	opts.Granule = max(opts.Granule, 512)
	opts.Also = block.Differ(a.Used(), b.Used())
	m, reason, err := Changes(t.Context(), a, b, opts)
	if err != nil {
		t.Fatal(err)
	}
	return m, reason
}

func mustOpen(t testing.TB, r block.Reader) *Volume {
	t.Helper()
	v, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// usedOnly is what an image holds of a volume: its used bytes, and zeros.
func usedOnly(t testing.TB, d disk) []byte {
	t.Helper()
	out := make([]byte, len(d))
	for e, err := range open(t, d).Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		copy(out[e.Off:e.End()], d[e.Off:])
	}
	return out
}

// compared is what came of a comparison: bytes in use that need no reading, and
// how many of those have changed nevertheless.
type compared struct {
	unread, missed int64
	first          int64 // where the first missed granule is
}

// compareStates looks at each granule of 4096 bytes: what is not to be read
// must be as it was.
func compareStates(t testing.TB, now, was disk) (c compared) {
	t.Helper()
	must, reason := told(t, now, was, StateOptions{})
	if reason != "" {
		t.Fatalf("not compared: %s", reason)
	}
	a, b := usedOnly(t, now), usedOnly(t, was)
	cur := block.NewCursor(must)
	defer cur.Stop()
	for off := int64(0); off < int64(len(a)); off += 4096 {
		e := block.Extent{Off: off, Len: min(4096, int64(len(a))-off)}
		hit, err := cur.Meets(e)
		if err != nil {
			t.Fatal(err)
		}
		if hit {
			continue
		}
		if !zeros(a[e.Off:e.End()]) {
			c.unread += e.Len
		}
		if !bytes.Equal(a[e.Off:e.End()], b[e.Off:e.End()]) {
			if c.missed == 0 {
				c.first = off
			}
			c.missed += e.Len
		}
	}
	return c
}

// writer changes a mounted volume at random.
type writer struct {
	t           *testing.T
	r           *rand.Rand
	files, dirs []string
	n           int
}

// look notes what files and folders there are.
func (w *writer) look(dir string) {
	w.files, w.dirs = nil, []string{dir}
	_ = filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		switch {
		case err == nil && e.Type().IsRegular():
			w.files = append(w.files, p)
		case err == nil && e.IsDir() && p != dir:
			w.dirs = append(w.dirs, p)
		}
		return nil
	})
}

// file is one of the files there were, "" when there are none.
func (w *writer) file() string {
	if len(w.files) == 0 {
		return ""
	}
	return w.files[w.r.IntN(len(w.files))]
}

func (w *writer) fresh() string {
	w.n++
	name := fmt.Sprintf("n%d-%d%s", w.n, w.r.IntN(1e6), []string{"", ".txt", ".bin"}[w.r.IntN(3)])
	name = filepath.Join(w.dirs[w.r.IntN(len(w.dirs))], name)
	w.files = append(w.files, name)
	return name
}

func (w *writer) bytes() []byte {
	n := []int{0, 100, 700, 5000, 60_000, 400_000}[w.r.IntN(6)]
	return content(n+w.r.IntN(n+1), w.r.Uint64())
}

// step does one thing; that the volume is full, or a name taken, is no matter.
func (w *writer) step() {
	f := w.file()
	switch op := w.r.IntN(12); {
	case op < 3 || f == "":
		_ = os.WriteFile(w.fresh(), w.bytes(), 0o644)
	case op == 3:
		_ = os.Remove(f)
	case op == 4:
		_ = os.Rename(f, w.fresh())
	case op == 5:
		_ = os.Link(f, w.fresh())
	case op == 6:
		w.edit(f, os.O_APPEND, w.bytes())
	case op == 7:
		if st, err := os.Stat(f); err == nil {
			_ = os.Truncate(f, w.r.Int64N(st.Size()*3/2+1))
		}
	case op == 8:
		_ = os.WriteFile(f+":stream", w.bytes(), 0o644)
	case op == 9:
		w.folder()
	default:
		w.edit(f, 0, w.bytes())
	}
}

// edit writes into a file at a random place, or at its end, as it is.
func (w *writer) edit(name string, flag int, b []byte) {
	f, err := os.OpenFile(name, os.O_WRONLY|flag, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if flag == 0 {
		st, _ := f.Stat()
		_, _ = f.Seek(w.r.Int64N(st.Size()+1), 0)
	}
	_, _ = f.Write(b[:min(len(b), 20_000)])
}

// folder makes one, of many files now and then, or one whose files are
// compressed.
func (w *writer) folder() {
	dir := w.fresh()
	if os.Mkdir(dir, 0o755) != nil {
		return
	}
	if w.r.IntN(2) == 0 {
		attrs := binary.LittleEndian.AppendUint32(nil, 0x800|0x10) // FILE_ATTRIBUTE_COMPRESSED
		_ = syscall.Setxattr(dir, "system.ntfs_attrib", attrs, 0)
		_ = os.WriteFile(dir+"/packed", bytes.Repeat([]byte("compress this "), 9000), 0o644)
	}
	for i := range w.r.IntN(60) {
		_ = os.WriteFile(fmt.Sprintf("%s/f%d", dir, i), nil, 0o644)
	}
}

// wear leaves a full volume with gaps of one cluster and some room, so that what
// comes next is in many runs, with attribute lists.
func wear(t *testing.T, dir string) {
	t.Helper()
	makeDir(t, dir+"/worn")
	name := func(i int) string { return fmt.Sprintf("%s/worn/%d.txt", dir, i) }
	n := 0
	for ; os.WriteFile(name(n), content(3000, uint64(n)), 0o644) == nil; n++ {
	}
	for i := 0; i <= n; i += 3 {
		removeFile(t, name(i))
	}
}

const historyMount = "rw,streams_interface=windows,compression"

// TestChangesHistories proves for random histories that no block is left unread
// that changed, against the state before and against the first one.
func TestChangesHistories(t *testing.T) {
	divided := 0
	for seed := range uint64(8) {
		divided += changesHistory(t, seed, 4)
	}
	if divided == 0 {
		t.Error("no file was ever in more than one record: the histories are no test")
	}
}

func changesHistory(t *testing.T, seed uint64, steps int) (divided int) {
	size, cluster := int64(16<<20), []string{"512", "1024", "4096"}[seed%3]
	if seed%2 == 0 {
		size = 6 << 20
	}
	path := makeVolume(t, size, "-c", cluster)
	if seed%2 == 0 {
		mounted(t, path, "rw", func(dir string) { wear(t, dir) })
	}
	w := &writer{t: t, r: rand.New(rand.NewPCG(seed, 17))}
	var states []disk
	for step := range steps {
		mounted(t, path, historyMount, func(dir string) {
			w.look(dir)
			for range 6 + 30*(step%2) {
				w.step()
			}
		})
		states = append(states, volumetest.Load(t, path))
		divided += dividedFiles(t, states[step])
		for _, was := range []int{0, step - 1} {
			if was < 0 || was == step {
				continue
			}
			if c := compareStates(t, states[step], states[was]); c.missed > 0 {
				t.Fatalf("seed %d, state %d against %d: %d changed bytes are not read, the first at %d", seed, step, was, c.missed, c.first)
			}
		}
	}
	return divided
}

// dividedFiles counts the extension records of a volume.
func dividedFiles(t *testing.T, d disk) (n int) {
	v := open(t, d)
	for i := int64(firstFile); i < v.mft.count(); i++ {
		if rec, err := v.mft.record(i); err == nil && rec.base != 0 {
			n++
		}
	}
	return n
}

// TestUnchangedIsNotRead has a large part of a volume left unread when one file
// changes, and that file read.
func TestUnchangedIsNotRead(t *testing.T) {
	path := makeVolume(t, 32<<20)
	mounted(t, path, "rw", func(dir string) {
		for i := range 40 {
			writeFile(t, fmt.Sprintf("%s/f%d.txt", dir, i), content(500_000, uint64(i)))
		}
	})
	was := volumetest.Load(t, path)
	mounted(t, path, "rw", func(dir string) { writeFile(t, dir+"/f7.txt", content(500_000, 99)) })
	now := volumetest.Load(t, path)
	c := compareStates(t, now, was)
	if c.missed > 0 || c.unread < 39*495_000 || c.unread > 39*505_000 {
		t.Errorf("%+v", c)
	}
	if c := compareStates(t, now, now); c.missed > 0 || c.unread < 40*495_000 {
		t.Errorf("against itself: %+v", c)
	}
	// What the driver does not know of is missed: the limit of the method.
	raw := bytes.Clone(now)
	at := bytes.Index(raw, content(500_000, 12)[4096:8192])
	raw[at] ^= 1
	if c := compareStates(t, raw, now); c.missed != 4096 {
		t.Errorf("a change behind the driver's back: %+v", c)
	}
}

// TestAlwaysRead has files that are read whatever their records say.
func TestAlwaysRead(t *testing.T) {
	always := []string{
		"Users/me/Mail.PST", "vm/disk.vhdx", "vm/disk.VMDK", "a.sqlite", "a.sqlite-wal", "big-container", "secret.hc",
		"System Volume Information/tracking.log.x", "System Volume Information/deep/er/file.txt",
		"Windows/System32/config/SOFTWARE", "Users/me/NTUSER.DAT", "Windows/x.evtx", "x.regtrans-ms", "pagefile.sys", "Boot/BCD",
	}
	never := []string{"plain.txt", "Users/me/letter.docx", "small-container", ".hidden", "config.txt", "config/sub/x.txt"}
	path := makeVolume(t, 16<<20)
	data := func(name string) []byte {
		return content(20_000, uint64(len(name))<<8|uint64(name[len(name)-1]))
	}
	mounted(t, path, "rw", func(dir string) {
		for _, name := range slices.Concat(always, never) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, name), data(name))
		}
		if err := os.Truncate(dir+"/big-container", largeFile); err != nil {
			t.Fatal(err)
		}
	})
	d := volumetest.Load(t, path)
	must, reason := told(t, d, d, StateOptions{})
	if reason != "" {
		t.Fatal(reason)
	}
	read := func(name string) bool {
		at := int64(bytes.Index(d, data(name)[4096:8192]))
		cur := block.NewCursor(must)
		defer cur.Stop()
		hit, _ := cur.Meets(block.Extent{Off: at, Len: 1})
		return hit && at > 0
	}
	for _, name := range always {
		if !read(name) {
			t.Errorf("%s is not read", name)
		}
	}
	for _, name := range never {
		if read(name) {
			t.Errorf("%s is read", name)
		}
	}
}

func TestChangesCancelled(t *testing.T) {
	d := volumetest.Load(t, makeVolume(t, 8<<20))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := open(t, d)
	if _, reason, err := Changes(ctx, v, v, StateOptions{}); !errors.Is(err, context.Canceled) || reason != "" {
		t.Errorf("%q, %v", reason, err)
	}
}

// setLog writes the restart pages of $LogFile.
func setLog(t *testing.T, d disk, lsn byte, client uint16) {
	t.Helper()
	s, err := mustOpen(t, d).systemData(recLogFile, "$LogFile")
	if err != nil {
		t.Fatal(err)
	}
	page := d[s.runs[0].lcn*4096:]
	copy(page, "RSTR")
	binary.LittleEndian.PutUint32(page[16:], 4096)
	binary.LittleEndian.PutUint16(page[24:], 48)
	copy(page[48:], []byte{lsn, 0, 0, 0, 0, 0, 0, 0})
	binary.LittleEndian.PutUint16(page[48+12:], client)
	binary.LittleEndian.PutUint16(page[48+14:], 0)
}

// setInfo writes version and flags of the volume.
func setInfo(d disk, minor byte, flags uint16) {
	value := []byte{8: 3, 9: minor, 10: byte(flags), 11: byte(flags >> 8)}
	editRecord(d, recVolume, replace(typeVolumeInfo, ntfstest.Resident(typeVolumeInfo, 5, value)))
}

// TestNotCompared makes each reason why two states are not compared.
func TestNotCompared(t *testing.T) {
	path := makeVolume(t, 8<<20, "-c", "4096")
	mounted(t, path, "rw", func(dir string) { writeFile(t, dir+"/file.txt", content(50_000, 1)) })
	fresh := volumetest.Load(t, path)
	v := open(t, fresh)
	ref, _, err := v.lookup("file.txt")
	if err != nil {
		t.Fatal(err)
	}
	file := int64(ref & (1<<48 - 1))
	for _, c := range []struct {
		name, want string
		now, was   func(d disk)
		opts       StateOptions
	}{
		{name: "nothing"},
		{name: "serial", want: "formatted anew", now: func(d disk) { d[72]++ }},
		{name: "fewer clusters", want: "clusters and has", now: func(d disk) { d[40] -= 8 }},
		{name: "$MFTMirr elsewhere", want: "its boot sector was changed", now: func(d disk) { d[56]++ }},
		{name: "dirty", want: "volume flags 0x1)", now: func(d disk) { setInfo(d, 1, 1) }},
		{name: "dirty before", want: "when the backup was made", was: func(d disk) { setInfo(d, 1, 1) }},
		{name: "dirty in a snapshot", want: "volume flags 0x1)", now: func(d disk) { setInfo(d, 1, 1) }, opts: StateOptions{Snapshot: true}},
		{name: "resizing", want: "volume flags 0x2)", now: func(d disk) { setInfo(d, 1, 2) }},
		{name: "to be upgraded", want: "volume flags 0x4)", now: func(d disk) { setInfo(d, 1, 4) }},
		{name: "journal being deleted", want: "volume flags 0x10)", now: func(d disk) { setInfo(d, 1, 0x10) }},
		{name: "chkdsk at work", want: "volume flags 0x4000)", now: func(d disk) { setInfo(d, 1, 0x4000) }},
		{name: "changed by chkdsk", want: "volume flags 0x8000)", now: func(d disk) { setInfo(d, 1, 0x8000) }},
		{name: "version", want: "another driver", now: func(d disk) { setInfo(d, 0, 0) }},
		{name: "journal in use", want: "its journal is in use", now: func(d disk) { setLog(t, d, 9, 0) }},
		{name: "journal in use in a snapshot", now: func(d disk) { setLog(t, d, 9, 0) }, opts: StateOptions{Snapshot: true}},
		{name: "journal was in use", want: "its journal is in use", was: func(d disk) { setLog(t, d, 9, 0) }, now: func(d disk) { setLog(t, d, 9, 0xffff) }},
		{name: "journal was in use in a snapshot", was: func(d disk) { setLog(t, d, 9, 0) }, now: func(d disk) { setLog(t, d, 9, 0xffff) }, opts: StateOptions{WasSnapshot: true}},
		{name: "journal made anew", want: "another system has had it", was: func(d disk) { setLog(t, d, 9, 0xffff) }},
		{name: "journal at an earlier place", want: "its journal was at 9 and is at 8", was: func(d disk) { setLog(t, d, 9, 0xffff) }, now: func(d disk) { setLog(t, d, 8, 0xffff) }},
		{name: "system record damaged", want: "system record is damaged", now: func(d disk) { copy(rawRecord(d, recMFT), "BAAD") }},
		{name: "bitmap not proven", want: "$Bitmap", now: func(d disk) { clear(rawRecord(d, recBitmap)) }},
		{name: "torn record", want: "MFT record 64: torn write", now: func(d disk) { rawRecord(d, file)[510]++ }},
		{name: "torn record before", want: "in the backup: MFT record 64: torn write", was: func(d disk) { rawRecord(d, file)[510]++ }},
		{name: "no record", want: "no signature", now: func(d disk) { copy(rawRecord(d, file), "BAAD") }},
		{name: "bad runs", want: "mapping pairs", now: func(d disk) { badRuns(d, file) }, was: func(d disk) { badRuns(d, file) }},
		{name: "bad name", want: "MFT record 64: a name of 8 bytes", now: func(d disk) { badName(d, file) }},
		{name: "$MFT smaller", want: "no driver makes it smaller", now: func(d disk) { shorterMFT(t, d) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, was := disk(bytes.Clone(fresh)), disk(bytes.Clone(fresh))
			if c.now != nil {
				c.now(now)
			}
			if c.was != nil {
				c.was(was)
			}
			m, reason := told(t, now, was, c.opts)
			if c.want == "" && reason != "" || !strings.Contains(reason, c.want) || (m == nil) != (c.want != "") {
				t.Errorf("%q instead of %q", reason, c.want)
			}
		})
	}
}

// badRuns lets the data of a file end behind the volume.
func badRuns(d disk, file int64) {
	bad := ntfstest.NonResident(typeData, 2, "", 0, []ntfstest.Run{{LCN: 1 << 20, Clusters: 13}}, 50_000, 4096)
	editRecord(d, file, replace(typeData, bad))
}

func badName(d disk, file int64) {
	editRecord(d, file, replace(0x30, ntfstest.Resident(0x30, 2, make([]byte, 8))))
}

// shorterMFT takes the last record off $MFT.
func shorterMFT(t *testing.T, d disk) {
	t.Helper()
	v := open(t, d)
	var runs []ntfstest.Run
	for _, r := range v.mft.data.runs {
		runs = append(runs, ntfstest.Run{LCN: r.lcn, Clusters: r.n})
	}
	data := ntfstest.NonResident(typeData, 1, "", 0, runs, v.mft.data.size-1024, 4096)
	editRecord(d, recMFT, replace(typeData, data))
}

// TestNotComparedOtherVolumes has volumes that differ in more than a field.
func TestNotComparedOtherVolumes(t *testing.T) {
	small := volumetest.Load(t, makeVolume(t, 8<<20, "-c", "4096"))
	clusters := volumetest.Load(t, makeVolume(t, 8<<20, "-c", "2048"))
	copy(clusters[72:80], small[72:80])
	if _, reason := told(t, clusters, small, StateOptions{}); !strings.Contains(reason, "its clusters had 4096 bytes and have 2048") {
		t.Errorf("%q", reason)
	}
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw", func(dir string) {
		writeFile(t, dir+"/hiberfil.sys", append([]byte("hibr"), make([]byte, 8188)...))
	})
	asleep := volumetest.Load(t, path)
	if _, reason := told(t, asleep, asleep, StateOptions{}); !strings.Contains(reason, "hibernated") {
		t.Errorf("%q", reason)
	}
}
