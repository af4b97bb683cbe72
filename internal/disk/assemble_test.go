package disk

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
)

// noise is n bytes that are nowhere the same.
func noise(n int64) mem {
	b := make(mem, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

// filled are contents for all partitions of l, each with every other 64 KiB of
// it in its map.
func filled(l *Layout) (out []Content) {
	for _, p := range l.Partitions {
		var used block.Extents
		for off := int64(0); off < p.Len; off += 128 << 10 {
			used = append(used, block.Extent{Off: off, Len: min(64<<10, p.Len-off)})
		}
		out = append(out, Content{Off: p.Off, Reader: noise(p.Len), Used: used})
	}
	return out
}

// written is what a restore of the contents onto zeros gives.
func written(t *testing.T, l *Layout, contents []Content) mem {
	t.Helper()
	out := make(mem, l.Size)
	for _, c := range contents {
		copy(out[c.Off:], c.Reader.(mem))
	}
	ws, err := l.Writes(l.Size)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ws {
		copy(out[w.Off:], w.Data)
	}
	return out
}

func TestAssembleIsWhatARestoreWrites(t *testing.T) {
	for name, path := range map[string]string{"gpt": gptDisk(t, 64<<20), "mbr": mbrDisk(t, 32<<20), "none": blank(t, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			full := parseFile(t, path, 0)
			l, err := FromImage(full.Track0, full.EBRs, full.SectorSize, full.Size)
			if err != nil {
				t.Fatal(err)
			}
			contents := filled(l)
			a, err := l.Assemble(contents...)
			if err != nil {
				t.Fatal(err)
			}
			want := written(t, l, contents)
			got := make([]byte, a.Size())
			if n, err := a.ReadAt(got, 0); n != len(got) || err != nil || !bytes.Equal(got, want) {
				t.Fatalf("the whole disk: %d bytes, %v", n, err)
			}
			for range 500 {
				off := rand.Int64N(a.Size())
				p := got[:min(rand.Int64N(300<<10), a.Size()-off)]
				if _, err := a.ReadAt(p, off); err != nil || !bytes.Equal(p, want[off:][:len(p)]) {
					t.Fatalf("%d bytes at %d: %v", len(p), off, err)
				}
			}
			checkAssembledMap(t, a, contents)
		})
	}
}

// checkAssembledMap compares the map with that of the contents and the table,
// byte for byte.
func checkAssembledMap(t *testing.T, a *Assembled, contents []Content) {
	t.Helper()
	want := make([]bool, a.Size())
	mark := func(e block.Extent) {
		for i := e.Off; i < e.End(); i++ {
			want[i] = true
		}
	}
	for _, c := range contents {
		for e := range c.Used.Extents() {
			mark(block.Extent{Off: c.Off + e.Off, Len: e.Len})
		}
	}
	for _, w := range a.table {
		mark(block.Extent{Off: w.Off, Len: int64(len(w.Data))})
	}
	got := make([]bool, a.Size())
	for e, err := range a.Used().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		for i := e.Off; i < e.End(); i++ {
			got[i] = true
		}
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("byte %d: in the map %v, it should be %v", i, got[i], want[i])
		}
	}
}

func TestAssembledTableIsGood(t *testing.T) {
	path := gptDisk(t, 64<<20)
	full := parseFile(t, path, 0)
	l, err := FromImage(full.Track0, full.EBRs, 512, full.Size)
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Assemble()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]byte, a.Size())
	if _, err := a.ReadAt(all, 0); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "copy.img")
	tool(t, "coreutils", "", "truncate", "-s", "64M", out)
	apply(t, out, []Write{{0, all}})
	clean(t, out)
}

func TestAssembleEnds(t *testing.T) {
	l := parseFile(t, mbrDisk(t, 32<<20), 0)
	a, err := l.Assemble(filled(l)...)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1024)
	if n, err := a.ReadAt(p, a.Size()-100); n != 100 || err != io.EOF {
		t.Errorf("across the end: %d, %v", n, err)
	}
	if n, err := a.ReadAt(p, a.Size()); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	for _, off := range []int64{-1, a.Size() + 1} {
		if _, err := a.ReadAt(p, off); err == nil || err == io.EOF {
			t.Errorf("at %d: %v", off, err)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	l := parseFile(t, mbrDisk(t, 32<<20), 0)
	for what, contents := range map[string][]Content{
		"begin within": {{Off: 4096, Reader: make(mem, 8192)}, {Off: 8192, Reader: make(mem, 512)}},
		"the disk has": {{Off: l.Size - 512, Reader: make(mem, 1024)}},
	} {
		if _, err := l.Assemble(contents...); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// failing is a content that cannot be read, with a map that cannot be walked.
type failing struct{ mem }

var errFailing = errors.New("this does not work")

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errFailing }

func (failing) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) { yield(block.Extent{}, errFailing) }
}

func TestAssembledPassesErrorsOn(t *testing.T) {
	l := parseFile(t, mbrDisk(t, 32<<20), 0)
	bad := failing{make(mem, 4096)}
	a, err := l.Assemble(Content{Off: 2 << 20, Reader: bad, Used: bad})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := a.ReadAt(make([]byte, 4096), 2<<20-512); !errors.Is(err, errFailing) || n != 512 {
		t.Errorf("read: %d, %v", n, err)
	}
	if _, err := block.Bytes(a.Used()); !errors.Is(err, errFailing) {
		t.Errorf("map: %v", err)
	}
}
