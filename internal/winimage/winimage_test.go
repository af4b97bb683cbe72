package winimage

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/vdisk/wib"
	"ingot/internal/winimage/winimagetest"
)

// backup makes and opens a backup; raw is the disk it is of.
func backup(t *testing.T, gpt, moved bool) (b *Backup, raw []byte) {
	t.Helper()
	path, rawPath, err := winimagetest.Make(t.TempDir(), gpt, moved)
	if err != nil {
		t.Fatal(err)
	}
	all, err := wib.Find(path)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Open(t.Context(), all[0].Backups[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if raw, err = os.ReadFile(rawPath); err != nil {
		t.Fatal(err)
	}
	return b, raw
}

type mem []byte

func (m mem) Size() int64                             { return int64(len(m)) }
func (m mem) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

// sameParts fails unless each partition that a has is on the disk raw, in the
// same place, and has its bytes.
func sameParts(t *testing.T, a *disk.Assembled, raw []byte, places bool) {
	t.Helper()
	want, err := disk.Parse(mem(raw), 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := disk.Parse(a, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Partitions) != len(want.Partitions) || got.Scheme != want.Scheme {
		t.Fatalf("%d partitions (%s), the disk has %d", len(got.Partitions), got.Scheme, len(want.Partitions))
	}
	for i, w := range want.Partitions {
		g := got.Partitions[i]
		if places && g.Off != w.Off || g.Len != w.Len || g.Type != w.Type || g.Active != w.Active {
			t.Errorf("partition %d:\n%+v\n%+v", i+1, g, w)
		}
		if w.MSR {
			continue
		}
		p := make([]byte, g.Len)
		if _, err := a.ReadAt(p, g.Off); err != nil || !bytes.Equal(p, raw[w.Off:w.End()]) {
			t.Errorf("partition %d has other bytes (%v)", i+1, err)
		}
	}
	if n, err := block.Bytes(a.Used()); err != nil || n == 0 || n > a.Size()/2+64*mib {
		t.Errorf("%d bytes of %d are used, %v", n, a.Size(), err)
	}
}

// TestDrawAndAssemble makes a disk again of what a backup of it tells.
func TestDrawAndAssemble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ gpt, moved bool }{
		"GPT": {gpt: true}, "MBR": {}, "GPT, places not known": {gpt: true, moved: true}, "MBR, places not known": {moved: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, raw := backup(t, c.gpt, c.moved)
			l, kept, err := b.Draw()
			if err != nil || kept == c.moved {
				t.Fatalf("places are kept: %v, %v", kept, err)
			}
			a, left, err := b.Assemble(l)
			if err != nil || len(left) > 0 {
				t.Fatalf("%v, %v", left, err)
			}
			if again, _, err := b.Draw(); err != nil || !bytes.Equal(again.Track0, l.Track0) {
				t.Errorf("the table is another one each time (%v)", err)
			}
			sameParts(t, a, raw, true) // the order by letters is that of the disk here
		})
	}
}

// TestAssembleIntoLayout has the table of the disk itself.
func TestAssembleIntoLayout(t *testing.T) {
	t.Parallel()
	for _, gpt := range []bool{true, false} {
		b, raw := backup(t, gpt, true)
		l, err := disk.Parse(mem(raw), 0)
		if err != nil {
			t.Fatal(err)
		}
		a, left, err := b.Assemble(l)
		if err != nil || len(left) > 0 {
			t.Fatalf("%v, %v", left, err)
		}
		sameParts(t, a, raw, true)
		l.Partitions = l.Partitions[:1]
		if _, left, err = b.Assemble(l); err != nil || len(left) != len(b.Volumes)-1 {
			t.Errorf("with one partition: %v, %v", left, err)
		}
		l.Partitions = nil
		if _, _, err = b.Assemble(l); err == nil {
			t.Error("a layout without partitions was taken")
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, _ := backup(t, false, false)
	whole, err := os.ReadFile(b.Disks[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(contents []byte) error {
		path := filepath.Join(dir, "a.vhd")
		if err := os.WriteFile(path, contents, 0o644); err != nil {
			t.Fatal(err)
		}
		o, err := Open(t.Context(), wib.Backup{Path: dir, Disks: []wib.Disk{{Path: path}}})
		if err == nil {
			_ = o.Close()
		}
		return err
	}
	if err := open(whole); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"raw": {make([]byte, mib), "no VHD"}, "empty": {nil, ""},
	} {
		if err := open(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), wib.Backup{}); err == nil {
		t.Error("a backup without disks was opened")
	}
}
