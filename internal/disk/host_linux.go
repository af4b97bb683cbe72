package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// host is where the kernel tells of its disks. Device numbers are "major:minor".
type host struct {
	sys, proc, dev string
	number         func(path string) (string, error) // of the block device node at path
}

func thisHost() host {
	return host{sys: "/sys", proc: "/proc", dev: "/dev", number: blockNumber}
}

var errNoBlockDevice = errors.New("no block device")

func blockNumber(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if fi.Mode().Type() != fs.ModeDevice {
		return "", errNoBlockDevice
	}
	return devNumber(fi.Sys().(*syscall.Stat_t).Rdev), nil
}

func devNumber(n uint64) string { return fmt.Sprintf("%d:%d", unix.Major(n), unix.Minor(n)) }

// List gives the disks of this machine, the short names first and in order of
// the alphabet. Devices without a medium or a backing file are left out, RAM
// disks and partitions too; device-mapper and md devices are disks here.
func List() ([]Info, error) { return thisHost().list() }

// Stat describes the disk, partition or regular file at path.
func Stat(path string) (Info, error) {
	info, err := thisHost().stat(path)
	if err != nil {
		return Info{}, fmt.Errorf("describe %s: %w", path, err)
	}
	return info, nil
}

func (h host) list() ([]Info, error) {
	names, err := h.disks()
	if err != nil {
		return nil, fmt.Errorf("list disks: %w", err)
	}
	var out []Info
	for _, name := range names {
		info, err := h.describe(filepath.Join(h.sys, "block", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was unplugged just now
		}
		if err != nil {
			return nil, fmt.Errorf("list disks: %s: %w", name, err)
		}
		info.Number = len(out)
		out = append(out, info)
	}
	return out, nil
}

// disks are the kernel's names of the disks that List shows.
func (h host) disks() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(h.sys, "block"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		dir := filepath.Join(h.sys, "block", e.Name())
		if strings.HasPrefix(e.Name(), "ram") || text(dir, "size") == "0" || text(dir, "hidden") == "1" {
			continue
		}
		names = append(names, e.Name())
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names, nil
}

func (h host) stat(path string) (Info, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	switch {
	case fi.Mode().IsRegular():
		return Info{
			Path: path, Bus: "file", Size: fi.Size(), LogicalSector: 512, PhysicalSector: 512,
			ReadOnly: unix.Access(path, unix.W_OK) != nil,
		}, nil
	case fi.IsDir():
		return Info{}, errors.New("it is a folder, not a disk or file")
	}
	devno, err := h.number(path)
	if err != nil {
		return Info{}, err
	}
	info, err := h.describe(h.dir(devno))
	if err != nil {
		return Info{}, err
	}
	names, _ := h.disks() // only the number is lost
	info.Number = max(0, slices.Index(names, h.kernelName(devno)))
	info.Path = path
	return info, nil
}

// dir is the folder of sysfs for a device number.
func (h host) dir(devno string) string { return filepath.Join(h.sys, "dev", "block", devno) }

// kernelName is the name of a device in sysfs, such as sda2.
func (h host) kernelName(devno string) string {
	dir, err := filepath.EvalSymlinks(h.dir(devno))
	if err != nil {
		return devno
	}
	return filepath.Base(dir)
}

// node is the path of the device that sysfs calls name.
func (h host) node(name string) string {
	return filepath.Join(h.dev, strings.ReplaceAll(name, "!", "/"))
}

// describe reads what sysfs knows of the disk or partition in dir. What a
// partition does not have, its disk has.
func (h host) describe(dir string) (Info, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Info{}, err
	}
	name, disk := filepath.Base(dir), dir
	if text(dir, "partition") != "" {
		disk = filepath.Dir(dir)
	}
	sectors, err := strconv.ParseInt(text(dir, "size"), 10, 64)
	if err != nil || sectors < 0 || sectors > 1<<54 {
		return Info{}, fmt.Errorf("size %q in %s is no number of sectors", text(dir, "size"), dir)
	}
	info := Info{
		Path: h.node(name), ByID: h.byID(name), Bus: bus(disk),
		Vendor:    text(disk, "device/vendor"),
		Model:     cmp.Or(text(disk, "device/model"), text(disk, "device/name"), text(disk, "dm/name"), text(disk, "md/level"), text(disk, "loop/backing_file")),
		Serial:    cmp.Or(text(disk, "serial"), text(disk, "device/serial"), pageSerial(disk)),
		Revision:  cmp.Or(text(disk, "device/rev"), text(disk, "device/firmware_rev"), text(disk, "device/fwrev")),
		Removable: text(disk, "removable") == "1", ReadOnly: text(dir, "ro") == "1",
		Size:           sectors * 512, // sysfs counts in 512 bytes whatever the disk does
		LogicalSector:  number(disk, "queue/logical_block_size", 512),
		PhysicalSector: number(disk, "queue/physical_block_size", 512),
	}
	if strings.HasPrefix(info.Vendor, "0x") {
		info.Vendor = "" // the number of a virtio or PCI vendor
	}
	h.mapped(disk, &info)
	return info, nil
}

// mapped adds what the device mapper knows of the device in dir: its lasting
// name, its UUID, and from that who made it, such as LVM.
func (h host) mapped(dir string, info *Info) {
	name, id := text(dir, "dm/name"), text(dir, "dm/uuid")
	if name == "" {
		return
	}
	node := filepath.Join(h.dev, "mapper", name)
	if n, err := h.number(node); err == nil && n == text(dir, "dev") {
		info.Path = node
	}
	info.Serial = cmp.Or(info.Serial, id)
	for _, maker := range []string{"LVM", "CRYPT", "mpath"} {
		if strings.HasPrefix(id, maker+"-") {
			info.Bus = strings.ToLower(maker)
		}
	}
}

// text is the content of a file of sysfs, "" when it is not there.
func text(dir, file string) string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.Trim(string(b), "\x00"))
}

func number(dir, file string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(text(dir, file), 10, 64); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// pageSerial is the unit serial number of a SCSI or ATA disk: vital product
// data page 80, four bytes of header before it (SPC-4, 7.8.15).
func pageSerial(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "device", "vpd_pg80"))
	if err != nil || len(b) < 4 || b[1] != 0x80 {
		return ""
	}
	return strings.Trim(string(b[4:]), " \x00")
}

// byID are the lasting names that point to the device sysfs calls name.
func (h host) byID(name string) []string {
	dir := filepath.Join(h.dev, "disk", "by-id")
	entries, _ := os.ReadDir(dir) // absent where no udev runs
	var out []string
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		to, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		if filepath.Clean(to) == h.node(name) {
			out = append(out, link)
		}
	}
	return out
}

// bus tells the kind of a disk from where it hangs in the tree of devices.
func bus(dir string) string {
	for _, b := range []struct{ pattern, bus string }{
		{`/block/dm-\d`, "dm"}, {`/block/md`, "md"}, {`/block/loop`, "loop"}, {`/block/nbd`, "nbd"}, {`/block/zram`, "zram"},
		{`/usb\d`, "usb"}, {`/nvme`, "nvme"}, {`/mmc`, "sd"}, {`/ata\d`, "sata"},
		{`/virtio\d`, "virtio"}, {`/vmbus|VMBUS`, "hyper-v"}, {`/vbd-`, "xen"}, {`/host\d`, "scsi"}, {`/virtual/`, "virtual"},
	} {
		if regexp.MustCompile(b.pattern).MatchString(filepath.ToSlash(dir)) {
			return b.bus
		}
	}
	return ""
}
