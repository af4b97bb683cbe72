package exfat

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"ingot/internal/block"
	"ingot/internal/fatchain"
	"ingot/internal/fstree"
)

// Facts is what is known about a volume. Sizes and offsets are bytes, from the
// start of the partition.
type Facts struct {
	Label, Serial string // serial: 8 hex digits
	SectorSize    int64
	ClusterSize   int64
	TotalClusters int64
	FreeClusters  int64  // 0 when they were not to be trusted
	UsedBytes     int64  // bytes in the map that Used gives
	WholeReason   string // why everything counts as used; "" when the map is proven
	Warnings      []string
}

// Volume is an exFAT volume found by Open. Its methods may be called from
// several goroutines.
type Volume struct {
	r     block.Reader
	boot  Boot
	space *fatchain.Space
	facts Facts
	used  block.Map
	sys   system
	up    upcase
	files *fstree.FS
	root  *node
}

// Open reads the boot region, the root directory and the allocation bitmap of
// the volume in partition r. It fails when neither boot region is good. Doubts
// about the rest make Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	boot, warning, err := readBoot(r)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, boot: boot}
	v.space = fatchain.New(r, fatchain.Geometry{
		Table: boot.activeFAT(), Bits: 32, Data: boot.DataStart, Size: boot.ClusterSize, Count: boot.TotalClusters,
	})
	v.facts = Facts{
		Serial:     fmt.Sprintf("%08X", boot.Serial),
		SectorSize: boot.SectorSize, ClusterSize: boot.ClusterSize, TotalClusters: boot.TotalClusters,
	}
	if warning != "" {
		v.warn("%s", warning)
	}
	v.root = rootNode(v)
	v.files = fstree.New((*format)(v))
	if err := v.load(); err != nil {
		v.facts.WholeReason = err.Error()
		v.facts.FreeClusters = 0
		v.facts.UsedBytes = r.Size()
		v.used = block.Whole(r.Size())
	}
	return v, nil
}

// Facts returns what is known about the volume.
func (v *Volume) Facts() Facts { return v.facts }

// Used is the map of the bytes that matter, from the start of the partition:
// what lies before and behind the clusters, and those in use. A walk ends with
// an error when the bitmap cannot be read or when the number of used clusters is
// no longer the one counted by Open.
func (v *Volume) Used() block.Map { return v.used }

// Contains reports whether a file or folder exists. Path parts are divided by
// \ or /, counted from the root folder, and compared without regard to case. It
// fails when a folder on the way cannot be read.
func (v *Volume) Contains(path string) (bool, error) {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '\\' || c == '/' })
	_, err := v.files.Lstat(cmp.Or(strings.Join(parts, "/"), "."))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

func (v *Volume) warn(format string, args ...any) {
	v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf(format, args...))
}

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() error {
	v.up = asciiUpcase()
	var err error
	v.sys, err = v.readSystem()
	v.facts.Label = v.sys.label
	v.loadUpcase()
	if err != nil {
		return err
	}
	if v.boot.Size > v.r.Size() {
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", v.boot.Size, v.r.Size())
	}
	maps := []block.Map{v.ends()}
	for i := range v.boot.FATs {
		maps = append(maps, v.bitmap(i))
	}
	used := block.Merge(maps...)
	if v.facts.UsedBytes, err = block.Bytes(used); err != nil {
		return err
	}
	v.used = counted{used, v.facts.UsedBytes}
	ends, _ := block.Bytes(v.ends())
	v.facts.FreeClusters = v.boot.TotalClusters - (v.facts.UsedBytes-ends)/v.boot.ClusterSize
	if err := v.checkBits(); err != nil {
		return err
	}
	if err := v.checkPercent(); err != nil {
		return err
	}
	v.notices()
	return nil
}

// loadUpcase reads the table by which names are compared.
func (v *Volume) loadUpcase() {
	p := v.sys.upcase
	if p.size == 0 {
		return
	}
	u, err := readUpcase(v.space.Chain(p.first), p.size, p.sum)
	if err != nil {
		v.warn("%v: names are compared in ASCII only. Run chkdsk /f on the volume in Windows or fsck.exfat in Linux.", err)
		return
	}
	v.up, v.sys.proper = u, true
}

// checkPercent compares the count with PercentInUse (specification, 3.1.18),
// which is rounded down. Is it higher, the bitmap may lack clusters.
func (v *Volume) checkPercent() error {
	used := v.boot.TotalClusters - v.facts.FreeClusters
	percent := int64(v.boot.Percent)
	if percent > 100 || percent <= (used*100+v.boot.TotalClusters-1)/v.boot.TotalClusters {
		return nil
	}
	if err := v.checkTree(); err != nil {
		return err
	}
	v.warn("The volume's note of its used space (%d%%) is out of date, %d of %d clusters were counted and all files lie in them. Nothing needs to be done.", percent, used, v.boot.TotalClusters)
	return nil
}

// maxBadScan is how long a table may be for its bad clusters to be counted.
const maxBadScan = 32 << 20

// notices looks for what the owner should know and what makes no difference to
// the map.
func (v *Volume) notices() {
	if v.boot.Flags&flagDirty != 0 && !v.boot.Backup {
		v.warn("The volume is marked dirty: it was not removed cleanly. Run chkdsk /f on it in Windows or fsck.exfat in Linux.")
	}
	if v.boot.Flags&flagFailure != 0 && !v.boot.Backup {
		v.warn("The volume is marked as having had disk errors. Run chkdsk /r on it in Windows and look after the disk.")
	}
	if v.boot.FATs == 2 {
		v.warn("The volume is TexFAT, with two allocation bitmaps: clusters that either of them uses are kept. Nothing needs to be done.")
	}
	if 4*v.boot.TotalClusters > maxBadScan {
		return
	}
	bad, err := v.space.Bad()
	switch {
	case err != nil:
		v.warn("The file allocation table cannot be read (%v). Replace the disk.", err)
	case bad > 0:
		v.warn("Clusters marked as bad: %d. The disk has damaged places and reading may fail there. Replace the disk.", bad)
	}
}
