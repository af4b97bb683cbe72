package vdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ingot/internal/block"
	"ingot/internal/disk"
)

// IsClonezilla says whether the folder dir is an image of Clonezilla.
func IsClonezilla(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "parts"))
	return err == nil
}

// maxSmall is the largest of the small files of a folder in bytes.
const maxSmall = 4 << 20

// clonezilla is a folder as Clonezilla makes it (savedisk): "disk" and "parts"
// name what is in it, NAME-pt.parted tells the size of the disk, NAME-mbr,
// NAME-gpt-1st and NAME-hidden-data-after-mbr are what lies before the first
// partition.
type clonezilla struct {
	dir   string
	name  string // of the disk, such as sda
	parts []string
	size  int64
}

// OpenClonezilla opens disk number n, counted from 1, of a folder of Clonezilla:
// the table is put together, and the images of its partitions are unpacked to
// temporary files.
func OpenClonezilla(ctx context.Context, dir string, n int, opts Options) (*Disk, error) {
	fs, err := newFiles(filepath.Join(dir, "parts"), opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	d, err := fs.clonezilla(ctx, dir, n)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), fs.close())
	}
	d.Files, d.files = fs.names, fs
	return d, nil
}

func (fs *files) clonezilla(ctx context.Context, dir string, n int) (*Disk, error) {
	c := &clonezilla{dir: dir}
	if err := c.names(n); err != nil {
		return nil, err
	}
	l, err := c.layout()
	if err != nil {
		return nil, err
	}
	out := &Disk{Format: Clonezilla, Kind: c.name, Sector: l.SectorSize}
	var contents []disk.Content
	for _, p := range l.Partitions {
		content, note, err := c.content(ctx, fs, p)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		if content != nil {
			contents = append(contents, *content)
		}
		if note != "" {
			out.Notes = append(out.Notes, fmt.Sprintf("partition %d: %s", p.Number, note))
		}
	}
	whole, err := l.Assemble(contents...)
	if err != nil {
		return nil, err
	}
	out.Reader, out.used = whole, whole.Used()
	return out, nil
}

// small reads one of the small files.
func (c *clonezilla) small(name string) ([]byte, error) {
	path := filepath.Join(c.dir, name)
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxSmall {
		return nil, fmt.Errorf("%s is no small file", path)
	}
	return os.ReadFile(path)
}

// names reads which disks and partitions there are.
func (c *clonezilla) names(n int) error {
	b, err := c.small("disk")
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it holds partitions and no disk (saveparts): name one of its files, such as sda1.ext4" + partcloneMark + ".gz.aa")
	}
	if err != nil {
		return err
	}
	disks := strings.Fields(string(b))
	if n < 1 || n > len(disks) {
		return fmt.Errorf("there is no disk %d: it holds %s", n, strings.Join(disks, ", "))
	}
	c.name = disks[n-1]
	if !plainName(c.name) {
		return fmt.Errorf("the name of a disk is %q", c.name)
	}
	if b, err = c.small("parts"); err != nil {
		return err
	}
	c.parts = strings.Fields(string(b))
	return nil
}

// plainName says whether a name is one of Linux for a disk or partition, and
// leads to no other folder.
func plainName(s string) bool { return regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(s) }

// layout puts the table together.
func (c *clonezilla) layout() (*disk.Layout, error) {
	sector, err := c.geometry()
	if err != nil {
		return nil, err
	}
	if sector != 512 {
		return nil, fmt.Errorf("%w: a disk with sectors of %d bytes, of which Clonezilla keeps too little of the table", ErrUnsupported, sector)
	}
	track0, err := c.small(c.name + "-mbr")
	if err != nil {
		return nil, err
	}
	if len(track0) < 512 {
		return nil, fmt.Errorf("%s-mbr has %d bytes", c.name, len(track0))
	}
	track0 = track0[:512]
	hidden, err := c.small(c.name + "-hidden-data-after-mbr")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	track0 = append(track0, hidden...)
	gpt, err := c.small(c.name + "-gpt-1st")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(gpt) > len(track0) {
		track0 = append(track0, make([]byte, len(gpt)-len(track0))...)
	}
	copy(track0, gpt)
	ebrs, err := c.bootRecords(track0)
	if err != nil {
		return nil, err
	}
	return disk.FromImage(track0[:min(int64(len(track0)), c.size)], ebrs, sector, c.size)
}

