package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/image"
	"ingot/internal/plan"
)

// ErrOptions is wrapped by the error for options that contradict each other or
// do not fit the source.
var ErrOptions = errors.New("these options do not go together with each other or the source")

// Source is a disk that holds still while it is imaged.
type Source struct {
	Info   disk.Info
	Reader block.Reader
	Layout *disk.Layout
	// Changed says whether the source may have changed since it was opened: it
	// grew, was written to, was mounted. It is asked before an image is
	// finished; nil means that the source cannot change.
	Changed func() error
	// Snapshot says that the source is of one moment of a running system,
	// whose file systems were told.
	Snapshot bool
	// Live says that the source may be written to while it is imaged.
	Live bool
}

// Options say what to image and how. The zero value images every partition
// with medium compression and leaves free space out.
type Options struct {
	// Partitions are the numbers of those to image; none means all.
	Partitions []int
	// Windows images those that Windows needs to start, and no others.
	Windows bool
	// Type is full, diff, inc, or TypeAuto, which "" is too.
	Type string
	// FullIndex has a differential or incremental list every block, and not
	// only those that changed.
	FullIndex bool
	// Changes is how a differential or incremental finds what changed: by
	// reading all used blocks (ChangesAll, which "" is too) or, on NTFS, only
	// those of files whose MFT records changed (ChangesMFT).
	Changes string
	// FullReadEvery is the number of points of a set of which ChangesMFT has
	// one made by reading all blocks, and counts what it would have missed; 0
	// is 10.
	FullReadEvery int
	// Compression is a level of the layout; "" is medium, which costs little
	// more time than none and halves the size.
	Compression string
	// OnReadError says what is done about what cannot be read: OnReadErrorZero,
	// which "" is too, or OnReadErrorStop.
	OnReadError string
	// Split is how large an image file may become in bytes; 0 is without limit.
	Split int64
	// Access has the password of encrypted sets; nil continues none.
	Access *image.Access
	// Encrypt says how a new set is encrypted: aes-128, aes-192, aes-256; "" not
	// at all.
	Encrypt string
	// Conceal has an encrypted image keep keyed hashes in the place of MD5s, which
	// tell who knows a content whether it is there. Ingot alone restores it then.
	Conceal bool
	// AllSectors images free space too, and the files that are left out else:
	// for paging, hibernation and shadow copies (forensics, undeleting).
	AllSectors bool
	// Exclude are patterns of files whose contents are stored as zeros; see
	// filesys.Exclude. They do not go together with AllSectors.
	Exclude []string
	// BlockSize in bytes, a power of two; 0 chooses by the volume's size.
	BlockSize int64
	// Comment is kept in the image.
	Comment string
	// Definition is the one that is run, which the image embeds; nil embeds what
	// these options say.
	Definition *plan.VendorDefinition
	// TempDir is where the index waits while a large disk is imaged; "" is
	// the system's folder for temporary files.
	TempDir string
	// NextMedium is asked for the next medium when that at the destination is
	// full; see image.Options. Such a backup cannot be gone on with.
	NextMedium func(ctx context.Context, full error, number int64) error
	// Resume goes on with an image of the same kind that a run has left in the
	// store, where the source is still what it holds.
	Resume bool
	// Flush is how much of a run may be lost when it is cut short; 0 is a minute.
	Flush time.Duration
	// Workers is how many windows are under way at once; 0 chooses by cores and
	// memory.
	Workers int
}

// Plan is what an image of a source will hold.
type Plan struct {
	Source Source
	Parts  []Part
	// Bytes is how much will be read.
	Bytes int64
	// Bootable says that the parts are enough for Windows to start.
	Bootable bool
	// Notes are worth knowing, Warnings are worth acting upon.
	Notes, Warnings []string

	first    []string // warnings that come before the others
	opts     Options
	leftOut  int  // files that Options.Exclude matches
	searched bool // by Options.Exclude, in one part at least
}

// Part is one partition of the plan.
type Part struct {
	disk.Partition
	Volume    filesys.Volume
	Info      filesys.Info
	BlockSize int64
	reader    block.Reader
	found     filesys.Volume // before anything was left out or added
}

// Name is how messages call the partition.
func (p *Part) Name() string {
	name := fmt.Sprintf("partition %d (%s", p.Number, p.Info.Type)
	if p.Info.Label != "" {
		name += fmt.Sprintf(" %q", p.Info.Label)
	}
	return name + ")"
}

// Prepare looks at a source and says what an image of it will hold. It reads
// the file systems' maps and changes nothing.
func Prepare(src Source, opts Options) (*Plan, error) {
	if opts.Compression == "" {
		opts.Compression = "medium"
	}
	if err := errors.Join(checkBlockSize(opts.BlockSize), CheckType(opts.Type), checkOnReadError(opts.OnReadError), checkChanges(opts)); err != nil {
		return nil, err
	}
	if err := checkExclude(opts); err != nil {
		return nil, err
	}
	p := &Plan{Source: src, opts: opts}
	all, err := openParts(src, opts)
	if err != nil {
		return nil, err
	}
	unsettle(all)
	boot := windowsSet(src.Layout, all)
	p.Parts, err = choose(src.Layout, all, boot, opts)
	if err != nil {
		return nil, err
	}
	p.Bootable = boot.complete() && boot.within(p.Parts)
	if opts.Windows {
		p.Warnings = append(p.Warnings, boot.warnings...)
	}
	p.Warnings = append(p.Warnings, src.Layout.Warnings...)
	for i := range p.Parts {
		p.finish(&p.Parts[i])
	}
	p.excluded()
	p.Warnings = slices.Concat(p.first, p.Warnings)
	return p, nil
}

