package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

func TestUnderALoopMount(t *testing.T) {
	dir := t.TempDir()
	img, mnt := filepath.Join(dir, "disk.img"), filepath.Join(dir, "mnt")
	f, err := os.Create(img)
	if err == nil {
		err = errors.Join(f.Truncate(16<<20), f.Close(), os.Mkdir(mnt, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	volumetest.RunTool(t, "e2fsprogs", "mke2fs", "-q", "-t", "ext4", img)
	volumetest.RunTool(t, "mount", "mount", "-o", "loop", img, mnt)
	t.Cleanup(func() { volumetest.RunTool(t, "mount", "umount", mnt) })
	p, err := Under(filepath.Join(mnt, "not", "there", "yet"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Mount != mnt || p.FSType != "ext4" || !strings.HasPrefix(p.Device, "/dev/loop") || len(p.Disks) != 1 || p.System || p.Stacked {
		t.Errorf("%+v", p)
	}
	if d := p.Disks[0]; !d.External() || d.Bus != "loop" || d.Path != p.Device || len(p.Mounts) != 1 || p.Mounts[0] != mnt {
		t.Errorf("%+v", p)
	}
}

func TestUnderTheSystem(t *testing.T) {
	p, err := Under("/proc/self")
	if err != nil || p.Mount != "/proc" || len(p.Disks) != 0 || p.Device != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// madeHost has sda with LVM upon its second partition.
func TestBases(t *testing.T) {
	h := madeHost(t)
	if got := h.bases("8:1", 0); len(got) != 1 || got[0] != "8:0" || !h.direct("8:1", "8:0") {
		t.Errorf("%v", got)
	}
	if got := h.bases("8:0", 0); len(got) != 1 || got[0] != "8:0" {
		t.Errorf("%v", got)
	}
}

func TestExternal(t *testing.T) {
	for _, c := range []struct {
		info Info
		want bool
	}{
		{Info{Bus: "usb"}, true}, {Info{Bus: "sata"}, false}, {Info{Bus: "nvme"}, false}, {Info{Bus: "scsi", Removable: true}, true}, {Info{Bus: "loop"}, true}, {Info{}, false},
	} {
		if got := c.info.External(); got != c.want {
			t.Errorf("%+v: %v", c.info, got)
		}
	}
}