var sizeLine = regexp.MustCompile(`(?m)^Disk /dev/\S+: ([0-9]+)s`)
var sectorLine = regexp.MustCompile(`(?m)^Sector size \(logical/physical\): ([0-9]+)B`)

// geometry reads the size of the disk from what parted said of it, in sectors.
func (c *clonezilla) geometry() (sector int64, err error) {
	b, err := c.small(c.name + "-pt.parted")
	if err != nil {
		return 0, err
	}
	size, unit := sizeLine.FindSubmatch(b), sectorLine.FindSubmatch(b)
	if size == nil || unit == nil {
		return 0, fmt.Errorf("%s-pt.parted does not tell the size of the disk in sectors", c.name)
	}
	n, err := strconv.ParseInt(string(size[1]), 10, 64)
	if err == nil {
		sector, err = strconv.ParseInt(string(unit[1]), 10, 64)
	}
	if err != nil || sector <= 0 || sector > 65536 || n <= 0 || n > 1<<56/sector {
		return 0, fmt.Errorf("%s-pt.parted: %s sectors of %s bytes", c.name, size[1], unit[1])
	}
	c.size = n * sector
	return sector, nil
}

// part is the name of a partition of the disk: sda1, nvme0n1p1.
func (c *clonezilla) part(number int) string {
	if last := c.name[len(c.name)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", c.name, number)
	}
	return fmt.Sprintf("%s%d", c.name, number)
}

// content is what the folder has of a partition. Clonezilla keeps no content of
// swap, and makes it anew.
func (c *clonezilla) content(ctx context.Context, fs *files, p disk.Partition) (*disk.Content, string, error) {
	name := c.part(p.Number)
	swap, err := c.small("swappt-" + name + ".info")
	if err == nil {
		r, err := newSwap(swap, p.Len)
		if err != nil {
			return nil, "", err
		}
		return &disk.Content{Off: p.Off, Reader: r, Used: block.NewExtents(block.Extent{Len: swapPage})}, "swap is made anew", nil
	}
	if !slices.Contains(c.parts, name) {
		return nil, "it is in the table, and its content was not saved", nil
	}
	first, err := c.imageOf(name)
	if err != nil {
		return nil, "", err
	}
	names, err := pieces(first)
	if err != nil {
		return nil, "", err
	}
	v, err := fs.unpack(ctx, names, p.Len)
	if err != nil {
		return nil, "", err
	}
	if v.Size() > p.Len {
		return nil, "", fmt.Errorf("its image is of a partition of %d bytes, it has %d", v.Size(), p.Len)
	}
	r, used, err := withEnd(v, v.Map())
	if err != nil {
		return nil, "", err
	}
	return &disk.Content{Off: p.Off, Reader: r, Used: used}, "", nil
}

// imageOf is the first file of the image of a partition.
func (c *clonezilla) imageOf(name string) (string, error) {
	all, err := filepath.Glob(filepath.Join(escape(c.dir), name+".*"))
	if err != nil {
		return "", err
	}
	slices.Sort(all)
	var others []string
	for _, path := range all {
		base := filepath.Base(path)
		if strings.Contains(base, partcloneMark) {
			return path, nil
		}
		if strings.Contains(base, "-img") {
			others = append(others, base)
		}
	}
	if len(others) > 0 {
		return "", fmt.Errorf("%w: %s was not made by partclone", ErrUnsupported, others[0])
	}
	return "", fmt.Errorf("there is no image of %s", name)
}
