package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ingot/internal/block"
	"ingot/internal/definitions"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/plan"
)

// newDefinitionFlags are the flags of ingot definition new.
type newDefinitionFlags struct {
	from, to, exclude                                 []string
	partitions, template, at, zone, fileName, comment string
	compression, encrypt, split, fromImage            string
	rotate, verify, battery, detach, disabled, print  bool
	mounted, allowMounted                             bool
	alertAfter                                        int
	keep                                              retentionFlags
}

func newDefinitionNew(c *console, s *definitions.Store) *cobra.Command {
	var fl newDefinitionFlags
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a definition",
		Long: `Make a definition from flags, and from a template for when backups are made and how
long they are kept:

` + templateHelp(plan.Templates()) + `
Templates of your own are files in the folder "templates" beside that of the
definitions. --at changes the time of day, the --keep flags the retention.

Sources are found again by the identity of the disk, not by its number or letter:
--from takes a disk that is there now, or 'windows' (what Windows needs to start),
or 'all'.

--from-image takes over the definition that an image was made with, by this
program or by Reflect X, as far as it goes, and says what was not taken. The
other flags add to it.

A password is never a part of a definition: --password-file and --password-command
are kept as references. The rest (hooks, mail, conditions) is added with
'ingot definition edit'.`,
		Example: `  sudo ingot definition new office --from /dev/sda --to /mnt/usb --template gfs
  sudo ingot definition new laptop --from all --to /mnt/a --to /mnt/b --rotate --template forever --at 12:30
  sudo ingot definition new safe --from /dev/sda --to /mnt/usb --template incremental --password-file /etc/ingot/safe.password
  sudo ingot definition new old-pc --from-image 'D:\backup\2394E9AA621DDC3A-00-00.mrimgx' --template gfs
  ingot definition new office --from windows --to /mnt/usb --print`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.newDefinition(cmd, s, a[0], &fl) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&fl.from, "from", nil, "disk or disk-image file, windows, or all (repeatable)")
	f.StringVar(&fl.partitions, "partitions", "", "only these partitions of the one disk, by number: 1,3")
	f.StringArrayVar(&fl.to, "to", nil, "folder for the backups; others are taken when the first is away or full (repeatable)")
	f.BoolVar(&fl.rotate, "rotate", false, "the destinations are exchanged for each other: take the one that is there")
	f.BoolVar(&fl.mounted, "must-be-mounted", false, "destinations must not lie on the system's own volume")
	f.StringVar(&fl.template, "template", "", "when and how long: "+strings.Join(templateNames(plan.Templates()), ", ")+", or one of your own (default: no schedule)")
	f.StringVar(&fl.at, "at", "", "time of the day for the schedules: 02:30")
	f.StringVar(&fl.zone, "time-zone", "", "zone of the clock for the schedules, such as Europe/Berlin (default: the machine's)")
	f.StringVar(&fl.fromImage, "from-image", "", "take over the definition in an image")
	f.StringVar(&fl.fileName, "name", "", "name of the image files, of {IMAGEID} {DATE} {TIME} {HOST} {DISK} (default {IMAGEID})")
	f.StringVar(&fl.comment, "comment", "", "a comment to keep in the images")
	f.StringVar(&fl.compression, "compression", "", "none, medium or high (default medium)")
	f.StringVar(&fl.encrypt, "encrypt", "", "aes-128, aes-192 or aes-256, with a password (default aes-256)")
	f.StringVar(&fl.split, "split", "", "largest file: 4G, none, or auto")
	f.StringArrayVar(&fl.exclude, "exclude", nil, "leave out the contents of files that match (repeatable)")
	f.BoolVar(&fl.verify, "verify", false, "verify each image")
	f.BoolVar(&fl.allowMounted, "allow-mounted", false, "image partitions that are mounted writable")
	f.BoolVar(&fl.battery, "skip-on-battery", false, "do not begin on battery")
	f.BoolVar(&fl.detach, "detach", false, "detach the drive with the destination after each run")
	f.BoolVar(&fl.disabled, "disabled", false, "have no schedule start it yet")
	f.IntVar(&fl.alertAfter, "alert-after-days", 0, "raise the alarm after so many days without a good backup")
	f.BoolVar(&fl.print, "print", false, "print the definition instead of saving it")
	fl.keep.add(f)
	return cmd
}

func templateHelp(all []plan.Template) string {
	var b strings.Builder
	for _, t := range all {
		fmt.Fprintf(&b, "  %-13s %s\n", t.Name, t.Title)
	}
	return b.String()
}

func templateNames(all []plan.Template) (names []string) {
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names
}

