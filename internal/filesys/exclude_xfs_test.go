package filesys

import (
	"bytes"
	"path/filepath"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestExcludeXFS leaves files out of a volume: what shares blocks with a file
// that is kept stays, and the volume is sound afterwards.
func TestExcludeXFS(t *testing.T) {
	for _, name := range []string{"TEST_DIR", "TEST_DEV", "QA_CHECK_FS"} { // lets mkfs.xfs make small volumes
		t.Setenv(name, "1")
	}
	path := volumetest.Make(t, 60<<20, "xfsprogs", "mkfs.xfs", "-q", "-m", "reflink=1,rmapbt=1")
	gone := bytes.Repeat([]byte("gone"), 50000)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for _, name := range []string{"tmp/gone", "tmp/shared", "keep"} {
			volumetest.Write(t, dir, name, gone)
		}
		volumetest.RunTool(t, "coreutils", "cp", "--reflink=always", filepath.Join(dir, "tmp/shared"), filepath.Join(dir, "copy"))
	})
	d := volumetest.Load(t, path)
	if _, x, err := Exclude(opened(t, d), []string{"TMP/**"}); err != nil || x.Files != 0 || x.Reason != "" {
		t.Errorf("case was not regarded: %+v, %v", x, err)
	}
	v, x, err := Exclude(opened(t, d), []string{"tmp/**"})
	if err != nil || x.Reason != "" || x.Files != 2 || x.Bytes != 200704 {
		t.Fatalf("%+v, %v", x, err)
	}
	cast := volumetest.CastOver(t, v.Used(), v.Info().UsedBytes, d)
	for _, e := range v.Zeroed() {
		clear(cast[e.Off:e.End()])
	}
	left := opened(t, cast)
	for name, want := range map[string]bool{"tmp/gone": false, "tmp/shared": true, "copy": true, "keep": true} {
		if got := fileBytes(t, left, name); bytes.Equal(got, gone) != want || len(got) != len(gone) || !want && len(bytes.Trim(got, "\x00")) > 0 {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	volumetest.RunTool(t, "xfsprogs", "xfs_repair", "-n", "-f", cast.Save(t))
}
