package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ingot/internal/attach"
	"ingot/internal/dest/folder"
	"ingot/internal/vdisk"
	"ingot/internal/vdisk/vhdx"
)

// What the verbs take here.
const (
	mountArgs = 1
	mountUse  = "mount IMAGE[@TIME]"
	umountUse = "umount DISK|IMAGE"
)

// spareRoom is what the system keeps of the folder for temporary files, in bytes.
const spareRoom = 256 << 20

// systemFlags are the flags of ingot mount that are for one system only.
type systemFlags struct{ disk int }

func (s *systemFlags) add(f *pflag.FlagSet) {
	f.IntVar(&s.disk, "disk", 1, "which disk of an image becomes one, counted from 1")
}

// checkAttach refuses what is only for folders, or cannot end well, before
// anything is copied.
func (fl *mountFlags) checkAttach() error {
	if fl.save || fl.allowOther || fl.background || fl.child {
		return usageError{errors.New("--save, --allow-other and --background are not there on Windows: the disk is a copy, and stays when the command ends")}
	}
	if err := attach.Supported(); err != nil {
		return refuse("%w", err)
	}
	if !attach.Elevated() {
		return refuse("only administrators may attach a disk: start the program as administrator, or look into the image with ingot ls and ingot cp")
	}
	return nil
}

// mount copies a disk of the image to a temporary file and has Windows take that
// for a disk.
func (c *console) mount(ctx context.Context, a []string, fl *mountFlags) error {
	if err := fl.checkAttach(); err != nil {
		return err
	}
	records, err := attach.Default()
	if err != nil {
		return err
	}
	cf := &convertFlags{disk: fl.disk, noSpace: true, source: sourceFlags{tempDir: fl.tempDir}}
	o, err := c.openOrigin(ctx, a[0], cf, false)
	if err != nil {
		return err
	}
	defer o.close()
	base := cmp.Or(fl.tempDir, os.TempDir())
	if err := roomToMount(ctx, o, base); err != nil {
		return err
	}
	r := &attach.Record{Image: a[0], Write: fl.write, Began: time.Now().UTC()}
	dir, err := attach.MakeFolder(base)
	if err != nil {
		return err
	}
	path, _ := cutTime(a[0])
	r.File = filepath.Join(dir, attach.FileName(path))
	if err := records.Save(r); err != nil {
		return errors.Join(err, attach.Discard(r))
	}
	if err := c.attachCopy(ctx, o, cf, r, records); err != nil {
		return errors.Join(err, drop(r, records))
	}
	return c.tellAttached(r)
}

// roomToMount refuses when the copy has no room in the folder.
func roomToMount(ctx context.Context, o *origin, dir string) error {
	store, err := folder.New(dir)
	if err != nil {
		return err
	}
	free, err := store.Free(ctx)
	if err != nil {
		return err
	}
	whole := (o.reader.Size() + o.sector - 1) / o.sector * o.sector
	need, err := vhdx.Room(whole, o.used, vhdx.Options{Sector: o.sector})
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	if free >= 0 && free < need+spareRoom {
		return refuse("%s has %s free, the copy may need %s and %s more are to stay free: choose another folder with --temp-dir", dir, size(free), size(need), size(spareRoom))
	}
	return nil
}

// attachCopy makes the file and the disk. The caller drops both when it fails.
func (c *console) attachCopy(ctx context.Context, o *origin, cf *convertFlags, r *attach.Record, records attach.Records) error {
	k := &conversion{origin: o, to: r.File, fl: cf}
	if err := k.prepare(ctx, vdisk.VHDX); err != nil {
		return err
	}
	log := c.log()
	o.tell(log)
	if err := k.run(ctx, log); err != nil {
		return fmt.Errorf("copy %s to %s: %w", r.Image, r.File, err)
	}
	var err error
	if r.Disk, err = attach.Attach(r.File, r.Write); err != nil {
		return err
	}
	return records.Save(r)
}

// drop ends a mount: the disk, the file and the record, in this order, each only
// when the one before is gone.
func drop(r *attach.Record, records attach.Records) error {
	if r.Disk != "" {
		if err := attach.Detach(r.File, r.Write); err != nil {
			return err
		}
	}
	if err := attach.Discard(r); err != nil {
		return fmt.Errorf("%w (say 'ingot umount %s' once more later)", err, r.File)
	}
	return records.Forget(r)
}

// umount detaches what name means.
func (c *console) umount(name string, _ bool) error {
	records, err := attach.Default()
	if err != nil {
		return err
	}
	all, err := records.List()
	if err != nil {
		fmt.Fprintf(c.errs, "Warning: %v\n", err)
	}
	switch found := attach.Find(all, name); len(found) {
	case 0:
		return refuse("%s is not mounted by this user%s", name, listed(all))
	case 1:
		found[0].Disk = cmp.Or(found[0].Disk, "?") // it may have been attached and not recorded
		return drop(&found[0], records)
	default:
		return refuse("%s is mounted %d times, name the file%s", name, len(found), listed(found))
	}
}

// listed are the mounts, for a message.
func listed(all []attach.Record) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "\n  %s  %s  %s", cmp.Or(r.Disk, "(not attached)"), r.Image, r.File)
	}
	return b.String()
}

// attachReport is what ingot mount tells when the disk is there.
type attachReport struct {
	Status string `json:"status"` // mounted
	Image  string `json:"image"`
	Disk   string `json:"disk"`
	File   string `json:"file"`
	Write  bool   `json:"write"`
}

func (c *console) tellAttached(r *attach.Record) error {
	if c.json {
		return c.emit(&attachReport{Status: "mounted", Image: r.Image, Disk: r.Disk, File: r.File, Write: r.Write})
	}
	how := "read-only"
	if r.Write {
		how = "what is written to it is dropped at the end"
	}
	c.note("%s is the disk %s (%s)", r.Image, r.Disk, how)
	c.note("Its copy is %s.", r.File)
	c.note("End it with 'ingot umount %s'.", r.Disk)
	return nil
}