func (c *console) newDefinition(cmd *cobra.Command, s *definitions.Store, name string, fl *newDefinitionFlags) error {
	f := &plan.File{}
	d := &f.Definition
	var notTaken []string
	if fl.fromImage != "" {
		var err error
		if notTaken, err = c.definitionFromImage(cmd.Context(), fl.fromImage, d); err != nil {
			return err
		}
	}
	d.Name = name
	if err := errors.Join(fl.where(cmd.Context(), d), fl.when(s, d), fl.how(d), fl.retain(cmd.Flags(), d), c.passwordRef(d)); err != nil {
		return err
	}
	text, err := f.Encode()
	if err != nil {
		return usageError{fmt.Errorf("the definition would not be valid: %w", err)}
	}
	for _, n := range notTaken {
		fmt.Fprintln(c.errs, "not taken:", n)
	}
	if fl.print {
		_, err := c.out.Write(text)
		return err
	}
	if err := definitions.CheckNamed(d); err != nil {
		return err
	}
	path, err := s.Create(f)
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(map[string]any{"name": name, "path": path, "not_taken": append([]string{}, notTaken...)})
	}
	c.note("%s is saved; 'ingot plan preview %s' shows what it will do", path, name)
	return nil
}

// where sets sources and destinations.
func (fl *newDefinitionFlags) where(ctx context.Context, d *plan.Definition) error {
	if len(fl.from) > 0 {
		d.Sources = nil
	}
	for _, from := range fl.from {
		src, err := sourceNow(ctx, from, fl.partitions)
		if err != nil {
			return err
		}
		d.Sources = append(d.Sources, src)
	}
	if fl.partitions != "" && len(fl.from) != 1 {
		return usageError{errors.New("--partitions goes with one --from")}
	}
	if len(fl.to) > 0 {
		d.Destinations = nil
	}
	for _, to := range fl.to {
		if !plan.Absolute(to) {
			abs, err := filepath.Abs(to)
			if err != nil {
				return err
			}
			to = abs
		}
		d.Destinations = append(d.Destinations, plan.Destination{Path: to, Mounted: fl.mounted})
	}
	switch {
	case len(d.Sources) == 0:
		return usageError{errors.New("--from is missing: name a disk, windows, or all")}
	case len(d.Destinations) == 0:
		return usageError{errors.New("--to is missing: name the folder that gets the backups")}
	}
	d.Rotate = fl.rotate
	return nil
}

// sourceNow is how a disk that is there now is found again.
func sourceNow(ctx context.Context, from, partitions string) (plan.Source, error) {
	switch from {
	case "windows":
		return plan.Source{Kind: plan.SourceWindows}, nil
	case "all":
		return plan.Source{Kind: plan.SourceAll}, nil
	}
	src, err := openSource(ctx, from, sourceFlags{})
	if err != nil {
		return plan.Source{}, err
	}
	defer src.Close()
	s := plan.Source{Disk: plan.DiskID{
		ID: src.Layout.ID, Serial: src.Info.Serial, Model: strings.TrimSpace(src.Info.Vendor + " " + src.Info.Model),
	}}
	// A file is no disk of the machine, and what has neither table nor serial
	// number has only its path.
	if src.Info.Bus == "file" || s.Disk.ID+s.Disk.Serial == "" {
		if s.Disk.Path, err = filepath.Abs(from); err != nil {
			return s, err
		}
	}
	wanted, err := numberList(partitions)
	if err != nil {
		return s, usageError{err}
	}
	for _, n := range wanted {
		i := slices.IndexFunc(src.Layout.Partitions, func(p disk.Partition) bool { return p.Number == n })
		if i < 0 {
			return s, usageError{fmt.Errorf("%s has no partition %d", from, n)}
		}
		s.Partitions = append(s.Partitions, partitionID(src.Layout.Partitions[i], labelOf(src.Reader, src.Layout.Partitions[i])))
	}
	return s, nil
}

// partitionID is how a partition is found again.
func partitionID(p disk.Partition, label string) plan.PartitionID {
	return plan.PartitionID{GUID: p.GUID, Off: p.Off, Number: p.Number, Label: label}
}

// labelOf is the label of the file system, for messages.
func labelOf(f block.Reader, p disk.Partition) string {
	r, err := blockSection(f, p)
	if err != nil {
		return p.Name
	}
	v, err := filesys.Open(r)
	if err != nil || v.Info().Label == "" {
		return plainText(p.Name)
	}
	return plainText(v.Info().Label)
}

// plainText leaves out what XML and terminals do not take.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 || r == 0xFFFD || r >= 0xFFFE && r <= 0xFFFF {
			return -1
		}
		return r
	}, s)
}

