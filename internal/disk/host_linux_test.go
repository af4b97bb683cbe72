package disk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// madeHost is a host in a folder: a SATA disk sda with two partitions, the
// second under LVM; an NVMe disk that is one of two of a btrfs; a USB reader
// without a card; a RAM disk and free loop devices.
func madeHost(t *testing.T) host {
	root := t.TempDir()
	h := host{sys: root + "/sys", proc: root + "/proc", dev: root + "/dev"}
	numbers := map[string]string{}
	h.number = func(path string) (string, error) {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if n, ok := numbers[path]; ok {
			return n, nil
		}
		return "", errNoBlockDevice
	}
	put := func(path, content string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(filepath.Join(root, to), path)); err != nil {
			t.Fatal(err)
		}
	}
	device := func(dir, number, size string) {
		name := filepath.Base(dir)
		put(filepath.Join("sys", dir, "dev"), number+"\n")
		put(filepath.Join("sys", dir, "size"), size+"\n")
		put(filepath.Join("dev", strings.ReplaceAll(name, "!", "/")), "")
		numbers[filepath.Join(h.dev, name)] = number
		link(filepath.Join("sys", dir), "sys/dev/block/"+number)
		if strings.HasSuffix(filepath.Dir(dir), "block") {
			link(filepath.Join("sys", dir), "sys/block/"+name)
		}
	}
	sda := "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"
	device(sda, "8:0", "976773168")
	put("sys/"+sda+"/device/vendor", "ATA     \n")
	put("sys/"+sda+"/device/model", "Example SSD 500G\n")
	put("sys/"+sda+"/device/rev", "2B6Q\n")
	put("sys/"+sda+"/device/vpd_pg80", "\x00\x80\x00\x08S3Z9NB0K")
	put("sys/"+sda+"/queue/logical_block_size", "512\n")
	put("sys/"+sda+"/queue/physical_block_size", "4096\n")
	put("sys/"+sda+"/removable", "0\n")
	device(sda+"/sda1", "8:1", "204800")
	put("sys/"+sda+"/sda1/partition", "1\n")
	put("sys/"+sda+"/sda1/start", "2048\n")
	device(sda+"/sda2", "8:2", "900000000")
	put("sys/"+sda+"/sda2/partition", "2\n")
	put("sys/"+sda+"/sda2/start", "206848\n")
	put("sys/"+sda+"/sda2/holders/dm-0/x", "")
	device("devices/virtual/block/dm-0", "253:0", "899000000")
	put("sys/devices/virtual/block/dm-0/dm/name", "vg-root\n")
	put("sys/devices/virtual/block/dm-0/dm/uuid", "LVM-Gs7tTdVxAnbQ0yQ5b4Yh9bqWOgA1\n")
	link("dev/dm-0", "dev/mapper/vg-root")
	device("devices/virtual/block/dm-1", "253:1", "2048")
	put("sys/devices/virtual/block/dm-1/dm/name", "plain\n")
	nvme := "devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1"
	device(nvme, "259:0", "2000409264")
	link("sys/"+nvme, "sys/block/nvme0n1")
	put("sys/"+nvme+"/device/model", "Example NVMe\n")
	put("sys/"+nvme+"/device/serial", "N123\n")
	put("sys/"+nvme+"/ro", "1\n")
	usb := "devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host4/target4:0:0/4:0:0:0/block/"
	device(usb+"sdb", "8:16", "0")
	device(usb+"sdc", "8:32", "60000000")
	put("sys/"+usb+"sdc/removable", "1\n")
	device("devices/virtual/block/ram0", "1:0", "8192")
	device("devices/virtual/block/loop0", "7:0", "0")
	link("dev/sda", "dev/disk/by-id/ata-Example_SSD_500G_S3Z9NB0K")
	link("dev/sda1", "dev/disk/by-id/ata-Example_SSD_500G_S3Z9NB0K-part1")
	put("sys/fs/btrfs/features/x", "")
	link("sys/"+nvme, "sys/fs/btrfs/6f0a/devices/nvme0n1")
	link("sys/"+usb+"sdc", "sys/fs/btrfs/6f0a/devices/sdc")
	put("proc/self/mountinfo", strings.Join([]string{
		`22 1 253:0 / / rw,relatime shared:1 - ext4 ` + h.dev + `/mapper/vg-root rw,errors=remount-ro`,
		`23 22 8:1 / /boot/efi rw,relatime - vfat ` + h.dev + `/sda1 ro`,
		`24 22 8:1 /sub /mnt/a\040b\134c ro,relatime - vfat ` + h.dev + `/sda1 ro`,
		`25 22 0:40 / /data rw - btrfs ` + h.dev + `/sdc rw,subvol=/`,
		`26 22 0:41 / /tmp rw - tmpfs tmpfs rw`,
	}, "\n")+"\n")
	put("proc/swaps", "Filename Type Size Used Priority\n"+h.dev+"/sda2 partition 1 0 -2\n/swapfile file 1 0 -3\n")
	return h
}

