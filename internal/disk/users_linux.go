package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Users gives what uses the disk or something upon it now: mounts, swap, and
// the device-mapper, md and btrfs devices it is part of. For a regular file
// these are the uses of the loop devices bound to it. Only mounts of the
// caller's mount namespace are seen.
func (f *File) Users() ([]Use, error) {
	fi, err := f.os.f.Stat()
	if err != nil {
		return nil, fmt.Errorf("find users of %s: %w", f.Info.Path, err)
	}
	uses, err := thisHost().users(fi)
	if err != nil {
		return nil, fmt.Errorf("find users of %s: %w", f.Info.Path, err)
	}
	return uses, nil
}

// HoldsPath says whether the file or folder path lies on the disk f, also
// through partitions, device-mapper, md and loop devices; for a path that does
// not exist yet, whether the nearest folder above it does. A regular file f
// holds itself and what lies on its mounted loop devices. File systems without
// a block device, such as tmpfs, overlays and network mounts, lie on none.
func HoldsPath(f *File, path string) (bool, error) {
	fi, err := f.os.f.Stat()
	if err != nil {
		return false, fmt.Errorf("find whether %s holds %s: %w", f.Info.Path, path, err)
	}
	held, err := thisHost().holds(fi, path)
	if err != nil {
		return false, fmt.Errorf("find whether %s holds %s: %w", f.Info.Path, path, err)
	}
	return held, nil
}

// part is a device upon a disk: the disk itself, a partition, or what is built
// of them.
type part struct {
	device string // its path
	off    int64  // byte offset on the disk of the partition it is or lies on
}

// tree is a disk with all that lies upon it, by device number.
type tree struct {
	parts map[string]part
	// siblings are devices that do not lie on the disk but share a btrfs
	// with one that does: mountinfo names any one device of a btrfs.
	siblings map[string]part
	holders  []Use
}

// loop is a loop device bound to a file or another device.
type loop struct {
	devno  string
	file   fs.FileInfo // of what it is bound to
	device string      // number of what it is bound to, when that is a device
	off    int64       // bytes
}

// tree collects what lies upon the disk or regular file fi.
func (h host) tree(fi fs.FileInfo) tree {
	t := tree{parts: map[string]part{}, siblings: map[string]part{}}
	loops := h.loops()
	if fi.Mode().IsRegular() {
		for _, l := range loops {
			if os.SameFile(l.file, fi) {
				h.climb(&t, loops, l.devno, l.off)
			}
		}
	} else {
		h.climb(&t, loops, devNumber(fi.Sys().(*syscall.Stat_t).Rdev), 0)
	}
	h.btrfs(&t)
	return t
}

// climb adds the device devno, which lies at byte off of the disk, and all
// upon it. Each device is visited once.
func (h host) climb(t *tree, loops []loop, devno string, off int64) {
	if _, ok := t.parts[devno]; ok {
		return
	}
	dir, device := h.dir(devno), h.node(h.kernelName(devno))
	t.parts[devno] = part{device, off}
	entries, _ := os.ReadDir(dir) // a device that went away has nothing upon it
	for _, e := range entries {
		sub := filepath.Join(dir, e.Name())
		if e.IsDir() && text(sub, "partition") != "" {
			h.climb(t, loops, text(sub, "dev"), off+number(sub, "start", 0)*512)
		}
	}
	above, _ := os.ReadDir(filepath.Join(dir, "holders"))
	for _, e := range above {
		sub := filepath.Join(h.sys, "block", e.Name())
		where := h.node(e.Name())
		if name := text(sub, "dm/name"); name != "" {
			where += " (" + name + ")"
		}
		t.holders = append(t.holders, Use{Device: device, Kind: UseHolder, Where: where, Writable: text(sub, "ro") != "1", Off: off})
		h.climb(t, loops, text(sub, "dev"), off)
	}
	for _, l := range loops {
		if l.device == devno {
			h.climb(t, loops, l.devno, off)
		}
	}
}

// loops are the loop devices in use whose backing file can be seen.
func (h host) loops() []loop {
	dirs, _ := filepath.Glob(filepath.Join(h.sys, "block", "loop*", "loop"))
	var out []loop
	for _, dir := range dirs {
		fi, err := os.Stat(text(dir, "backing_file"))
		if err != nil {
			continue
		}
		l := loop{devno: text(filepath.Dir(dir), "dev"), file: fi, off: number(dir, "offset", 0)}
		l.device, _ = h.number(text(dir, "backing_file")) // "" for a regular file
		out = append(out, l)
	}
	return out
}

