package test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// failingDisk is a file some of whose sectors cannot be read.
type failingDisk struct {
	fs.Inode
	data []byte
	bad  map[int64]bool // sectors
}

var (
	_ fs.NodeGetattrer = (*failingDisk)(nil)
	_ fs.NodeOpener    = (*failingDisk)(nil)
	_ fs.NodeReader    = (*failingDisk)(nil)
)

func (d *failingDisk) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size, out.Mtime = 0o400, uint64(len(d.data)), 1
	return 0
}

func (d *failingDisk) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

func (d *failingDisk) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	end := min(off+int64(len(p)), int64(len(d.data)))
	for s := off / 512; s*512 < end; s++ {
		if d.bad[s] {
			return nil, syscall.EIO
		}
	}
	return fuse.ReadResultData(d.data[off:end]), 0
}

// TestBadSectors images a disk with sectors that cannot be read, as the kernel
// gives it, and restores what there is.
func TestBadSectors(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, at, out := filepath.Join(dir, "src.img"), filepath.Join(dir, "at"), filepath.Join(dir, "out")
	newNoise(t, src, 8<<20)
	data, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[int64]bool{100: true, 101: true, 5000: true, 16383: true}
	for _, d := range []string{at, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	root := &fs.Inode{}
	server, err := fs.Mount(at, root, &fs.Options{OnAdd: func(ctx context.Context) {
		root.AddChild("disk.img", root.NewPersistentInode(ctx, &failingDisk{data: data, bad: bad}, fs.StableAttr{}), false)
	}})
	if err != nil {
		t.Fatalf("mount with FUSE (Debian package fuse3): %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	disk := filepath.Join(at, "disk.img")

	run := func(code int, args ...string) string {
		t.Helper()
		cmd := exec.Command(ingot, args...)
		text, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("ingot %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, text)
		}
		return string(text)
	}
	if text := run(1, "image", disk, "--to", out, "--on-read-error", "stop"); !strings.Contains(text, "input/output error") || !strings.Contains(text, "of the partition") {
		t.Errorf("it does not say where it stopped:\n%s", text)
	}
	text := run(6, "image", disk, "--to", out, "--name", "x", "--verify", "--json")
	var report struct {
		Status string
		Bad    []struct {
			Off int64 `json:"offset_bytes"`
			Len int64 `json:"length_bytes"`
		} `json:"unreadable"`
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, `"unreadable":[`) {
			if err := json.Unmarshal([]byte(line), &report); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(report.Bad) != 3 || report.Bad[0].Off != 51200 || report.Bad[0].Len != 1024 || report.Status != "unreadable" {
		t.Errorf("the report says %+v\n%s", report, text)
	}
	for s := range bad {
		clear(data[s*512 : (s+1)*512]) // what is stored in their place
	}
	back := filepath.Join(dir, "back.img")
	run(0, "restore", out, back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, data) {
		t.Errorf("it restores to something else: %v", err)
	}
	if text := run(6, "image", disk, "--to", out); !strings.Contains(text, "unreadable: partition 1, bytes 51200 to 52223") || !strings.Contains(text, "the disk is failing") {
		t.Errorf("it says:\n%s", text)
	}
}
