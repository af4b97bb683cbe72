package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ingot/internal/backup"
	"ingot/internal/dest"
	"ingot/internal/dest/folder"
	"ingot/internal/image"
	"ingot/internal/job"
)

// imageFlags are the flags of ingot image.
type imageFlags struct {
	to, partitions, compression, comment, name, blockSize, tempDir, typ string
	layout, format                                                      string
	windows, allSectors, verify, dryRun, mounted, fullIndex             bool
	purgeBefore, conceal, resume, span                                  bool
	retryFor, flushEvery                                                time.Duration
	encrypt, split, changes, onReadError                                string
	fullReadEvery                                                       int
	sector                                                              int64
	keep                                                                retentionFlags
	exclude                                                             []string
}

func newImage(c *console) *cobra.Command {
	var fl imageFlags
	cmd := &cobra.Command{
		Use:   "image SOURCE --to FOLDER",
		Short: "Take an image of a disk, or of some of its partitions",
		Long: `Take an image of the used blocks of a disk, of a disk-image file or virtual disk, or
of a Windows system image (its folder: see 'ingot convert --help'). The
source is never written to. It must hold still: partitions that are mounted
writable are refused, since what is read of them would be of no one moment.

When the folder holds a backup set of exactly the same partitions of the same
disk, the image becomes an incremental of it, which holds what changed since the
newest backup of the set; else it is a full. --type chooses: a diff (differential)
holds what changed since the full of the set. Every used block is read and
compared with the hash the set keeps of it.

--changes mft reads less: on NTFS, only what is newly in use, the file system's
own files, files that are known to be written in place (virtual disks, mailboxes,
databases, registry and others), and files whose MFT records differ from those in
the set in any byte. It is not sound: a change is missed, and the file restored
as it was before, when the MFT does not tell of it. So it is with files mapped
into memory or held open for long, with writes past the file system, and with
drivers that do not keep the MFT as Windows does. Where a miss is likely (the
volume was checked, hibernated, or had by another system) everything is read, and
so it is every tenth time (--full-read-every): what was missed is counted then
and, if it is anything, the volume is read whole from then on.

With a password a new set is encrypted, and every block and file is authenticated:
what somebody without the password changes or exchanges is refused. Not hidden are
sizes, the partition table, and (unless --conceal) the MD5 of every block, by
which one can test for known contents.

With --span the image fills the medium at the folder, asks for the next one, and
so on. Copy the parts of all media into one folder to restore it.

The --keep flags and --min-free are rules of retention, as in 'ingot purge': they
are applied to the sets of this disk in the folder when the image is complete.
With --min-free room is made while it is written, too: it waits, the oldest set
goes, and it goes on.

The image appears in the folder when it is complete and on stable storage. While
the destination is full or away it is tried again for ten minutes (--retry-for).
What a run of more than a minute has written when it ends otherwise stays, with
exit code 7 when it failed: --resume goes on with it. The source is read again
from its beginning and compared: should it have changed, a new image is begun.
Without --resume the next image of the same partitions deletes what was left.

NTFS, FAT, exFAT, ext2/3/4, XFS, Btrfs and swap are imaged without their free
space, and NTFS volumes without the contents of pagefile.sys, swapfile.sys,
hiberfil.sys and shadow copies, which Windows makes anew; everything else is
copied whole. Sectors that cannot be read are tried again, stored as zeros and
listed; the exit code is 6 then.

--exclude leaves out the contents of files: they remain, with their size, and
read as zeros after a restore. A pattern is matched against the path from the
root of each volume: * is any part of a name, ** any number of folders. One that
matches a folder leaves out all files in it. What a file shares with one that is
kept is kept, and so are the few bytes of one that has no cluster of its own.
Nothing is left out of Btrfs, whose checksums would not match then.`,
		Example: `  sudo ingot image /dev/sda --to /mnt/backup --verify
  sudo ingot image /dev/nvme0n1 --to /mnt/backup --windows --comment "before the update"
  sudo ingot image /dev/sda --to /mnt/backup --type full
  sudo ingot image /dev/sda --to /mnt/backup --keep-inc 30 --synthetic-full --min-free=20G
  sudo ingot image /dev/sda --to /mnt/backup --resume
  sudo ingot image /dev/sda --to /mnt/backup --encrypt --password-file /root/backup.password
  ingot image disk.img --to . --partitions 1,3 --compression high --name "{HOST}-{DATE}"
  ingot image disk.img --to . --dry-run
  sudo ingot image /dev/sda --to /mnt/backup --exclude 'Users/*/AppData/Local/Temp/**' --exclude '**/*.iso'`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return c.image(cmd.Context(), a[0], &fl)
		},
	}
	f := cmd.Flags()
	f.StringVar(&fl.to, "to", "", "folder that gets the image file (required)")
	f.StringVar(&fl.onReadError, "on-read-error", backup.OnReadErrorZero, "what to do about sectors that cannot be read: zero (store zeros, list them) or stop")
	f.StringVar(&fl.split, "split", "auto", "largest file: 4G, 650M, none, or auto, which is what the destination can hold (FAT32: 4 GiB - 1)")
	f.StringVar(&fl.encrypt, "encrypt", "", "encrypt a new set: aes-128, aes-192 or aes-256 (which a password alone means too)")
	f.Lookup("encrypt").NoOptDefVal = "aes-256"
	f.BoolVar(&fl.conceal, "conceal", false, "hide the hashes of the contents too; other programs cannot restore the set then")
	f.StringVar(&fl.typ, "type", backup.TypeAuto, "auto, full, diff or inc")
	f.BoolVar(&fl.fullIndex, "full-index", false, "have a diff or inc list all blocks: larger, and read without the indexes before it")
	f.StringVar(&fl.changes, "changes", backup.ChangesAll, "how a diff or inc finds changes: all (reads every used block) or mft (faster, can miss changes: see above)")
	f.IntVar(&fl.fullReadEvery, "full-read-every", 0, "with --changes mft, read everything every so many backups of a set (default 10)")
	f.StringVar(&fl.partitions, "partitions", "", "only these partitions, by number: 1,3 (default all)")
	f.BoolVar(&fl.windows, "windows", false, "only the partitions Windows needs to start")
	f.StringVar(&fl.compression, "compression", image.CompressionMedium, "none, medium or high")
	f.BoolVar(&fl.allSectors, "all-sectors", false, "copy free space too, and the files for paging, hibernation and shadow copies")
	f.StringArrayVar(&fl.exclude, "exclude", nil, "leave out the contents of files that match, such as 'Users/*/AppData/Local/Temp/**' (repeatable)")
	f.BoolVar(&fl.verify, "verify", false, "read the finished image back and check every block")
	f.StringVar(&fl.comment, "comment", "", "a comment to keep in the image")
	f.StringVar(&fl.name, "name", "", "file name up to -00-00.mrimgx, of {IMAGEID} {DATE} {TIME} {HOST} {DISK} (default {IMAGEID})")
	f.StringVar(&fl.blockSize, "block-size", "", "block size, such as 64K or 1M (default: by the volume's size)")
	f.StringVar(&fl.tempDir, "temp-dir", "", "folder where the index of a large disk waits (default: the system's)")
	f.BoolVar(&fl.mounted, "allow-mounted", false, "image partitions that are mounted writable (their files may be inconsistent)")
	fl.keep.add(f)
	f.BoolVar(&fl.purgeBefore, "purge-before", false, "apply the rules of retention before the image instead of after it")
	f.BoolVar(&fl.span, "span", false, "fill removable media one after another: asks for the next one when the one at the folder is full")
	f.BoolVar(&fl.resume, "resume", false, "go on with an image that an earlier run has left unfinished, if there is one")
	f.DurationVar(&fl.retryFor, "retry-for", 10*time.Minute, "how long to try again when the destination cannot be written to")
	f.DurationVar(&fl.flushEvery, "flush-every", time.Minute, "how much of the work may be lost when the run is cut short; every so often what was written is brought to stable storage")
	f.BoolVar(&fl.dryRun, "dry-run", false, "say what would be imaged, and write nothing")
	sectorFlag(cmd, &fl.sector)
	layoutFlag(f, &fl.layout)
	f.StringVar(&fl.format, "format", formatImage, "mrimgx, or windows: have Windows write a WindowsImageBackup (see 'ingot export-windows --help')")
	return cmd
}