// when sets the schedules.
func (fl *newDefinitionFlags) when(s *definitions.Store, d *plan.Definition) error {
	d.TimeZone = fl.zone
	if fl.template != "" {
		all, err := s.Templates()
		i := slices.IndexFunc(all, func(t plan.Template) bool { return t.Name == fl.template })
		if i < 0 {
			return errors.Join(usageError{fmt.Errorf("--template is %q: choose %s", fl.template, strings.Join(templateNames(all), ", "))}, err)
		}
		kept := d.Retention // that of an image, if it has one
		all[i].Apply(d)
		if fl.fromImage != "" && kept != (plan.Retention{}) {
			d.Retention = kept
		}
	}
	if fl.at == "" {
		return nil
	}
	at, err := plan.ParseClock(fl.at)
	if err != nil {
		return usageError{fmt.Errorf("--at: %w", err)}
	}
	for i := range d.Schedules {
		if k := d.Schedules[i].Kind; k == plan.Daily || k == plan.Monthly || k == plan.Once {
			d.Schedules[i].At = at
		}
	}
	return nil
}

// how sets the options.
func (fl *newDefinitionFlags) how(d *plan.Definition) error {
	o := &d.Options
	for _, v := range []struct {
		to   *string
		from string
	}{{&o.Compression, fl.compression}, {&o.Encrypt, fl.encrypt}, {&d.Comment, fl.comment}, {&d.FileName, fl.fileName}} {
		if v.from != "" {
			*v.to = v.from
		}
	}
	switch fl.split {
	case "", "auto":
	case "none":
		o.Split = plan.NoSplit
	default:
		n, err := binarySize(fl.split)
		if err != nil {
			return usageError{fmt.Errorf("--split is %q: %w", fl.split, err)}
		}
		o.Split = n
	}
	o.Exclude = append(o.Exclude, fl.exclude...)
	if err := filesys.CheckPatterns(o.Exclude); err != nil {
		return usageError{err}
	}
	o.Verify = o.Verify || fl.verify
	o.AllowMounted = fl.allowMounted
	d.Disabled, d.After.Detach, d.Notify.AlertAfter = fl.disabled, fl.detach, fl.alertAfter
	d.Conditions.SkipOnBattery = fl.battery
	return nil
}

// retain sets the rules of retention, when any of their flags is given.
func (fl *newDefinitionFlags) retain(flags *pflag.FlagSet, d *plan.Definition) error {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&retentionFlags{}).add(own)
	given := false
	own.VisitAll(func(f *pflag.Flag) { given = given || flags.Changed(f.Name) })
	if !given {
		return nil
	}
	rules, err := fl.keep.parsed()
	if err == nil {
		rules.PurgeBefore = d.Retention.PurgeBefore
		d.Retention = rules
	}
	return err
}

// passwordRef keeps where the password is.
func (c *console) passwordRef(d *plan.Definition) error {
	p := &c.passwords
	switch {
	case p.stdin:
		return usageError{errors.New("--password-stdin: a definition keeps where a password is, and not the password")}
	case p.file != "" && p.command != "":
		return usageError{errors.New("--password-file and --password-command: choose one")}
	case p.file != "":
		abs, err := filepath.Abs(p.file)
		d.Options.Password = plan.PasswordRef{File: abs}
		return err
	case p.command != "" && runtime.GOOS == "windows":
		d.Options.Password = plan.PasswordRef{Command: []string{`C:\Windows\System32\cmd.exe`, "/C", p.command}}
	case p.command != "":
		d.Options.Password = plan.PasswordRef{Command: []string{"/bin/sh", "-c", p.command}}
	}
	return nil
}

// definitionFromImage takes over the definition that an image embeds, and says
// what was not taken. The image knows where its partitions lie, by which they
// are found again.
func (c *console) definitionFromImage(ctx context.Context, ref string, d *plan.Definition) ([]string, error) {
	// The password flags are for the new definition as well as for the image.
	p, err := c.openPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	raw := p.Doc.Auxiliary.Definition
	if len(raw) == 0 {
		return nil, fmt.Errorf("%s holds no definition", ref)
	}
	taken, notTaken, err := plan.FromVendor(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	*d = *taken
	for i := range d.Sources {
		for _, cd := range p.Disks() {
			if strings.EqualFold(cd.Layout.ID, d.Sources[i].Disk.ID) {
				d.Sources[i].Disk.Model = plainText(strings.TrimSpace(cd.Doc.Descriptor.Description))
				d.Sources[i].Disk.Serial = plainText(strings.TrimSpace(cd.Doc.Descriptor.Serial))
				locatePartitions(&d.Sources[i], cd)
			}
		}
	}
	return notTaken, nil
}