func TestListMadeTree(t *testing.T) {
	h := madeHost(t)
	got, err := h.list()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range got {
		names = append(names, filepath.Base(d.Path))
	}
	if want := []string{"sda", "sdc", "vg-root", "dm-1", "nvme0n1"}; !slices.Equal(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	sda, sdc, dm, plain, nvme := got[0], got[1], got[2], got[3], got[4]
	if sda.Vendor != "ATA" || sda.Model != "Example SSD 500G" || sda.Serial != "S3Z9NB0K" || sda.Revision != "2B6Q" || sda.Bus != "sata" ||
		sda.Size != 500107862016 || sda.LogicalSector != 512 || sda.PhysicalSector != 4096 || sda.Removable ||
		!slices.Equal(sda.ByID, []string{h.dev + "/disk/by-id/ata-Example_SSD_500G_S3Z9NB0K"}) {
		t.Errorf("%+v", sda)
	}
	if sdc.Bus != "usb" || !sdc.Removable || sdc.Number != 1 || dm.Bus != "lvm" || dm.Model != "vg-root" {
		t.Errorf("%+v\n%+v", sdc, dm)
	}
	if dm.Path != h.dev+"/mapper/vg-root" || dm.Serial != "LVM-Gs7tTdVxAnbQ0yQ5b4Yh9bqWOgA1" || plain.Bus != "dm" || plain.Model != "plain" {
		t.Errorf("%+v\n%+v", dm, plain)
	}
	if nvme.Bus != "nvme" || nvme.Serial != "N123" || !nvme.ReadOnly {
		t.Errorf("%+v", nvme)
	}
}

// blockInfo is a block device as os.Stat would give it.
type blockInfo struct {
	os.FileInfo
	rdev uint64
}

func (b blockInfo) Mode() os.FileMode { return os.ModeDevice }
func (b blockInfo) Sys() any          { return &syscall.Stat_t{Rdev: b.rdev} }

func TestUsersMadeTree(t *testing.T) {
	h := madeHost(t)
	for _, c := range []struct {
		name         string
		major, minor uint32
		want         []Use
	}{
		{"sda", 8, 0, []Use{
			{h.dev + "/sda2", UseHolder, h.dev + "/dm-0 (vg-root)", true, 206848 * 512},
			{h.dev + "/dm-0", UseMount, "/", true, 206848 * 512},
			{h.dev + "/sda1", UseMount, "/boot/efi", false, 1 << 20},
			{h.dev + "/sda1", UseMount, `/mnt/a b\c`, false, 1 << 20},
			{h.dev + "/sda2", UseSwap, "swap", true, 206848 * 512},
		}},
		{"dm-0", 253, 0, []Use{{h.dev + "/dm-0", UseMount, "/", true, 0}}},
		{"nvme0n1, the other half of a btrfs", 259, 0, []Use{
			{h.dev + "/nvme0n1", UseHolder, "btrfs 6f0a", true, 0},
			{h.dev + "/nvme0n1", UseMount, "/data", true, 0},
		}},
		{"sdb", 8, 16, nil},
	} {
		got, err := h.users(blockInfo{rdev: unix.Mkdev(c.major, c.minor)})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", c.name, err, got, c.want)
		}
	}
}

