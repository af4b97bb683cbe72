package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/block"
)

// Facts is what is known about a volume. Sizes and offsets are bytes, from the
// start of the partition.
type Facts struct {
	Label, Serial string // serial: 16 hex digits
	Version       string // "3.1"; "" when unknown
	SectorSize    int64
	ClusterSize   int64
	TotalClusters int64
	FreeClusters  int64 // 0 when the bitmap was not to be trusted
	UsedBytes     int64 // bytes in the map that Used gives
	MFTOffset     int64
	RecordSize    int64
	WholeReason   string // why everything counts as used; "" when the map is proven
	Unsettled     string // why clusters that are free now need not stay free; "" when they do
	Hibernated    bool   // Windows will go on from hiberfil.sys; then this is the first of Warnings
	Warnings      []string
}

// Volume is an NTFS volume found by Open. Its methods may be called from
// several goroutines.
type Volume struct {
	r     block.Reader
	boot  Boot
	facts Facts
	mft   *mft   // nil when $MFT could not be found
	flags uint16 // of $VOLUME_INFORMATION
	used  block.Map
}

// Open reads the boot sector and the system files of the volume in partition
// r. It fails when r cannot be read at its start or does not begin with a
// plausible NTFS boot sector. Damage behind that makes Facts.WholeReason.
func Open(r block.Reader) (*Volume, error) {
	b := make([]byte, BootSize)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("read NTFS boot sector at byte 0: %w", err)
	}
	boot, err := ParseBoot(b)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, boot: boot}
	v.facts = Facts{
		Serial:        fmt.Sprintf("%016X", boot.Serial),
		SectorSize:    boot.SectorSize,
		ClusterSize:   boot.ClusterSize,
		TotalClusters: boot.TotalClusters,
		MFTOffset:     boot.MFT * boot.ClusterSize,
		RecordSize:    boot.RecordSize,
	}
	if err := v.load(); err != nil {
		v.facts.WholeReason = err.Error()
		v.facts.FreeClusters = 0
		v.used = block.Whole(r.Size())
		v.facts.UsedBytes = r.Size()
	}
	return v, nil
}

// Facts returns what is known about the volume.
func (v *Volume) Facts() Facts { return v.facts }

// Used is the map of the bytes that matter, from the start of the partition.
// A walk ends with an error when the source cannot be read or when the number
// of used clusters is no longer the one counted by Open.
func (v *Volume) Used() block.Map { return v.used }

// load does all that may show that the volume must be copied whole.
func (v *Volume) load() error {
	if need := v.boot.TotalSectors * v.boot.SectorSize; need > v.r.Size() {
		return fmt.Errorf("the file system says it has %d bytes, the partition has %d", need, v.r.Size())
	}
	m, err := openMFT(v.r, v.boot)
	if err != nil {
		return err
	}
	v.mft = m
	if err := v.info(); err != nil {
		return err
	}
	if err := v.count(); err != nil {
		return err
	}
	v.notices()
	return nil
}

// info reads label, version and state out of the $Volume record.
func (v *Volume) info() error {
	rec, err := v.mft.system(recVolume)
	if err != nil {
		return fmt.Errorf("$Volume: %w", err)
	}
	if s, err := v.mft.open(rec, typeVolumeName, ""); err == nil {
		v.facts.Label = utf16Text(s.resident)
	}
	s, err := v.mft.open(rec, typeVolumeInfo, "")
	if err != nil {
		return fmt.Errorf("$Volume: %w", err)
	}
	if len(s.resident) < 12 {
		return fmt.Errorf("$Volume: volume information of %d bytes", len(s.resident))
	}
	major, minor := s.resident[8], s.resident[9]
	if major < 1 || major > 3 {
		return fmt.Errorf("$Volume: NTFS version %d.%d is not known", major, minor)
	}
	v.facts.Version = fmt.Sprintf("%d.%d", major, minor)
	v.flags = binary.LittleEndian.Uint16(s.resident[10:])
	v.dirty(v.flags)
	return nil
}

// count finds $Bitmap, walks it once and proves that it is one: it covers all
// clusters and holds those of the system files.
func (v *Volume) count() error {
	data, err := v.systemData(recBitmap, "$Bitmap")
	if err != nil {
		return err
	}
	if need := (v.boot.TotalClusters + 7) / 8; data.valid < need {
		return fmt.Errorf("$Bitmap: %d valid bytes for %d clusters", data.valid, v.boot.TotalClusters)
	}
	must, err := v.systemExtents(data)
	if err != nil {
		return err
	}
	var used int64
	first := v.withEnds(data, func(n int64) error { used = n; return nil })
	if v.facts.UsedBytes, err = covered(first, must); err != nil {
		return err
	}
	v.facts.FreeClusters = v.boot.TotalClusters - used
	v.used = v.withEnds(data, func(n int64) error {
		if n != used {
			return fmt.Errorf("$Bitmap: %d clusters are used now, %d were when the volume was opened: the source is changing", n, used)
		}
		return nil
	})
	return nil
}

// withEnds is the map of the bitmap and of what lies outside of it: the sectors
// behind the last whole cluster with the backup boot sector that follows them,
// and the last sector of the partition, which some formatters use for that.
func (v *Volume) withEnds(data *stream, atEnd func(int64) error) block.Map {
	size, sector := v.r.Size(), v.boot.SectorSize
	backup := v.boot.TotalSectors * sector
	tail := v.boot.bytes()
	ends := block.NewExtents(
		block.Extent{Off: 0, Len: sector},
		block.Extent{Off: tail, Len: min(backup+sector, size) - tail},
		block.Extent{Off: size - sector, Len: sector})
	return block.Merge(bitmap{data, v.boot.TotalClusters, v.boot.ClusterSize, atEnd}, ends)
}

// covered adds up the bytes of a map and fails unless it holds all of must.
func covered(m block.Map, must block.Extents) (int64, error) {
	total, missing, err := block.Covered(m, must)
	if err == nil && missing.Len > 0 {
		err = notUsed(missing)
	}
	return total, err
}

func notUsed(e block.Extent) error {
	return fmt.Errorf("$Bitmap: bytes %v belong to a system file and are not marked as used", e)
}

// systemExtents are the bytes of the files without which nothing is an NTFS
// volume; a bitmap that calls them free is not its bitmap.
func (v *Volume) systemExtents(bitmap *stream) (block.Extents, error) {
	all := append(v.mft.data.extents(), bitmap.extents()...)
	for _, f := range []struct {
		number int64
		name   string
	}{{recMirror, "$MFTMirr"}, {recLogFile, "$LogFile"}, {recBoot, "$Boot"}} {
		s, err := v.systemData(f.number, f.name)
		if err != nil {
			return nil, err
		}
		all = append(all, s.extents()...)
	}
	return block.NewExtents(all...), nil
}

// systemData is the contents of a system file: all in clusters, or resident.
func (v *Volume) systemData(number int64, name string) (*stream, error) {
	rec, err := v.mft.system(number)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := v.mft.open(rec, typeData, "")
	if err == nil {
		err = s.plain()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// badClusters counts the clusters of $BadClus:$Bad, a file as large as the
// volume that is all hole but for the bad ones.
func (v *Volume) badClusters() (int64, error) {
	rec, err := v.mft.record(recBadClus)
	if err != nil {
		return 0, err
	}
	s, err := v.mft.open(rec, typeData, "$Bad")
	if errors.Is(err, errNoAttribute) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n int64
	for _, r := range s.runs {
		if r.lcn != sparse {
			n += r.n
		}
	}
	return n, nil
}
