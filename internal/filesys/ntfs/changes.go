package ntfs

import (
	"context"
	"errors"
	"fmt"

	"ingot/internal/block"
)

// StateOptions says of two states of a volume what the volumes themselves do not
// tell.
type StateOptions struct {
	// Granule is the unit, in bytes, in which changes are told; 0 is a cluster.
	Granule int64
	// Snapshot and WasSnapshot say that the present and the earlier state are of
	// a moment at which the file system had written all it held in memory: its
	// journal is in use then, and that means nothing.
	Snapshot, WasSnapshot bool
	// Also is read besides: at least what is in use in one of the states only.
	Also block.Map
}

// Changes compares a volume with an earlier state of it by their MFT records and
// change journals, and gives what has to be read to have all that changed since:
// whole granules of the partition. What is in use in both states and in none of
// them is as it was, as far as the file system's driver has told of its writes
// in the MFT.
//
// That is not always so; docs/changes-mft.md says when. Where it is known not to
// be, or where something cannot be read or understood, reason says why, and
// there is no map. An error is that of ctx.
func Changes(ctx context.Context, now, was *Volume, opts StateOptions) (must block.Map, reason string, err error) {
	s := &survey{ctx: ctx, now: now, was: was}
	if err := sameVolume(now, was, opts); err != nil {
		return nil, err.Error(), nil
	}
	s.must = newMarks(now.r.Size(), max(opts.Granule, now.boot.ClusterSize))
	err = s.run()
	if err == nil {
		err = s.must.addMap(opts.Also)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		return nil, err.Error(), nil
	}
	return s.must, "", nil
}

// sameVolume says in an error why what the MFT of a volume tells cannot be
// compared with that of an earlier state.
func sameVolume(now, was *Volume, opts StateOptions) error {
	if err := now.settled(opts.Snapshot); err != nil {
		return fmt.Errorf("the volume is not in order: %w", err)
	}
	if err := was.settled(opts.WasSnapshot); err != nil {
		return fmt.Errorf("the volume was not in order when the backup was made that this one is compared with: %w", err)
	}
	a, b := now.boot, was.boot
	switch {
	case a.Serial != b.Serial:
		return fmt.Errorf("its serial number was %016X and is %016X: it was formatted anew", b.Serial, a.Serial)
	case a.ClusterSize != b.ClusterSize:
		return fmt.Errorf("its clusters had %d bytes and have %d", b.ClusterSize, a.ClusterSize)
	case a.TotalClusters != b.TotalClusters || now.r.Size() != was.r.Size():
		return fmt.Errorf("it had %d clusters and has %d", b.TotalClusters, a.TotalClusters)
	case a != b:
		return fmt.Errorf("its boot sector was changed (%+v, %+v)", b, a)
	case now.facts.Version != was.facts.Version:
		return fmt.Errorf("its NTFS version was %s and is %s: another driver has had it", was.facts.Version, now.facts.Version)
	case now.mft.count() < was.mft.count():
		return fmt.Errorf("its $MFT had %d records and has %d: no driver makes it smaller", was.mft.count(), now.mft.count())
	}
	return laterLog(now, was)
}

// Flags of $VOLUME_INFORMATION that say that the MFT may not tell all: a check
// or change of the volume by something that is not its driver is due, under
// way, or done (ntfs-3g layout.h, VOLUME_FLAGS).
const (
	flagUpgrade       = 0x0004
	flagDeletesUSN    = 0x0010
	flagChkdskChanged = 0x8000

	flagsUnsound = flagDirty | flagResizing | flagUpgrade | flagDeletesUSN | flagChkdsk | flagChkdskChanged
)

// settled fails when what the MFT of a volume says is not all that will be
// true of it once its system has it again.
func (v *Volume) settled(snapshot bool) error {
	switch {
	case v.facts.WholeReason != "":
		return errors.New(v.facts.WholeReason)
	case v.flags&flagsUnsound != 0:
		return fmt.Errorf("it is marked dirty, or chkdsk or a change of its size or version was at work (volume flags %#x)", v.flags)
	case v.facts.Unsettled != "" && !snapshot:
		return errors.New(v.facts.Unsettled)
	case len(v.mft.copies) > 0:
		return fmt.Errorf("a system record is damaged (%s)", v.mft.copies[0])
	}
	return nil
}

// laterLog fails when the journal of a volume is at an earlier place than it
// was: another system has made it anew.
func laterLog(now, was *Volume) error {
	a, err := now.restart()
	if err != nil {
		return fmt.Errorf("its journal cannot be read: %w", err)
	}
	b, err := was.restart()
	if err != nil {
		return fmt.Errorf("its journal cannot be read in the backup: %w", err)
	}
	if a.lsn < b.lsn {
		return fmt.Errorf("its journal was at %d and is at %d: another system has had it", b.lsn, a.lsn)
	}
	return nil
}