// nextMedium asks a person for the next medium.
func (c *console) nextMedium(path string) func(context.Context, error, int64) error {
	return func(ctx context.Context, full error, number int64) error {
		c.painter.end()
		yes, err := c.confirm(ctx, fmt.Sprintf("Part %d of the image needs another medium at %s: %v.\nExchange it.", number+1, path, full))
		if err == nil && !yes {
			err = refuse("there is no medium for part %d of the image: the image is not complete", number+1)
		}
		return err
	}
}

// defaultCipher is what a password means by itself.
const defaultCipher = "aes-256"

// options turns the flags into those of the engine.
func (fl *imageFlags) options() (backup.Options, error) {
	o := backup.Options{
		Windows: fl.windows, Compression: fl.compression, AllSectors: fl.allSectors,
		Comment: fl.comment, TempDir: fl.tempDir, Type: fl.typ, FullIndex: fl.fullIndex,
		Encrypt: fl.encrypt, Conceal: fl.conceal, OnReadError: fl.onReadError, Exclude: fl.exclude,
		Changes: fl.changes, FullReadEvery: fl.fullReadEvery, Resume: fl.resume, Flush: fl.flushEvery,
	}
	if !slices.Contains([]string{backup.ChangesAll, backup.ChangesMFT}, fl.changes) {
		return o, usageError{fmt.Errorf("--changes is %q: choose all or mft", fl.changes)}
	}
	if fl.fullReadEvery < 0 {
		return o, usageError{fmt.Errorf("--full-read-every is %d: give a number of backups", fl.fullReadEvery)}
	}
	var err error
	if o.Partitions, err = numberList(fl.partitions); err != nil {
		return o, usageError{err}
	}
	if !slices.Contains([]string{image.CompressionNone, image.CompressionMedium, image.CompressionHigh}, fl.compression) {
		return o, usageError{fmt.Errorf("--compression is %q: choose none, medium or high", fl.compression)}
	}
	if fl.encrypt != "" && !slices.Contains([]string{"aes-128", "aes-192", defaultCipher}, fl.encrypt) {
		return o, usageError{fmt.Errorf("--encrypt is %q: choose aes-128, aes-192 or aes-256", fl.encrypt)}
	}
	if fl.blockSize != "" {
		n, err := binarySize(fl.blockSize)
		if err != nil {
			return o, usageError{fmt.Errorf("--block-size is %q: %w", fl.blockSize, err)}
		}
		o.BlockSize = n
	}
	return o, nil
}

