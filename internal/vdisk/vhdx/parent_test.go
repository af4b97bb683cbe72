package vhdx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// changed is a disk with parts of it changed, of another size.
func changed(d vdisktest.Disk, size int64, seed uint64) vdisktest.Disk {
	out := make(vdisktest.Disk, size)
	copy(out, d)
	r := rand.New(rand.NewPCG(seed, 5))
	other := vdisktest.Draw(size, seed+100)
	for range 30 {
		off := r.Int64N(size)
		n := min(r.Int64N(int64(1)<<(9+r.IntN(12))), size-off)
		copy(out[off:off+n], other[off:])
	}
	if size > 6*mib {
		copy(out[2*mib:3*mib], bytes.Repeat([]byte("all of it "), mib/10+1))
		clear(out[4*mib : 5*mib])
		clear(out[5*mib : 6*mib])
	}
	return out
}

// chain makes a base and so many children upon it, in the folders of a new one,
// and gives the path of the last and what is on it.
func chain(t testing.TB, sector int64, sizes ...int64) (path string, disk vdisktest.Disk) {
	t.Helper()
	dir := t.TempDir()
	disk = vdisktest.Draw(sizes[0], 1)
	m := makeDisk(t, disk, Options{Sector: sector, BlockSize: 2 * mib})
	path = filepath.Join(dir, "base.vhdx")
	m.save(t, path)
	for i, size := range sizes[1:] {
		next := changed(disk, size, uint64(i))
		name := filepath.Base(path)
		m = makeChild(t, next, disk, Options{Sector: sector, BlockSize: mib << i}, locatorBytes(
			keyLinkage, m.dataWrite().String(), keyRelative, `.\`+name, keyAbsolute, `C:\gone\`+name))
		disk, path = next, filepath.Join(dir, fmt.Sprintf("child%d.vhdx", i))
		m.save(t, path)
	}
	return path, disk
}

func TestChains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sector int64
		sizes  []int64
	}{
		{512, []int64{9 * mib, 9 * mib}},
		{512, []int64{7*mib + 512, 11*mib + 1024, 8 * mib, 20*mib + 512}},
		{4096, []int64{9 * mib, 9*mib + 4096, 10 * mib}},
	} {
		t.Run(fmt.Sprint(c.sector, c.sizes), func(t *testing.T) {
			t.Parallel()
			path, disk := chain(t, c.sector, c.sizes...)
			d := openPath(t, path)
			n := 0
			for p := d; p != nil; p = p.Parent() {
				n++
			}
			if n != len(c.sizes) || d.Kind() != "differencing" {
				t.Errorf("a chain of %d files, the last one is %s", n, d.Kind())
			}
			disk.Same(t, d, d.Used())
			zeros := block.NewExtents(block.Extent{Off: 4 * mib, Len: 2 * mib})
			if n, err := block.Bytes(block.Intersect(zeros, d.Used(), d.Size())); len(c.sizes) == 2 && (n != 0 || err != nil) {
				t.Errorf("%d bytes that the child says are zeros are in the used map, %v", n, err)
			}
		})
	}
}

// TestSecondChunk has a child whose blocks lie in several chunks, and a parent
// that ends in the first.
func TestSecondChunk(t *testing.T) {
	t.Parallel()
	const size = 4<<30 + 7*mib
	parent := vdisktest.Draw(3*mib, 2)
	base := makeDisk(t, parent, Options{})
	le := littleWriter{}
	d := Disk{meta: metadata{block: mib, size: size, logical: 512, hasParent: true}}
	o := Options{BlockSize: mib, Sector: 512, PhysicalSector: 512}
	m := makeChild(t, make(vdisktest.Disk, 3*mib), parent, o, locatorBytes(keyLinkage, base.dataWrite().String(), keyRelative, "base.vhdx"))
	// The disk is made larger by hand, and one block of the second chunk is there
	// in part.
	bat := make([]byte, 8*d.entries())
	b := int64(4096 + 5)
	at := int64(len(m.b)+mib-1) / mib * mib
	le.put(bat, b+1, uint64(at)|statePartial)
	le.put(bat, 2*4097-1, uint64(at+mib)|statePresent)
	for i := range int64(3) {
		le.put(bat, i, 0)
	}
	le.put(bat, 4096, 0)
	data := bytes.Repeat([]byte{0xee}, mib)
	bits := make([]byte, mib)
	bits[5*256+1] = 0x81 // sectors 8 and 15 of the block
	_, _ = m.WriteAt(data, at)
	_, _ = m.WriteAt(bits, at+mib)
	_, _ = m.WriteAt(bat, batAt)
	for i := 0; ; i++ {
		e := m.b[metadataAt+32+32*i:]
		if guid(e[:16]) == itemSize() {
			le.put(m.b[metadataAt+le.u32(e[16:]):], 0, size)
			break
		}
	}
	c, err := Open(bytes.NewReader(m.b), int64(len(m.b)), "x/child.vhdx", func(path string) (io.ReaderAt, int64, io.Closer, error) {
		if filepath.ToSlash(path) != "x/base.vhdx" {
			return nil, 0, nil, fs.ErrNotExist
		}
		return bytes.NewReader(base.b), int64(len(base.b)), nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []block.Extent{{Off: b*mib + 8*512, Len: 512}, {Off: b*mib + 15*512, Len: 512}}
	var got []block.Extent
	for e, err := range c.Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Off > 3*mib {
			got = append(got, e)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the used map has %v, want %v", got, want)
	}
	p := make([]byte, 10*512)
	if _, err := c.ReadAt(p, b*mib+7*512); err != nil || !block.Zeros(p[:512]) || p[512] != 0xee || !block.Zeros(p[2*512:8*512]) || p[8*512] != 0xee || p[9*512] != 0 {
		t.Errorf("sectors of the second chunk are wrong (%v)", err)
	}
	front := make(vdisktest.Disk, 3*mib)
	if _, err := c.ReadAt(front, 0); err != nil || !bytes.Equal(front, parent) {
		t.Errorf("what the parent has is wrong (%v)", err)
	}
}

type littleWriter struct{}

func (littleWriter) put(b []byte, i int64, v uint64) {
	for k := range 8 {
		b[8*i+int64(k)] = byte(v >> (8 * k))
	}
}

func (littleWriter) u32(b []byte) int {
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24
}

// TestLibvhdiReadsChains has vhdimount show a chain. It takes blocks that the
// child says are zeros (two, by the hand of changed) for the parent's.
func TestLibvhdiReadsChains(t *testing.T) {
	t.Parallel()
	path, disk := chain(t, 512, 9*mib, 9*mib)
	vdisktest.Tool(t, "libvhdi-utils", "vhdiinfo", path)
	dir := t.TempDir()
	vdisktest.Tool(t, "libvhdi-utils", "vhdimount", path, dir)
	t.Cleanup(func() { vdisktest.Tool(t, "fuse3", "fusermount3", "-u", dir) })
	names, err := os.ReadDir(dir)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, names[len(names)-1].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(disk) {
		t.Fatalf("libvhdi sees %d bytes", len(got))
	}
	for off := 0; off < len(got); off += 512 {
		if (off < 4*mib || off >= 6*mib) && !bytes.Equal(got[off:off+512], disk[off:off+512]) {
			t.Fatalf("libvhdi sees other bytes at %d", off)
		}
	}
}

func TestParentsThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := vdisktest.Draw(3*mib, 1)
	other := changed(disk, 3*mib, 9)
	base := makeDisk(t, disk, Options{})
	base.save(t, filepath.Join(dir, "base.vhdx"))
	makeDisk(t, disk, Options{}).save(t, filepath.Join(dir, "stranger.vhdx"))
	if err := os.WriteFile(filepath.Join(dir, "text.vhdx"), []byte("no disk at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := base.dataWrite().String()
	for name, c := range map[string]struct {
		pairs []string
		want  string // "" if it opens
	}{
		"relative":       {[]string{keyLinkage, link, keyRelative, `base.vhdx`}, ""},
		"linkage2":       {[]string{keyLinkage, guid{1}.String(), keyLinkage2, strings.ToUpper(link), keyRelative, `.\base.vhdx`}, ""},
		"by its name":    {[]string{keyLinkage, link, keyAbsolute, `D:\where\it\was\base.vhdx`}, ""},
		"volume path":    {[]string{keyLinkage, link, keyVolume, `\\?\Volume{` + strings.Trim(link, "{}") + `}\base.vhdx`}, ""},
		"gone":           {[]string{keyLinkage, link, keyRelative, `gone.vhdx`}, "gone.vhdx"},
		"a stranger":     {[]string{keyLinkage, link, keyRelative, `stranger.vhdx`}, "not the parent"},
		"no disk":        {[]string{keyLinkage, link, keyRelative, `text.vhdx`}, "signature"},
		"no linkage":     {[]string{keyRelative, `base.vhdx`}, "not the parent"},
		"no name":        {[]string{keyLinkage, link}, "names none"},
		"itself":         {[]string{keyLinkage, link, keyRelative, `child.vhdx`}, "not the parent"},
		"other machines": {[]string{keyLinkage, link, keyAbsolute, `\\server\share\`}, "names none"},
	} {
		m := makeChild(t, other, disk, Options{}, locatorBytes(c.pairs...))
		m.save(t, filepath.Join(dir, "child.vhdx"))
		d, err := Open(bytes.NewReader(m.b), int64(len(m.b)), filepath.Join(dir, "child.vhdx"), openOS)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			other.Same(t, d, d.Used())
			_ = d.Close()
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v", name, err)
		}
	}
	m := makeChild(t, other, disk, Options{}, locatorBytes(keyLinkage, link, keyRelative, "base.vhdx"))
	if _, err := m.open(); err == nil || !strings.Contains(err.Error(), "base.vhdx") {
		t.Errorf("without an opener: %v", err)
	}
}

// TestEndlessChains has two files that stand on each other, and a file that
// stands on copies of itself without end.
func TestEndlessChains(t *testing.T) {
	t.Parallel()
	disk := vdisktest.Draw(mib, 1)
	make1 := func(name string) *made {
		m := makeChild(t, disk, disk, Options{}, locatorBytes(keyLinkage, guid{7}.String(), keyRelative, name))
		for _, at := range []int{headerAt0, headerAt1} {
			copy(m.b[at+32:], []byte{7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		}
		m.resum()
		return m
	}
	files := map[string]*made{"a": make1("b"), "b": make1("a"), "deep": make1(`x\deep`)}
	open := 0
	opener := func(path string) (io.ReaderAt, int64, io.Closer, error) {
		m := files[filepath.Base(path)]
		if m == nil {
			return nil, 0, nil, fs.ErrNotExist
		}
		open++
		return bytes.NewReader(m.b), int64(len(m.b)), closer(func() error { open--; return nil }), nil
	}
	for name, want := range map[string]string{"a": "its own ancestor", "deep": "more than"} {
		r, size, _, _ := opener(name)
		open = 0
		if _, err := Open(r, size, name, opener); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if open != 0 {
			t.Errorf("%s: %d files were left open", name, open)
		}
	}
}

type closer func() error

func (c closer) Close() error { return c() }

func TestCloseTellsErrors(t *testing.T) {
	disk := vdisktest.Draw(mib, 1)
	base := makeDisk(t, disk, Options{})
	m := makeChild(t, disk, disk, Options{}, locatorBytes(keyLinkage, base.dataWrite().String(), keyRelative, "base"))
	bad := errors.New("bad")
	d, err := Open(bytes.NewReader(m.b), int64(len(m.b)), "child", func(string) (io.ReaderAt, int64, io.Closer, error) {
		return bytes.NewReader(base.b), int64(len(base.b)), closer(func() error { return bad }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(d.Close(), bad) {
		t.Error("the error of a parent's Close was lost")
	}
}