// openParts looks into the partitions of the source that are asked for, or into
// all to find those that are.
func openParts(src Source, opts Options) ([]Part, error) {
	var parts []Part
	for _, dp := range src.Layout.Partitions {
		if len(opts.Partitions) > 0 && !opts.Windows && !slices.Contains(opts.Partitions, dp.Number) {
			continue
		}
		r, err := block.Section(src.Reader, dp.Off, dp.Len)
		if err != nil {
			return nil, fmt.Errorf("open partition %d: %w", dp.Number, err)
		}
		v, err := filesys.Open(r)
		if err != nil {
			return nil, fmt.Errorf("open partition %d: %w", dp.Number, err)
		}
		parts = append(parts, Part{Partition: dp, Volume: v, Info: v.Info(), reader: r, found: v})
	}
	if len(src.Layout.Partitions) == 0 {
		return nil, errors.New("the disk has no partitions")
	}
	return parts, nil
}

// unsettle notes on all parts that a hibernated system, when there is one, will
// go on with them as it has them in its memory. That Linux has a Btrfs mounted
// shows in no other place.
func unsettle(all []Part) {
	if !slices.ContainsFunc(all, func(p Part) bool { return p.Info.Suspended }) {
		return
	}
	for i := range all {
		if all[i].Info.Unsettled == "" {
			all[i].Info.Unsettled = "a hibernated system is stored in a swap area of the disk"
		}
	}
}

// finish settles how a chosen partition is imaged.
func (p *Plan) finish(part *Part) {
	p.tell(part)
	switch {
	case p.opts.AllSectors:
		part.Volume = filesys.Whole(part.Volume)
		part.Info = part.Volume.Info()
	case part.Info.WholeReason != "":
		p.copyWhole(part)
	case part.Info.Unsettled != "" && !p.Source.Snapshot:
		// Windows will go on from memory or journal, and expects data where
		// the disk says that there is none.
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s is copied whole, with its free space: %s", part.Name(), part.Info.Unsettled))
		part.Volume = filesys.Whole(part.Volume)
		part.Info = part.Volume.Info()
	default:
		p.leaveUnneeded(part)
	}
	part.BlockSize = p.opts.BlockSize
	if part.BlockSize == 0 {
		part.BlockSize = DefaultBlockSize(part.Len)
	}
	p.exclude(part)
	p.Bytes += part.Info.UsedBytes - part.Info.ZeroedBytes
}

// mapped are the file systems whose used maps this version reads: one of them
// that is copied whole is out of order.
var mapped = []string{"NTFS", "FAT12", "FAT16", "FAT32", "exFAT", "ext", "ext2", "ext3", "ext4", "XFS", "Btrfs", "swap"}

// copyWhole says that a partition is copied whole, and why. The parts of a
// file system that is not trusted are not told apart either.
func (p *Plan) copyWhole(part *Part) {
	text := fmt.Sprintf("%s is copied whole: %s", part.Name(), part.Info.WholeReason)
	part.Info.DataStart, part.Info.FATOffset = 0, 0
	if slices.Contains(mapped, part.Info.Type) {
		p.Warnings = append(p.Warnings, text)
		return
	}
	p.Notes = append(p.Notes, text)
}

// choose picks the partitions that the options ask for, in the order of the
// disk.
func choose(l *disk.Layout, all []Part, boot *bootSet, opts Options) ([]Part, error) {
	switch {
	case opts.Windows && len(opts.Partitions) > 0:
		return nil, fmt.Errorf("%w: choose either single partitions or the Windows set, not both", ErrOptions)
	case opts.Windows:
		if boot.windows == nil {
			return nil, fmt.Errorf("no partition with Windows was found (looked for \\Windows\\System32\\config\\SYSTEM)")
		}
		return boot.parts(), nil
	case len(opts.Partitions) == 0:
		return all, nil
	}
	for _, n := range opts.Partitions {
		if !slices.ContainsFunc(all, func(p Part) bool { return p.Number == n }) {
			return nil, fmt.Errorf("%w: there is no partition %d (there are %s)", ErrOptions, n, numbers(l))
		}
	}
	return all, nil
}

func numbers(l *disk.Layout) string {
	var out []string
	for _, p := range l.Partitions {
		out = append(out, fmt.Sprint(p.Number))
	}
	return strings.Join(out, ", ")
}

const (
	minBlockSize = 64 << 10
	maxBlockSize = 4 << 20
	// maxElements is how long an index may become before blocks grow.
	maxElements = 4 << 20
)

// DefaultBlockSize is the block size for a partition of size bytes: 64 KiB up
// to 256 GiB, above that the smallest power of two that keeps its index at 4 Mi
// elements, and never more than 4 MiB.
func DefaultBlockSize(size int64) int64 {
	b := int64(minBlockSize)
	for b < maxBlockSize && size > b*maxElements {
		b *= 2
	}
	return b
}

func checkBlockSize(n int64) error {
	if n != 0 && (n < 4096 || n > maxBlockSize || n&(n-1) != 0) {
		return fmt.Errorf("%w: block size %d: choose a power of two from 4096 to %d", ErrOptions, n, maxBlockSize)
	}
	return nil
}
