package ntfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// TestFilesAgainstDriver reads random trees and compares with what ntfs-3g
// reads.
func TestFilesAgainstDriver(t *testing.T) {
	for i, c := range []struct {
		cluster, sector, size int64
		n, big                int
	}{
		{512, 512, 24 << 20, 500, 200000}, {1024, 512, 8 << 20, 900, 100000}, {4096, 512, 60 << 20, 500, 600000},
		{4096, 4096, 40 << 20, 400, 300000}, {65536, 512, 120 << 20, 200, 500000}, {2 << 20, 512, 512 << 20, 50, 3 << 20},
	} {
		t.Run(fmt.Sprintf("cluster %d sector %d", c.cluster, c.sector), func(t *testing.T) {
			path := makeVolume(t, c.size, "-c", strconv.FormatInt(c.cluster, 10), "-s", strconv.FormatInt(c.sector, 10))
			mounted(t, path, "rw,"+peerOptions, func(dir string) {
				grow(t, dir, uint64(i), c.n, c.big, c.cluster <= 4096)
			})
			v := open(t, volumetest.Load(t, path))
			found := compareTrees(t, path, v)
			packed := 0
			for name := range found {
				n, err := v.Files().find(name)
				if err != nil {
					t.Fatal(err)
				}
				if s, err := v.mft.open(n.rec, typeData, ""); err == nil && s.flags&flagCompressed != 0 && s.resident == nil {
					packed++
				}
			}
			if len(found) < c.n/3 || c.cluster <= 4096 && packed < 5 {
				t.Errorf("%d files, %d of them compressed: no test", len(found), packed)
			}
		})
	}
}

