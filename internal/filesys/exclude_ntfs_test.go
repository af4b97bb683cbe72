package filesys

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// ntfsMount calls use with the folder where ntfs-3g has mounted a volume.
func ntfsMount(t *testing.T, path, options string, use func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	volumetest.RunTool(t, "ntfs-3g", "ntfs-3g", "-o", options, path, dir)
	defer volumetest.RunTool(t, "fuse3", "fusermount3", "-u", dir)
	use(dir)
}

// leftOut leaves what matches out of a volume, casts it over garbage with zeros
// for what is left out, has ntfsfix look at it, and opens that.
func leftOut(t *testing.T, d disk, pattern string) (Volume, Excluded) {
	t.Helper()
	v, x, err := Exclude(opened(t, d), []string{pattern})
	if err != nil || x.Reason != "" {
		t.Fatal(x, err)
	}
	cast := volumetest.CastOver(t, v.Used(), v.Info().UsedBytes, d)
	for _, e := range v.Zeroed() {
		clear(cast[e.Off:e.End()])
	}
	volumetest.RunTool(t, "ntfs-3g", "ntfsfix", "-n", cast.Save(t))
	return opened(t, cast), x
}

// TestExcludeNTFS leaves files of several kinds out of a volume that ntfs-3g
// filled, and reads the rest in its copy.
func TestExcludeNTFS(t *testing.T) {
	path := volumetest.Make(t, 24<<20, "ntfs-3g", "mkntfs", "-F", "-q", "-c", "4096")
	text := bytes.Repeat([]byte("text that does not matter "), 9000)
	ntfsMount(t, path, "rw,streams_interface=windows", func(dir string) {
		for i := range 30 {
			volumetest.Write(t, dir, fmt.Sprintf("Users/Ina/tmp/%d", i), text[i:])
			volumetest.Write(t, dir, fmt.Sprintf("Users/Ina/kept %d", i), text[2*i:])
		}
		volumetest.Write(t, dir, "Users/Ina/tmp/both", text)
		volumetest.Write(t, dir, "Users/Ina/tmp/0:stream", text)
		volumetest.Write(t, dir, "Users/Ina/kept 0:stream", text[7:])
		if err := os.Link(filepath.Join(dir, "Users/Ina/tmp/both"), filepath.Join(dir, "Users/both")); err != nil {
			t.Fatal(err)
		}
	})
	d := volumetest.Load(t, path)
	v, x := leftOut(t, d, "users/*/TMP/**")
	if x.Files != 30 || x.Kept != 1 || x.Bytes < 30*int64(len(text)-4096) {
		t.Errorf("%+v", x)
	}
	fresh := opened(t, d)
	want := volumetest.Tree(t, fresh.Files())
	for name, got := range volumetest.Tree(t, v.Files()) {
		left, _ := filepath.Match("Users/Ina/tmp/[0-9]*", name)
		if left == (got == want[name]) {
			t.Errorf("%s: %s instead of %s", name, got, want[name])
		}
	}
	for name, zeros := range map[string]bool{"Users/Ina/tmp/0": true, "Users/Ina/kept 0": false} {
		info, err := v.Files().Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := info.Sys().(Streams).OpenStream("stream")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 50000)
		if _, err := f.Read(b); err != nil || (len(bytes.Trim(b, "\x00")) == 0) != zeros {
			t.Errorf("stream of %s: %q..., %v", name, b[:20], err)
		}
	}
}

// TestExcludeIndex has a file that matches claim clusters of a folder's index:
// they are kept.
func TestExcludeIndex(t *testing.T) {
	path := volumetest.Make(t, 24<<20, "ntfs-3g", "mkntfs", "-F", "-q", "-c", "4096")
	ntfsMount(t, path, "rw", func(dir string) {
		volumetest.Write(t, dir, "tmp/gone", bytes.Repeat([]byte("gone"), 20000))
		for i := range 100 {
			volumetest.Write(t, dir, fmt.Sprintf("many/%d", i), nil)
		}
	})
	d := volumetest.Load(t, path)
	_, before := leftOut(t, d, "tmp")
	at := bytes.Index(d, []byte("INDX"))
	gone := extentsOf(t, opened(t, d), "tmp/gone")[0]
	var index block.Extent
	for ; at >= 0; at += 1 + bytes.Index(d[at+1:], []byte("INDX")) {
		if bytes.Contains(d[at:at+4096], []byte{'7', 0, '7', 0}) {
			index = block.Extent{Off: int64(at), Len: 4096}
			break
		}
	}
	// In the file's record its run begins with the cluster: three bytes.
	run := func(off int64) []byte { return []byte{byte(off / 4096), byte(off / 4096 >> 8)} }
	record := bytes.Index(d, append([]byte{0x21, 20}, run(gone.Off)...))
	if record < 0 || index.Len == 0 || before.Bytes != gone.Len {
		t.Fatalf("no test: record at %d, index %v, file %v, %+v", record, index, gone, before)
	}
	copy(d[record+2:], run(index.Off))
	v, x := leftOut(t, d, "tmp")
	if list, err := fs.ReadDir(v.Files(), "many"); err != nil || len(list) != 100 || x.Bytes >= before.Bytes {
		t.Errorf("%d entries, %v, %+v", len(list), err, x)
	}
}