// btrfs adds the file systems of several devices that t has one of.
func (h host) btrfs(t *tree) {
	dirs, _ := filepath.Glob(filepath.Join(h.sys, "fs", "btrfs", "*", "devices"))
	for _, dir := range dirs {
		links, _ := filepath.Glob(filepath.Join(dir, "*"))
		var numbers []string
		for _, link := range links {
			numbers = append(numbers, text(link, "dev"))
		}
		i := slices.IndexFunc(numbers, func(n string) bool { _, ok := t.parts[n]; return ok })
		if i < 0 || len(numbers) < 2 {
			continue
		}
		p := t.parts[numbers[i]]
		t.holders = append(t.holders, Use{Device: p.device, Kind: UseHolder, Where: "btrfs " + filepath.Base(filepath.Dir(dir)), Writable: true, Off: p.off})
		for _, n := range numbers {
			t.siblings[n] = p
		}
	}
}

func (h host) users(fi fs.FileInfo) ([]Use, error) {
	t := h.tree(fi)
	mounts, err := h.mounts()
	if err != nil {
		return nil, err
	}
	uses := t.holders
	for _, m := range mounts {
		if p, ok := h.onTree(t, m); ok {
			uses = append(uses, Use{Device: p.device, Kind: UseMount, Where: m.point, Writable: m.writable, Off: p.off})
		}
	}
	swaps, _ := os.ReadFile(filepath.Join(h.proc, "swaps")) // absent from kernels without swap
	for line := range strings.Lines(string(swaps)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "/") {
			continue
		}
		if n, err := h.number(unescape(fields[0])); err == nil {
			if p, ok := t.parts[n]; ok {
				uses = append(uses, Use{Device: p.device, Kind: UseSwap, Where: "swap", Writable: true, Off: p.off})
			}
		}
	}
	return uses, nil
}

// mount is a line of mountinfo.
type mount struct {
	devno, point, source string
	kind                 string // of the file system
	writable             bool   // the file system, not only this view of it
}

// mounts reads /proc/self/mountinfo (proc_pid_mountinfo(5)).
func (h host) mounts() ([]mount, error) {
	b, err := os.ReadFile(filepath.Join(h.proc, "self", "mountinfo"))
	if err != nil {
		return nil, err
	}
	var out []mount
	for line := range strings.Lines(string(b)) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 {
			return nil, fmt.Errorf("mountinfo line %q lacks fields", strings.TrimSpace(line))
		}
		out = append(out, mount{
			devno: l[2], point: unescape(l[4]), source: unescape(r[1]), kind: r[0],
			writable: len(r) < 3 || slices.Contains(strings.Split(r[2], ","), "rw"),
		})
	}
	return out, nil
}

// unescape undoes the octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// onTree finds the device of t that m is a mount of. File systems with a
// number of their own, as btrfs, are found by the device they name.
func (h host) onTree(t tree, m mount) (part, bool) {
	if p, ok := t.parts[m.devno]; ok {
		return p, true
	}
	if !strings.HasPrefix(m.devno, "0:") || !strings.HasPrefix(m.source, "/") {
		return part{}, false
	}
	n, err := h.number(m.source)
	if err != nil {
		return part{}, false
	}
	if p, ok := t.parts[n]; ok {
		return p, true
	}
	p, ok := t.siblings[n]
	return p, ok
}

func (h host) holds(fi fs.FileInfo, path string) (bool, error) {
	path, there, err := nearest(path)
	if err != nil {
		return false, err
	}
	if os.SameFile(fi, there) {
		return true, nil
	}
	t := h.tree(fi)
	st := there.Sys().(*syscall.Stat_t)
	if _, ok := t.parts[devNumber(st.Dev)]; ok {
		return true, nil
	}
	if _, ok := t.parts[devNumber(st.Rdev)]; ok && there.Mode().Type() == fs.ModeDevice {
		return true, nil
	}
	mounts, err := h.mounts()
	if err != nil {
		return false, err
	}
	_, ok := h.onTree(t, covering(mounts, path))
	return ok, nil
}

// covering is the mount that path lies in: the last one with the longest mount
// point, as a later mount hides an earlier one.
func covering(mounts []mount, path string) mount {
	var found mount
	for _, m := range mounts {
		under := m.point == path || strings.HasPrefix(path, strings.TrimSuffix(m.point, "/")+"/")
		if under && len(m.point) >= len(found.point) {
			found = m
		}
	}
	return found
}

// nearest is path without links, or the nearest folder above it that exists.
func nearest(path string) (string, fs.FileInfo, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			fi, err := os.Stat(real)
			return real, fi, err
		}
		up := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || up == path {
			return "", nil, cmp.Or(err, fs.ErrNotExist)
		}
		path = up
	}
}
