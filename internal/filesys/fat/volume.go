package fat

import (
	"encoding/binary"
	"fmt"

	"ingot/internal/block"
	"ingot/internal/fatchain"
	"ingot/internal/fstree"
)

// Facts is what is known about a volume. Sizes and offsets are bytes, from the
// start of the partition.
type Facts struct {
	Type          string // FAT12, FAT16 or FAT32
	Label, Serial string // serial: 8 hex digits, "" if there is none
	SectorSize    int64
	ClusterSize   int64
	TotalClusters int64
	FreeClusters  int64 // free in all tables; 0 when they were not to be trusted
	UsedBytes     int64 // bytes in the map that Used gives
	FATOffset     int64
	DataStart     int64  // cluster 2
	WholeReason   string // why everything counts as used; "" when the map is proven
	Warnings      []string
}

// Volume is a FAT volume found by Open. Its methods may be called from several
// goroutines.
type Volume struct {
	r     block.Reader
	boot  Boot
	facts Facts
	used  block.Map
	space *fatchain.Space
	files *fstree.FS
	root  *node
}

// Open reads the boot sector and the tables of the volume in partition r. It
// fails when r cannot be read at its start or does not begin with a plausible
// FAT boot sector. Doubts about the rest make Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	p := make([]byte, BootSize)
	if n, err := r.ReadAt(p, 0); n < len(p) {
		return nil, fmt.Errorf("read FAT boot sector at byte 0: %w", err)
	}
	boot, err := ParseBoot(p)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, boot: boot, space: boot.space(r)}
	v.root = &node{v: v, entry: dirEntry{cluster: boot.RootCluster, attr: attrFolder, short: "."}}
	v.files = fstree.New((*format)(v))
	v.facts = Facts{
		Type:          boot.Type(),
		Label:         boot.Label,
		SectorSize:    boot.SectorSize,
		ClusterSize:   boot.ClusterSize,
		TotalClusters: boot.TotalClusters,
		FATOffset:     boot.FATOffset,
		DataStart:     boot.DataStart,
	}
	if boot.Serial != 0 {
		v.facts.Serial = fmt.Sprintf("%08X", boot.Serial)
	}
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
// the area before cluster 2 and the clusters in use. A walk ends with an error
// when a table cannot be read or when the number of used clusters is no longer
// the one counted by Open.
func (v *Volume) Used() block.Map { return v.used }

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() error {
	if v.boot.Size > v.r.Size() {
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", v.boot.Size, v.r.Size())
	}
	if err := v.state(); err != nil {
		return err
	}
	t, _, err := v.walk(func(int64, int64) bool { return true })
	if err != nil {
		return err
	}
	if v.boot.Bits == 32 {
		e, err := v.space.Entry(v.boot.RootCluster)
		if err == nil && e == 0 {
			err = fmt.Errorf("FAT: the root directory's cluster %d is marked as free", v.boot.RootCluster)
		}
		if err != nil {
			return err
		}
	}
	if err := v.checkTree(); err != nil {
		return err
	}
	v.facts.FreeClusters = v.boot.TotalClusters - t.used
	v.facts.UsedBytes = v.boot.DataStart + t.used*v.boot.ClusterSize
	v.used = usedMap{v, t.used}
	v.notices(t)
	return nil
}

// state reads the first two entries: a copy of the media byte, without which
// this is no FAT, and on FAT16 and FAT32 the bits for a clean shutdown and for
// no disk errors (FAT specification, "FAT Data Structure").
func (v *Volume) state() error {
	media, err := v.space.Entry(0)
	if err != nil {
		return err
	}
	if byte(media) != v.boot.Media {
		return fmt.Errorf("FAT: entry 0 is %#x and does not hold the media byte %#x", media, v.boot.Media)
	}
	flags, err := v.space.Entry(1)
	if err != nil {
		return err
	}
	clean, noErrors := uint32(0x8000), uint32(0x4000)
	if v.boot.Bits == 32 {
		clean, noErrors = 0x08000000, 0x04000000
	}
	if v.boot.Dirty || v.boot.Bits > 12 && flags&clean == 0 {
		v.warn("The volume is marked dirty: it was not removed cleanly. Run chkdsk /f on it in Windows or fsck.vfat in Linux.")
	}
	if v.boot.Bits > 12 && flags&noErrors == 0 {
		v.warn("The volume is marked as having had disk errors. Run chkdsk /r on it in Windows and look after the disk.")
	}
	return nil
}

func (v *Volume) warn(format string, args ...any) {
	v.facts.Warnings = append(v.facts.Warnings, fmt.Sprintf(format, args...))
}

// notices looks for what the owner should know and what makes no difference
// to the map.
func (v *Volume) notices(t tally) {
	if t.differ && v.boot.Mirrored {
		v.warn("The two file allocation tables differ; clusters that either of them uses are kept. Run chkdsk /f on the volume in Windows or fsck.vfat in Linux.")
	}
	if t.bad > 0 {
		v.warn("Clusters marked as bad: %d. The disk has damaged places and reading may fail there. Replace the disk.", t.bad)
	}
	if stored, ok := v.storedFree(); ok && stored != v.facts.FreeClusters {
		v.warn("The volume's note of its free space (%d clusters) is out of date, %d were counted. Nothing needs to be done.", stored, v.facts.FreeClusters)
	}
	label, err := v.rootLabel()
	if err != nil {
		v.warn("The root directory cannot be read (%v). Run chkdsk /f on the volume.", err)
	}
	if label != "" {
		v.facts.Label = label
	}
}

// storedFree is the count of free clusters in the FSInfo sector of FAT32, when
// it holds one (FAT specification, "FSInfo Structure").
func (v *Volume) storedFree() (int64, bool) {
	b := make([]byte, 512)
	if v.boot.FSInfo == 0 {
		return 0, false
	}
	if n, _ := v.r.ReadAt(b, v.boot.FSInfo); n < len(b) {
		return 0, false
	}
	free := binary.LittleEndian.Uint32(b[488:])
	ok := string(b[:4]) == "RRaA" && string(b[484:488]) == "rrAa" && free != 0xffffffff
	return int64(free), ok
}
