package ntfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// catalogue and store are the files of shadow copies.
const (
	catalogue = "System Volume Information/" + shadowMark
	store     = "System Volume Information/{f1a7c5a2-6c33-11ef-9d6a-000c29000001}{3808876B-C176-4E48-B7AE-04046E6CC752}"
)

// windowsVolume is a volume with all files that are left out of an image, and
// some more.
func windowsVolume(t testing.TB) disk {
	t.Helper()
	path := makeVolume(t, 24<<20, "-c", "4096")
	mounted(t, path, "rw,remove_hiberfile", func(dir string) {
		makeDir(t, dir+"/System Volume Information")
		writeFile(t, dir+"/System Volume Information/tracking.log", content(20000, 1))
		var files []*os.File
		for _, name := range []string{"PageFile.sys", "swapfile.sys", "hiberfil.sys", catalogue, store} {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		for i := range int64(9) { // side by side, so that each is in pieces
			for k, f := range files {
				if _, err := f.WriteAt(content(100000, uint64(k)), i*100000); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := files[2].WriteAt(make([]byte, 4096), 0); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir+"/kept", content(300000, 9))
		makeDir(t, dir+"/d")
		writeFile(t, dir+"/d/pagefile.sys", content(300000, 9))
	})
	return volumetest.Load(t, path)
}

// reasons are why files are kept, by their paths.
func reasons(v *Volume) map[string]string {
	out := map[string]string{}
	for _, u := range v.Unneeded() {
		out[u.Path] = u.Kept
	}
	return out
}

func TestUnneeded(t *testing.T) {
	d := windowsVolume(t)
	v := open(t, d)
	used := usedMap(t, v)
	var out []block.Extent
	for i, name := range []string{"pagefile.sys", "swapfile.sys", "hiberfil.sys", catalogue, store} {
		u := v.Unneeded()[i]
		n, err := v.Files().find(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []block.Extent
		for e, err := range n.Extents() {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, e)
		}
		if u.Kept != "" || !strings.EqualFold(u.Path, `\`+strings.ReplaceAll(name, "/", `\`)) || !slices.Equal(u.Out, want) || len(want) < 2 {
			t.Errorf("%+v instead of %v", u, want)
		}
		head := block.Extent{Off: want[0].Off, Len: 64 << 10}
		if sum, _ := block.Bytes(block.NewExtents(u.Out...)); u.Bytes != sum || !slices.Equal(u.Zero, []block.Extent{head}) {
			t.Errorf("%s: %d bytes of %d, zeros %v", u.Path, u.Bytes, sum, u.Zero)
		}
		out = append(out, u.Out...)
	}
	if n := len(v.Unneeded()); n != 5 {
		t.Errorf("%d files", n)
	}
	// All else reads the same where these clusters hold something else.
	want := byTree(t, v)
	c := disk(bytes.Clone(d))
	for _, e := range out {
		copy(c[e.Off:e.End()], content(int(e.Len), 77))
		if left, _ := block.Bytes(block.Subtract(block.Extents{e}, used)); left > 0 {
			t.Errorf("%d bytes of %v are not used", left, e)
		}
	}
	volumetest.RunTool(t, "ntfs-3g", "ntfsfix", "-n", c.Save(t))
	got := byTree(t, open(t, c))
	for path, w := range want {
		if g := got[path]; g != w && !strings.Contains(strings.ToLower(path), shadowMark) && (strings.Contains(path, "/") || filepath.Ext(path) != ".sys") {
			t.Errorf("%s has changed", path)
		}
	}
}

// TestKept makes doubts, one at a time: a file that is not what it seems, or a
// volume that does not say all of what it holds.
func TestKept(t *testing.T) {
	fresh := windowsVolume(t)
	good := open(t, fresh)
	page := good.Unneeded()[0]
	kept := number(t, good, "kept")
	const p, s, h = `\pagefile.sys`, `\swapfile.sys`, `\hiberfil.sys`
	all := len(good.Unneeded())
	data := func(d disk, file int64, flags uint16, runs ...ntfstest.Run) {
		n := int64(0)
		for _, r := range runs {
			n += r.Clusters
		}
		raw := ntfstest.NonResident(typeData, 9, "", 0, runs, n*4096, 4096)
		binary.LittleEndian.PutUint16(raw[12:], flags)
		editRecord(d, file, replace(typeData, raw))
	}
	last := page.Out[len(page.Out)-1]
	end := ntfstest.Run{LCN: last.End()/4096 - 1, Clusters: 1}
	for _, c := range []struct {
		name, file, want string
		count            int // of files that are kept
		edit             func(d disk)
	}{
		{"nothing", p, "", 0, func(disk) {}},
		{"a file has a cluster of it", p, "are those of MFT record", 1, func(d disk) { data(d, kept, 0, end) }},
		{"a stream has a cluster of it", p, "are those of MFT record", 1, func(d disk) {
			editRecord(d, kept, func(_ uint32, raw []byte) []byte { return raw },
				ntfstest.NonResident(typeData, 9, "s", 0, []ntfstest.Run{end}, 4096, 4096))
		}},
		{"its own stream has a cluster of it", p, "are those of MFT record", 1, func(d disk) {
			editRecord(d, page.number, func(_ uint32, raw []byte) []byte { return raw },
				ntfstest.NonResident(typeData, 9, "s", 0, []ntfstest.Run{end}, 4096, 4096))
		}},
		{"a part of a record in no list has a cluster", p, "are those of MFT record 30", 1, func(d disk) {
			copy(rawRecord(d, 30), ntfstest.Record(1024, 30, 1, uint64(kept)|1<<48, ntfstest.NonResident(typeData, 4, "", 3, []ntfstest.Run{end}, 4096, 4096)))
		}},
		{"hiberfil.sys has a cluster of it", p, `are those of \hiberfil.sys too`, 2, func(d disk) { data(d, number(t, good, "hiberfil.sys"), 0, end) }},
		{"it has a cluster twice", p, `are those of \pagefile.sys too`, 1, func(d disk) { data(d, page.number, 0, end, end) }},
		{"it has clusters of $MFT", p, "are those of MFT record 0", 1, func(d disk) {
			data(d, page.number, 0, ntfstest.Run{LCN: good.boot.MFT, Clusters: 3})
		}},
		{"it is cut off", p, "places of", 1, func(d disk) {
			raw := ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{end}, 4096*5, 4096)
			editRecord(d, page.number, replace(typeData, raw))
		}},
		{"its runs are none", p, "mapping pairs", all, func(d disk) {
			raw := ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{{LCN: 1 << 40, Clusters: 1}}, 4096, 4096)
			editRecord(d, page.number, replace(typeData, raw))
		}},
		{"a record cannot be read", p, "MFT record 30", all, func(d disk) { copy(rawRecord(d, 30), "BAAD") }},
		{"a record is torn", s, "torn write", all, func(d disk) { rawRecord(d, kept)[510] ^= 1 }},
		{"the runs of a file are none", s, "cannot be known", all, func(d disk) {
			editRecord(d, kept, replace(typeData, ntfstest.NonResident(typeData, 9, "", 0, []ntfstest.Run{{LCN: 1 << 40, Clusters: 1}}, 4096, 4096)))
		}},
		{"Windows is hibernated", h, "will go on with it", all, func(d disk) {
			n, _ := good.Files().find("hiberfil.sys")
			for e := range n.Extents() {
				copy(d[e.Off:], "HIBR")
				break
			}
		}},
		{"encrypted", p, "", 0, func(d disk) { data(d, page.number, flagEncrypted, end) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := disk(bytes.Clone(fresh))
			c.edit(d)
			got := reasons(open(t, d))
			count := 0
			for _, why := range got {
				if why != "" {
					count++
				}
			}
			why, ok := got[c.file]
			if !ok || (c.want == "") != (why == "") || !strings.Contains(why, c.want) || count != c.count {
				t.Errorf("%s: %q; %d kept: %q", c.file, why, count, got)
			}
		})
	}
}

// TestKeptNames has names that are not those of files for the system alone.
func TestKeptNames(t *testing.T) {
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw", func(dir string) {
		writeFile(t, dir+"/pagefile.sys", content(30000, 1))
		if err := os.Link(dir+"/pagefile.sys", dir+"/my only copy"); err != nil {
			t.Fatal(err)
		}
		makeDir(t, dir+"/swapfile.sys")
		writeFile(t, dir+"/hiberfil.sys", make([]byte, 100)) // in its record
	})
	got := reasons(open(t, volumetest.Load(t, path)))
	if len(got) != 2 || got[`\pagefile.sys`] != "it has 2 names" || got[`\swapfile.sys`] != "it is a folder" {
		t.Errorf("%q", got)
	}
}

// TestHibernatedFirst has several warnings.
func TestHibernatedFirst(t *testing.T) {
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw", func(dir string) {
		writeFile(t, dir+"/hiberfil.sys", append([]byte("HIBR"), make([]byte, 9000)...))
	})
	d := volumetest.Load(t, path)
	editRecord(d, recVolume, replace(typeVolumeInfo, ntfstest.Resident(typeVolumeInfo, 5, []byte{8: 3, 9: 1, 10: 1, 11: 0})))
	f := open(t, d).Facts()
	if len(f.Warnings) != 2 || !f.Hibernated || !strings.HasPrefix(f.Warnings[0], "Windows is hibernated") {
		t.Errorf("%+v", f)
	}
}
