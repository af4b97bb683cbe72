package vhd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

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
	return out
}

func utf16Bytes(s string, order binary.AppendByteOrder) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

// names are those by which a child knows its parent.
type names struct{ relative, absolute, name string }

// makeChild makes a differencing disk: of its sectors those that are not the
// parent's; the others of a block hold garbage.
func makeChild(src, parent vdisktest.Disk, parentID []byte, n names) []byte {
	be := binary.BigEndian
	k := newWriter(nil, src.Size(), Options{})
	head := k.header()
	front := footerSize + headerSize + k.tableLength()
	var locators []byte
	for i, l := range []struct{ platform, path string }{{relativePath, n.relative}, {absolutePath, n.absolute}} {
		if l.path == "" {
			continue
		}
		b := utf16Bytes(l.path, binary.LittleEndian)
		e := head[576+24*i:]
		copy(e, l.platform)
		be.PutUint32(e[4:], 512)
		be.PutUint32(e[8:], uint32(len(b)))
		be.PutUint64(e[16:], uint64(front)+uint64(len(locators)))
		locators = append(locators, append(b, make([]byte, 512-len(b)%512)...)...)
	}
	copy(head[40:], parentID)
	copy(head[64:576], utf16Bytes(n.name, be))
	be.PutUint32(head[36:], 0)
	be.PutUint32(head[36:], checksum(head, 36))
	next := front + int64(len(locators))
	table := bytes.Repeat([]byte{0xff}, int(k.tableLength()))
	var blocks []byte
	for b := int64(0); b*writeBlock < src.Size(); b++ {
		bits, data := make([]byte, sectorSize), bytes.Repeat([]byte{0xdb}, writeBlock)
		any := false
		for s := int64(0); s < writeBlock/sectorSize && b*writeBlock+s*sectorSize < src.Size(); s++ {
			at := b*writeBlock + s*sectorSize
			theirs := make([]byte, sectorSize)
			if at < parent.Size() {
				copy(theirs, parent[at:])
			}
			if bytes.Equal(src[at:at+sectorSize], theirs) {
				continue
			}
			any = true
			bits[s/8] |= 0x80 >> (s % 8)
			copy(data[s*sectorSize:], src[at:at+sectorSize])
		}
		if any {
			be.PutUint32(table[4*b:], uint32((next+int64(len(blocks)))/sectorSize))
			blocks = append(append(blocks, bits...), data...)
		}
	}
	foot := k.footer()
	be.PutUint32(foot[60:], typeDifferencing)
	be.PutUint32(foot[64:], 0)
	be.PutUint32(foot[64:], checksum(foot, 64))
	return bytes.Join([][]byte{foot, head, table, locators, blocks, foot}, nil)
}