// TestFS has the standard library look at a tree.
func TestFS(t *testing.T) {
	path := makeVolume(t, 24<<20)
	mounted(t, path, "rw,"+peerOptions, func(dir string) {
		fillSome(t, dir, 20, 9000)
		if err := os.Symlink("EFI", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
	})
	if err := fstest.TestFS(open(t, volumetest.Load(t, path)).Files(), "EFI/Microsoft/Boot/BCD", "Wörter/Straße und Öl.txt", "zeros", "link"); err != nil {
		t.Error(err)
	}
}

// TestWornVolume compares a volume whose $MFT and files are in many pieces, so
// that attribute lists lead to them.
func TestWornVolume(t *testing.T) {
	path := makeVolume(t, 12<<20, "-c", "512")
	mounted(t, path, "rw,"+peerOptions, func(dir string) {
		fragment(t, dir)
		worn := filepath.Join(dir, "worn")
		f, err := os.Create(worn)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range int64(900) { // every other cluster
			if _, err := f.WriteAt(content(512, uint64(i)), 1024*i); err != nil {
				break
			}
		}
		for i := range 60 {
			_ = os.Link(worn, filepath.Join(dir, fmt.Sprintf("one of many long names of a file %d", i)))
		}
		for i := range 40 {
			setXattr(t, filepath.Join(dir, "d/e0"), fmt.Sprintf("user.stream %d", i), content(300, uint64(i)))
		}
	})
	v := open(t, volumetest.Load(t, path))
	compareTrees(t, path, v)
	n, err := v.Files().find("worn")
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.mft.open(n.rec, typeData, "")
	if err != nil || !hasList(n.rec) || len(s.runs) < 500 || n.Links() < 20 {
		t.Errorf("no test: %d runs, %d links, %v", len(s.runs), n.Links(), err)
	}
	if streams, err := n.Streams(); err != nil || len(streams) > 0 {
		t.Errorf("streams %q, %v", streams, err)
	}
}

// TestLookup opens files by other names than their own.
func TestLookup(t *testing.T) {
	path := makeVolume(t, 8<<20)
	mounted(t, path, "rw,"+peerOptions, func(dir string) {
		makeDir(t, dir+"/Wörter")
		writeFile(t, dir+"/Wörter/Straße ж.txt", []byte("1"))
		writeFile(t, dir+"/Wörter/foo", []byte("2"))
		writeFile(t, dir+"/Wörter/FOO", []byte("3"))
		setXattr(t, dir+"/Wörter/foo", "user.Side", []byte("4"))
		setXattr(t, dir+"/Wörter/Straße ж.txt", "system.ntfs_dos_name", []byte("SHORT~1.TXT"))
	})
	v := open(t, volumetest.Load(t, path))
	tree := v.Files()
	for name, want := range map[string]string{
		"wÖRTER/straße Ж.TXT": "1", "WÖRTER/STRASSE Ж.TXT": "", "Wörter/foo": "2", "Wörter/FOO": "3", "Wörter/SHORT~1.TXT": "", "Wörter/foo/x": "",
		"Wörter/none": "", "none/foo": "", "Wörter/\xff": "", "Wörter/\xed\xa0\x80": "",
	} {
		b, err := fs.ReadFile(tree, name)
		if string(b) != want || want == "" && !errors.Is(err, fs.ErrNotExist) || want != "" && err != nil {
			t.Errorf("%q: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"", "/", "a/", "/a", ".", "./a", "a/..", "a//b", "..", "a\x00"} {
		if _, err := tree.Lstat(name); (err == nil) != (name == ".") || err != nil && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if b, err := fs.ReadFile(tree, "wörter/Foo"); err != nil || string(b) != "2" && string(b) != "3" {
		t.Errorf("%q, %v", b, err)
	}
	if list, err := tree.ReadDir("WÖRTER"); err != nil || len(list) != 3 {
		t.Errorf("%v, %v", list, err) // without the short name
	}
	info, err := tree.Stat("WÖRTER/foo")
	if err != nil || info.Name() != "foo" {
		t.Fatal(info, err)
	}
	f, err := info.Sys().(*node).OpenStream("sIDE")
	if err != nil {
		t.Fatal(err)
	}
	side, err := f.Stat()
	if b, _ := io.ReadAll(f); err != nil || string(b) != "4" || side.Name() != "foo:Side" || side.Size() != 1 || !side.Mode().IsRegular() {
		t.Errorf("%q, %v, %v", b, side, err)
	}
	if _, err := info.Sys().(*node).OpenStream("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestSystemFiles opens the files that the root folder does not show.
func TestSystemFiles(t *testing.T) {
	path := makeVolume(t, 8<<20, "-c", "4096")
	d := volumetest.Load(t, path)
	v := open(t, d)
	// A journal below $Extend: its clusters are the file system's own.
	at := v.boot.TotalClusters - 5
	setUsed(d[v.mustBitmap(t):], at, true)
	editRecord(d, number(t, v, "$Extend/$ObjId"), func(_ uint32, raw []byte) []byte { return raw },
		ntfstest.NonResident(typeData, 9, "$J", 0, []ntfstest.Run{{LCN: at, Clusters: 1}}, 4096, 4096))
	v = open(t, d)
	byTree(t, v)
	list, err := v.Files().ReadDir(".")
	if err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	mft, err := fs.ReadFile(v.Files(), "$MFT")
	if err != nil || !bytes.HasPrefix(mft, []byte("FILE")) || int64(len(mft)) != v.mft.data.size {
		t.Errorf("%d bytes, %v", len(mft), err)
	}
	if b, err := fs.ReadFile(v.Files(), "$boot"); err != nil || !bytes.Equal(b, d[:8192]) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if list, err := v.Files().ReadDir("$Extend"); err != nil || len(list) < 3 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestFolderFile reads a folder as an open file, in pieces.
func TestFolderFile(t *testing.T) {
	v := open(t, seed(t))
	f, err := v.Files().Open("folder")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for {
		list, err := f.(fs.ReadDirFile).ReadDir(7)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
	}
	if len(names) != 80 || names[79] != "f9" {
		t.Errorf("%q", names)
	}
	if _, err := f.Read(make([]byte, 5)); err == nil {
		t.Error("a folder was read")
	}
	file, err := v.Files().Open("folder/f1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.(io.Seeker).Seek(-1, io.SeekEnd); err == nil {
		t.Error("sought before the start")
	}
	if _, err := v.Files().ReadDir("folder/f1"); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Error(err)
	}
}

// TestSideBySide reads compressed files from several goroutines at once.
func TestSideBySide(t *testing.T) {
	v := open(t, treeSeed(t))
	text := (&grower{rng: newRand(1)}).data(60000)
	for _, name := range []string{"packed/p", "xpress", "lzx"} {
		f, err := v.Files().Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for k := range 4 {
			wg.Go(func() {
				rng, b := newRand(uint64(k)), make([]byte, 9000)
				for range 200 {
					off := rng.IntN(len(text) - len(b))
					if _, err := f.(io.ReaderAt).ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, text[off:off+len(b)]) {
						t.Errorf("%s at %d: %v", name, off, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// counting counts the bytes that are read of a volume.
type counting struct {
	disk
	n *int64
}

func (c counting) ReadAt(p []byte, off int64) (int, error) {
	*c.n += int64(len(p))
	return c.disk.ReadAt(p, off)
}

// TestHugeFolder lists folders of a volume with very many files: what is read
// is the folder's index, and of $MFT no more than the records of the path.
func TestHugeFolder(t *testing.T) {
	const files = 100000
	path := makeVolume(t, 220<<20)
	mounted(t, path, "rw", func(dir string) {
		makeDir(t, dir+"/many")
		makeDir(t, dir+"/few")
		writeFile(t, dir+"/few/one", nil)
		for i := range files {
			f, err := os.Create(dir + "/many/" + strconv.Itoa(i*7919%files))
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	})
	var n int64
	src := counting{volumetest.Load(t, path), &n}
	tree := open(t, src).Files()
	limits := func(what string, limit int64) {
		t.Helper()
		if n > limit {
			t.Errorf("%s: %d bytes were read", what, n)
		}
		n = 0
	}
	n = 0
	for _, dir := range []string{".", "few"} {
		if list, err := tree.ReadDir(dir); err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		limits("list "+dir, 300<<10) // with $UpCase, once
	}
	if _, err := tree.Lstat("MANY/77777"); err != nil {
		t.Fatal(err)
	}
	limits("look up a file", 40<<10)
	list, err := tree.ReadDir("many")
	if err != nil || len(list) != files {
		t.Fatal(len(list), err)
	}
	limits("list very many", 20<<20)
	for i, e := range list {
		if i > 0 && list[i-1].Name() >= e.Name() {
			t.Fatalf("%q before %q", list[i-1].Name(), e.Name())
		}
		if i%997 == 0 {
			if info, err := tree.Lstat("many/" + e.Name()); err != nil || info.Name() != e.Name() {
				t.Fatal(info, err)
			}
		}
	}
}
