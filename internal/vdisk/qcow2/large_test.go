package qcow2

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// marked is a disk in which the first bytes of each cluster tell its place, and
// all else is zeros.
type marked int64

func (m marked) Size() int64 { return int64(m) }

func (m marked) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at := (off + writeCluster - 1) / writeCluster * writeCluster; at < off+int64(len(p)); at += writeCluster {
		p[at-off] = byte(at>>16) | 1
	}
	return len(p), nil
}

// sparse leaves holes where zeros are written.
type sparse struct{ f *os.File }

func (s sparse) WriteAt(p []byte, off int64) (int, error) {
	for at := 0; at < len(p); at += 4096 {
		part := p[at:min(at+4096, len(p))]
		if block.Zeros(part) {
			continue
		}
		if n, err := s.f.WriteAt(part, off+int64(at)); err != nil {
			return at + n, err
		}
	}
	return len(p), nil
}

// TestWriteManyStretches writes a file that needs several blocks of reference
// counts.
func TestWriteManyStretches(t *testing.T) {
	m := marked(refSpan + 5<<20)
	path := filepath.Join(t.TempDir(), "large.qcow2")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := Write(t.Context(), sparse{f}, m.Size(), m, block.Whole(m.Size()), Options{}, nil); err != nil {
		t.Fatal(err)
	}
	if fi, err := f.Stat(); err != nil || f.Truncate((fi.Size()+writeCluster-1)/writeCluster*writeCluster) != nil {
		t.Fatal("the file does not get its last zeros", err)
	}
	if out := vdisktest.QemuImg(t, "check", "-f", "qcow2", path); !strings.Contains(out, "No errors were found") {
		t.Errorf("qemu-img check:\n%s", out)
	}
	im := openPath(t, path)
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); off < m.Size(); off += 33<<20 + 4096 {
		n := min(int64(len(got)), m.Size()-off)
		_, _ = m.ReadAt(want[:n], off)
		if _, err := im.ReadAt(got[:n], off); err != nil || string(got[:n]) != string(want[:n]) {
			t.Fatalf("%d bytes at %d: %v", n, off, err)
		}
	}
}

// TestPackedOverStretches packs clusters across the border of two stretches. It
// gets there by giving out clusters that nobody uses, which is all that QEMU may
// find amiss.
func TestPackedOverStretches(t *testing.T) {
	for spare := range int64(4) {
		d := vdisktest.Draw(3<<20, 4)
		path := filepath.Join(t.TempDir(), "packed.qcow2")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		o := newOutput(f, d.Size(), Options{Compress: true})
		lost := 0
		for ; o.end < refSpan-(4+spare)*writeCluster; lost++ {
			o.claim()
		}
		if err := o.copy(t.Context(), d, d.Used(4096), func(int64) {}); err != nil {
			t.Fatal(err)
		}
		if err := o.finish(); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("qemu-img", "check", "-f", "qcow2", path).CombinedOutput() // leaks are an exit code
		if want := fmt.Sprintf("\n%d leaked clusters were found", lost); !strings.Contains(string(out), want) || strings.Contains(string(out), "ERROR") {
			t.Errorf("qemu-img check, with %d clusters lost:\n%s", lost, out[max(len(out)-600, 0):])
		}
		if len(o.refsAt) != 2 {
			t.Errorf("%d blocks of reference counts", len(o.refsAt))
		}
		im := openPath(t, path)
		d.Same(t, im, im.Used())
	}
}
