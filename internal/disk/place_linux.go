package disk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Under says where the folder or file path lies; for a path that does not exist
// yet, where the nearest folder above it does.
func Under(path string) (*Place, error) {
	p, err := thisHost().under(path)
	if err != nil {
		return nil, fmt.Errorf("find out where %s lies: %w", path, err)
	}
	return p, nil
}

// systemMounts are where a running system lies, besides the folders it may
// keep on other disks.
var systemMounts = []string{"/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/home", "/opt", "/srv", "/tmp", "/var/log", "/var/lib"}

func (h host) under(path string) (*Place, error) {
	path, there, err := nearest(path)
	if err != nil {
		return nil, err
	}
	mounts, err := h.mounts()
	if err != nil {
		return nil, err
	}
	m := covering(mounts, path)
	p := &Place{Mount: m.point, FSType: m.kind}
	devno := devNumber(there.Sys().(*syscall.Stat_t).Dev)
	if h.kernelName(devno) == devno { // no block device has it: btrfs, or a share
		if devno, err = h.number(m.source); err != nil {
			return p, nil
		}
	}
	p.Device = h.node(h.kernelName(devno))
	p.Volume = h.uuid(p.Device)
	bases := h.bases(devno, 0)
	p.Stacked = len(bases) != 1 || !h.direct(devno, bases[0])
	for _, base := range bases {
		if err := h.addDisk(p, base, mounts); err != nil {
			return nil, err
		}
	}
	p.System = p.System || slices.ContainsFunc(p.Mounts, func(m string) bool { return slices.Contains(systemMounts, m) })
	return p, nil
}

// addDisk adds the disk of that number with what is mounted from it.
func (h host) addDisk(p *Place, devno string, mounts []mount) error {
	info, err := h.describe(h.dir(devno))
	if err != nil {
		return err
	}
	p.Disks = append(p.Disks, info)
	t := tree{parts: map[string]part{}, siblings: map[string]part{}}
	h.climb(&t, h.loops(), devno, 0)
	h.btrfs(&t)
	for _, m := range mounts {
		if _, ok := h.onTree(t, m); ok && !slices.Contains(p.Mounts, m.point) {
			p.Mounts = append(p.Mounts, m.point)
		}
	}
	swaps, _ := os.ReadFile(filepath.Join(h.proc, "swaps"))
	for line := range strings.Lines(string(swaps)) {
		name, _, _ := strings.Cut(line, " ")
		if n, err := h.number(unescape(name)); err == nil {
			_, ok := t.parts[n]
			p.System = p.System || ok
		}
	}
	return nil
}

// mostStacked is how many devices may lie upon each other.
const mostStacked = 16

// bases are the numbers of the whole disks below a device.
func (h host) bases(devno string, depth int) []string {
	dir, err := filepath.EvalSymlinks(h.dir(devno))
	if err != nil || depth > mostStacked {
		return nil
	}
	if text(dir, "partition") != "" {
		return h.bases(text(filepath.Dir(dir), "dev"), depth+1)
	}
	below, _ := os.ReadDir(filepath.Join(dir, "slaves"))
	if len(below) == 0 {
		return []string{devno}
	}
	var out []string
	for _, e := range below {
		for _, b := range h.bases(text(filepath.Join(h.sys, "class", "block", e.Name()), "dev"), depth+1) {
			if !slices.Contains(out, b) {
				out = append(out, b)
			}
		}
	}
	return out
}

// direct says whether a device is the disk base or a partition of it.
func (h host) direct(devno, base string) bool {
	if devno == base {
		return true
	}
	dir, err := filepath.EvalSymlinks(h.dir(devno))
	return err == nil && text(dir, "partition") != "" && text(filepath.Dir(dir), "dev") == base
}

// uuid is what udev has found out of a device's file system, "" where there is
// no udev.
func (h host) uuid(device string) string {
	dir := filepath.Join(h.dev, "disk", "by-uuid")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || e.Type() != fs.ModeSymlink {
			continue
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		if filepath.Clean(to) == device {
			return e.Name()
		}
	}
	return ""
}