// splitSize reads --split: 0 is without limit.
func splitSize(text string, store *folder.Store) (int64, error) {
	switch text {
	case "none":
		return 0, nil
	case "auto":
		return store.MaxFile()
	}
	n, err := binarySize(text)
	if err == nil && n < image.MinSplit {
		err = fmt.Errorf("at least %s", size(image.MinSplit))
	}
	if err != nil {
		return 0, usageError{fmt.Errorf("--split is %q: %w", text, err)}
	}
	return n, nil
}

// binarySize reads 64K, 64KiB or 65536; K, M and G are powers of 1024, as disk
// tools have them.
func binarySize(s string) (int64, error) {
	if last := s[len(s)-1]; strings.ContainsRune("kKmMgGtT", rune(last)) {
		s += "iB"
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("not a size such as 64K or 1M")
	}
	return int64(n), nil
}

// numberList reads "1,3".
func numberList(s string) ([]int, error) {
	var out []int
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a partition number; give them as 1,3", f)
		}
		out = append(out, n)
	}
	if s != "" && out == nil {
		return nil, fmt.Errorf("no partition numbers in %q", s)
	}
	return out, nil
}

func (c *console) image(ctx context.Context, source string, fl *imageFlags) error {
	if fl.format != "" && fl.format != formatImage {
		return c.imageWindows(ctx, source, fl)
	}
	j, err := fl.job(c, ctx, source)
	if err != nil {
		return err
	}
	im, err := beginImaging(ctx, j)
	if err != nil {
		return err
	}
	defer im.Close()
	if fl.dryRun {
		return c.printPlan(im.plan, im.target)
	}
	r, err := im.run(ctx, c.log())
	if err != nil {
		return err
	}
	return errors.Join(c.printImage(r), r.unreadable())
}

// job is what the flags ask for.
func (fl *imageFlags) job(c *console, ctx context.Context, source string) (*imageJob, error) {
	opts, err := fl.options()
	if opts.Encrypt == "" && c.passwords.given() {
		opts.Encrypt = defaultCipher
	}
	opts.Access = c.access(ctx, fl.encrypt != "")
	if fl.span {
		opts.NextMedium = c.nextMedium(fl.to)
	}
	rules, rerr := fl.keep.parsed()
	if err = errors.Join(err, rerr); err == nil && fl.to == "" {
		err = usageError{fmt.Errorf("--to is missing: name the folder that gets the image")}
	}
	if err == nil && fl.span && (rules.Limited() || rules.MinFree > 0 || fl.resume || fl.verify) {
		err = usageError{fmt.Errorf("--span goes neither with --resume, --verify nor with rules of retention: what lies on other media is out of their reach")}
	}
	return &imageJob{
		source: source, sector: fl.sector, layout: fl.layout, to: fl.to, name: fl.name, split: fl.split, opts: opts, rules: rules,
		purgeBefore: fl.purgeBefore, verify: fl.verify, mounted: fl.mounted, retryFor: fl.retryFor, lock: !fl.dryRun && !fl.span,
	}, err
}