func TestListThisMachine(t *testing.T) {
	disks, err := List()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range disks {
		if d.Number != i || d.Size <= 0 || d.LogicalSector < 512 || d.Path == "" {
			t.Errorf("%+v", d)
		}
		t.Logf("%+v", d)
	}
}

func TestFile(t *testing.T) {
	path := blank(t, 1<<20+100)
	f, err := OpenTarget(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Info.Bus != "file" || f.Size() != 1<<20+100 || f.Info.LogicalSector != 512 {
		t.Errorf("%+v", f.Info)
	}
	if _, err := f.WriteAt([]byte("end"), 1<<20+97); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteAt([]byte("end"), 1<<20+98); err == nil {
		t.Error("a file grows")
	}
	if err := errors.Join(f.Sync(), f.Reread()); err != nil {
		t.Error(err)
	}
	for p, want := range map[string]bool{path: true, filepath.Dir(path): false, filepath.Dir(path) + "/new/folder": false} {
		if got, err := HoldsPath(f, p); got != want || err != nil {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 512), 4096); err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("read of a file that shrank: %v", err)
	}
	for _, p := range []string{t.TempDir(), path + "-absent", "/dev/null"} {
		if _, err := Open(p); err == nil || !strings.HasPrefix(err.Error(), "open "+p+": ") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// A loop device at an offset of an image file with a table, mounted.
func TestMountedLoop(t *testing.T) {
	t.Parallel()
	path := mbrDisk(t, 32<<20)
	const off, size = 2048 * 512, 8192 * 512
	dev := attach(t, path, "-o", "1048576", "--sizelimit", "4194304")
	tool(t, "e2fsprogs", "", "mkfs.ext4", "-q", dev)
	d, err := OpenTarget(dev)
	if err != nil {
		t.Fatal(err)
	}
	if d.Size() != size || d.Info.Bus != "loop" || d.Info.LogicalSector != 512 {
		t.Errorf("%+v", d.Info)
	}
	if err := errors.Join(d.Reread(), d.Close()); err != nil {
		t.Error(err)
	}
	point := t.TempDir()
	tool(t, "mount", "", "mount", dev, point)
	mounted := true
	unmount := func() {
		if mounted {
			tool(t, "mount", "", "umount", point)
		}
		mounted = false
	}
	t.Cleanup(unmount)

	want := []Use{{Device: dev, Kind: UseMount, Where: point, Writable: true, Off: off}}
	for _, p := range []string{path, dev} {
		f, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		uses, err := f.Users()
		if err != nil || !slices.Equal(uses, want) {
			t.Errorf("users of %s: %+v, %v", p, uses, err)
		}
		want[0].Off = 0 // counted from the start of the loop device
		for dir, want := range map[string]bool{point: true, point + "/not/yet": true, dev: true, t.TempDir(): false, "/proc": false, "/": false} {
			if got, err := HoldsPath(f, dir); got != want || err != nil {
				t.Errorf("%s holds %s: %v, %v", p, dir, got, err)
			}
		}
		f.Close()
		_, err = OpenTarget(p)
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dev+" is mounted on "+point+" (read-write)") {
			t.Errorf("target %s: %v", p, err)
		}
		if p == dev && !errors.Is(err, unix.EBUSY) {
			t.Errorf("target %s: %v is not EBUSY", p, err)
		}
	}
	unmount()
	f, err := OpenTarget(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
