package service

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// said are the names of the steps, and the error of the last.
func said(c *PlaceCheck) (names []string, err string) {
	for _, s := range c.Steps {
		names, err = append(names, s.Name), s.Error
	}
	return names, err
}

// reached checks how far a check came and what it said then.
func reached(t *testing.T, c *PlaceCheck, last, says string) {
	t.Helper()
	all := []string{StepFound, StepFolder, StepWrite, StepWhere, StepApart}
	names, err := said(c)
	if want := all[:slices.Index(all, last)+1]; !slices.Equal(names, want) || (err == "") != (says == "") || !strings.Contains(err, says) {
		t.Errorf("%s: %v %q, want %v %q", c.Path, names, err, want, says)
	}
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	open := filepath.Join(dir, "open")
	for _, err := range []error{os.WriteFile(file, nil, 0o600), os.Mkdir(open, 0o700), os.Chmod(open, 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	reached(t, checkPlace(&PlaceRequest{Path: filepath.Join(dir, "none")}), StepFound, "no such file")
	reached(t, checkPlace(&PlaceRequest{Path: file}), StepFolder, "it is a file")
	c := checkPlace(&PlaceRequest{Path: dir, Disks: []string{filepath.Join(dir, "no-disk")}})
	reached(t, c, StepApart, "")
	if !c.OK() || c.Free <= 0 || c.FSType == "" || c.Mount == "" || c.Shared {
		t.Errorf("%+v", c)
	}
	if c := checkPlace(&PlaceRequest{Path: open}); !c.Shared {
		t.Errorf("%+v", c)
	}
	if c := checkPlace(&PlaceRequest{Path: "/tmp"}); c.Shared {
		t.Errorf("/tmp is sticky: %+v", c)
	}
	if left, err := os.ReadDir(open); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPlaceInMemory(t *testing.T) {
	dir := t.TempDir()
	volumetest.RunTool(t, "mount", "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir)
	t.Cleanup(func() { volumetest.RunTool(t, "mount", "umount", dir) })
	c := checkPlace(&PlaceRequest{Path: dir})
	reached(t, c, StepApart, "")
	if c.FSType != "tmpfs" || c.Mount != dir || c.Free != 8<<20 || len(c.Disks) != 0 {
		t.Errorf("%+v", c)
	}
	volumetest.RunTool(t, "mount", "mount", "-o", "remount,ro", dir)
	reached(t, checkPlace(&PlaceRequest{Path: dir}), StepWrite, "read-only file system")
}

// A folder on a disk that is to be imaged is no place for its image.
func TestPlaceOnASource(t *testing.T) {
	image := volumetest.Make(t, 16<<20, "e2fsprogs", "mkfs.ext4", "-q")
	volumetest.LoopMounted(t, image, "rw", func(dir string) {
		c := checkPlace(&PlaceRequest{Path: dir, Disks: []string{"/nowhere", image}})
		reached(t, c, StepApart, "which is to be imaged")
		if c.Source != image || c.Off != 0 || c.FSType != "ext4" || len(c.Disks) != 1 || !strings.HasPrefix(c.Disks[0].Path, "/dev/loop") {
			t.Errorf("%+v", c)
		}
		c = checkPlace(&PlaceRequest{Path: dir, Disks: []string{"/nowhere"}})
		if reached(t, c, StepApart, ""); c.Source != "" {
			t.Errorf("%+v", c)
		}
	})
}

func TestPlaceOfAService(t *testing.T) {
	r := newRig(t, map[string]string{})
	r.start()
	c, err := r.client.CheckPlace(t.Context(), r.opts.State, nil)
	if err != nil || !c.OK() || c.Path != r.opts.State {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := r.client.CheckPlace(t.Context(), "here", nil); !refusedWith(err, http.StatusBadRequest) {
		t.Errorf("a relative path: %v", err)
	}
	c, err = r.client.CheckPlace(t.Context(), r.opts.State+"/none", nil)
	if err != nil || c.OK() {
		t.Errorf("%+v, %v", c, err)
	}
	if b, _ := json.Marshal(c); !strings.Contains(string(b), `"name":"found"`) {
		t.Errorf("%s", b)
	}
}