// tellPlan says what a person should know before a run.
func tellPlan(ctx context.Context, log *job.Log, plan *backup.Plan, target *backup.Target, store dest.Store, opts backup.Options) {
	for _, n := range plan.Notes {
		log.Note("%s", n)
	}
	for _, w := range plan.Warnings {
		log.Warn("%s", w)
	}
	for _, line := range tellTarget(target) {
		log.Note("%s", line)
	}
	if target.Type != image.TypeFull {
		return // nobody knows how much has changed
	}
	need := plan.Bytes
	if opts.Compression != image.CompressionNone {
		need = need * 6 / 10 // what disks of PCs come to
	}
	if free, err := store.Free(ctx); err == nil && free >= 0 && free < need {
		log.Warn("the destination has %s free, the image may need %s", size(free), size(need))
	}
}

// tellTarget says what the image is going to be, and why.
func tellTarget(t *backup.Target) (lines []string) {
	lines = append(lines, t.Reasons...)
	switch {
	case t.Set == nil && len(t.Reasons) > 0:
		lines = append(lines, "a new full begins a new set")
	case t.Set != nil:
		lines = append(lines, fmt.Sprintf("%s of set %s, based on %s", typeName(t.Type), t.Set.ID, t.Based()))
	}
	if t.ByMD5() {
		lines = append(lines, "the set was begun by a program that keeps no strong hashes: MD5 decides which of its blocks changed")
	}
	return lines
}

// typeName is the word for a type of a backup.
func typeName(t string) string {
	switch t {
	case image.TypeDiff:
		return "differential"
	case image.TypeInc:
		return "incremental"
	}
	return t
}

// printPlan is what --dry-run says.
func (c *console) printPlan(plan *backup.Plan, target *backup.Target) error {
	v := viewDisk(plan.Source.Info, plan.Source.Layout)
	for i := range plan.Parts {
		p := &plan.Parts[i]
		pv := viewPart(p.Partition, p.Info)
		pv.Block = p.BlockSize
		v.Partitions = append(v.Partitions, pv)
	}
	v.Warnings = append(append(plan.Warnings, plan.Notes...), tellTarget(target)...)
	if c.json {
		return c.emit(v)
	}
	if err := printDisk(c.out, &v); err != nil {
		return err
	}
	c.note("%s would be read. Nothing was written.", size(plan.Bytes))
	return nil
}

// imageReport is the result of ingot image.
type imageReport struct {
	Status string `json:"status"`
	backup.Result
	Folder   string   `json:"folder"`
	Seconds  float64  `json:"seconds"`
	Verified int64    `json:"verified_blocks,omitempty"`
	Warnings []string `json:"warnings"`
	Notes    []string `json:"notes"` // what is copied whole, what is left out
}

// badShown is how many unreadable ranges are printed.
const badShown = 20

func (c *console) printImage(r *imageReport) error {
	if c.json {
		return c.emit(r)
	}
	if r.Files > 1 {
		c.note("%s, the last of %d files", filepath.Join(r.Folder, r.Name), r.Files)
	} else {
		c.note("%s", filepath.Join(r.Folder, r.Name))
	}
	changed := ""
	if r.Type != image.TypeFull {
		changed = fmt.Sprintf("%s changed, ", size(r.Changed))
	}
	if r.Unread > 0 {
		changed = fmt.Sprintf("%s known to be unchanged, ", size(r.Unread)) + changed
	}
	c.note("%s: %s read, %s%s stored, %.1f s, %.0f MB/s", typeName(r.Type), size(r.Read), changed, size(r.Written), r.Seconds, float64(r.Read)/1e6/max(r.Seconds, 0.001))
	if r.Verified > 0 {
		c.note("verified: all %d blocks are good", r.Verified)
	}
	for i, b := range r.Bad {
		if i == badShown {
			c.note("and %d more ranges (--json lists them)", len(r.Bad)-i)
			break
		}
		c.note("unreadable: partition %d, bytes %d to %d: %s", b.Partition, b.Off, b.Off+b.Len-1, b.Error)
	}
	if r.Resumed > 0 {
		c.note("%s of it were there from the run before", size(r.Resumed))
	}
	if n := len(r.Warnings); n > 0 {
		c.note("done with %d warnings (see above)", n)
	}
	return nil
}

// verifyFile verifies an image that was just written.
func verifyFile(ctx context.Context, store dest.Store, name string, access *image.Access, log *job.Log) (*image.VerifyResult, error) {
	ch, err := image.Open(ctx, store, name, access)
	if err != nil {
		return nil, err
	}
	res, err := verifyGood(ctx, ch, log)
	return res, errors.Join(err, ch.Close())
}