// chain makes a base, fixed or not, and so many children upon it, and gives the
// path of the last and what is on it.
func chain(t testing.TB, fixed bool, sizes ...int64) (path string, disk vdisktest.Disk) {
	t.Helper()
	dir := t.TempDir()
	disk = vdisktest.Draw(sizes[0], 1)
	b, err := os.ReadFile(writeFile(t, disk, disk.Used(512), Options{Fixed: fixed}))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "base.vhd")
	save(t, path, b)
	for i, size := range sizes[1:] {
		next := changed(disk, size, uint64(i))
		name := filepath.Base(path)
		b = makeChild(next, disk, b[len(b)-footerSize+68:][:16], names{`.\` + name, `C:\gone\` + name, name})
		disk, path = next, filepath.Join(dir, fmt.Sprintf("child%d.vhd", i))
		save(t, path, b)
	}
	return path, disk
}

func save(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestChains(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int64{{9 * mib, 9 * mib}, {7*mib + 512, 11*mib + 1024, 8 * mib, 15*mib + 512}} {
		for _, fixed := range []bool{false, true} {
			path, disk := chain(t, fixed, sizes...)
			d := openPath(t, path)
			n := 0
			for p := d; p != nil; p = p.Parent() {
				n++
			}
			if n != len(sizes) || d.Kind() != "differencing" {
				t.Errorf("a chain of %d files, the last one is %s", n, d.Kind())
			}
			disk.Same(t, d, d.Used())
		}
	}
}

// aligned is a disk whose sectors are changed in groups of eight.
func aligned(old, changed vdisktest.Disk) vdisktest.Disk {
	out := bytes.Clone(old)
	for at := 0; at < len(old); at += 8 * sectorSize {
		next := min(at+8*sectorSize, len(old))
		whole := true
		for s := at; s < next; s += sectorSize {
			whole = whole && !bytes.Equal(old[s:s+sectorSize], changed[s:s+sectorSize])
		}
		if whole {
			copy(out[at:next], changed[at:next])
		}
	}
	return out
}

// TestLibvhdiReadsChains has vhdimount show a chain. It takes all sectors of a
// byte of a bitmap for here when one is: they are changed together.
func TestLibvhdiReadsChains(t *testing.T) {
	t.Parallel()
	base := vdisktest.Draw(9*mib, 1)
	b, err := os.ReadFile(writeFile(t, base, base.Used(512), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	disk := aligned(base, changed(base, 9*mib, 1))
	if bytes.Equal(disk, base) {
		t.Fatal("nothing was changed")
	}
	folder, dir := t.TempDir(), t.TempDir()
	path := filepath.Join(folder, "child.vhd")
	save(t, filepath.Join(folder, "base.vhd"), b)
	save(t, path, makeChild(disk, base, b[len(b)-footerSize+68:][:16], names{`.\base.vhd`, `C:\gone\base.vhd`, "base.vhd"}))
	vdisktest.Tool(t, "libvhdi-utils", "vhdimount", path, dir)
	t.Cleanup(func() { vdisktest.Tool(t, "fuse3", "fusermount3", "-u", dir) })
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, files[len(files)-1].Name()))
	if err != nil || !bytes.Equal(got, disk) {
		t.Errorf("libvhdi sees %d other bytes, %v", len(got), err)
	}
}

func TestParentsThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := vdisktest.Draw(3*mib, 1)
	other := changed(disk, 3*mib, 9)
	base, err := os.ReadFile(writeFile(t, disk, disk.Used(512), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "base.vhd"), base)
	stranger, err := os.ReadFile(writeFile(t, disk, disk.Used(512), Options{}))
	if err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "stranger.vhd"), stranger)
	save(t, filepath.Join(dir, "text.vhd"), bytes.Repeat([]byte("no disk "), 100))
	for name, c := range map[string]struct {
		n    names
		want string // "" if it opens
	}{
		"relative":       {names{relative: `.\base.vhd`}, ""},
		"by its name":    {names{absolute: `D:\where\it\was\base.vhd`}, ""},
		"only the name":  {names{name: `base.vhd`}, ""},
		"gone":           {names{relative: `gone.vhd`}, "gone.vhd"},
		"a stranger":     {names{relative: `stranger.vhd`}, "identity"},
		"no disk":        {names{relative: `text.vhd`}, "cookie"},
		"no name":        {names{}, "names none"},
		"itself":         {names{relative: "child.vhd"}, "identity"},
		"other machines": {names{absolute: `\\server\share\`}, "names none"},
	} {
		b := makeChild(other, disk, base[68:84], c.n)
		d, err := Open(bytes.NewReader(b), int64(len(b)), filepath.Join(dir, "child.vhd"), openOS)
		save(t, filepath.Join(dir, "child.vhd"), b)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			other.Same(t, d, d.Used())
			_ = d.Close()
		case err == nil || !strings.Contains(err.Error(), c.want) && name != "itself":
			t.Errorf("%s: %v", name, err)
		}
	}
	b := makeChild(other, disk, base[68:84], names{name: "base.vhd"})
	if _, err := Open(bytes.NewReader(b), int64(len(b)), "", nil); err == nil || !strings.Contains(err.Error(), "base.vhd") {
		t.Errorf("without an opener: %v", err)
	}
}

// TestEndlessChains has two files that stand on each other, and one that stands
// on copies of itself without end.
func TestEndlessChains(t *testing.T) {
	t.Parallel()
	disk := vdisktest.Draw(mib, 1)
	id := bytes.Repeat([]byte{7}, 16)
	ouroboros := func(parent string) []byte {
		b := makeChild(disk, disk, id, names{relative: parent})
		for _, at := range []int{0, len(b) - footerSize} {
			copy(b[at+68:], id)
		}
		resum(b)
		return b
	}
	files := map[string][]byte{"a": ouroboros("b"), "b": ouroboros("a"), "deep": ouroboros(`x\deep`)}
	open := 0
	opener := func(path string) (io.ReaderAt, int64, io.Closer, error) {
		b := files[filepath.Base(path)]
		if b == nil {
			return nil, 0, nil, fs.ErrNotExist
		}
		open++
		return bytes.NewReader(b), int64(len(b)), closer(func() error { open--; return nil }), nil
	}
	for name, want := range map[string]string{"a": "its own ancestor", "deep": "more than"} {
		open = 0
		if _, err := Open(bytes.NewReader(files[name]), int64(len(files[name])), name, opener); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if open != 0 {
			t.Errorf("%s: %d files were left open", name, open)
		}
	}
}

type closer func() error

func (c closer) Close() error { return c() }

// resum puts the checksums of footers and header right.
func resum(b []byte) {
	sum := func(at, n, field int) {
		if at >= 0 && at+n <= len(b) {
			binary.BigEndian.PutUint32(b[at+field:], checksum(b[at:at+n], field))
		}
	}
	sum(0, footerSize, 64)
	sum(footerSize, headerSize, 36)
	sum(len(b)-footerSize, footerSize, 64)
}
