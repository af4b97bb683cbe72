package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/plan"
)

// definitionsFlag is where the definitions lie.
func definitionsFlag(cmd *cobra.Command, s *definitions.Store) {
	cmd.PersistentFlags().StringVar(&s.Dir, "definitions", "", "folder of the definitions (default "+definitions.DefaultFolder()+")")
}

func newDefinition(c *console) *cobra.Command {
	s := &definitions.Store{}
	cmd := &cobra.Command{
		Use:   "definition",
		Short: "Make, show, check, edit and list backup definitions",
		Long: `A backup definition is an XML file that says what is imaged, where to, when, how
long backups are kept, and who is told. 'ingot run NAME' makes the backup of one.

Definitions tell a privileged program what to do. One that others could have
written, by its own rights or those of a folder above it, is refused, and so are
programs and files with passwords that it names.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	definitionsFlag(cmd, s)
	cmd.AddCommand(newDefinitionNew(c, s), newDefinitionShow(c, s), newDefinitionValidate(c, s), newDefinitionEdit(c, s), newDefinitionList(c, s), newDefinitionPassword(c), newDefinitionTest(c, s))
	return cmd
}

func newDefinitionShow(c *console, s *definitions.Store) *cobra.Command {
	var xml bool
	cmd := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Show what a definition says",
		Long:  `Show what a definition says, and when it runs next.`,
		Example: `  ingot definition show office
  ingot definition show office --xml
  ingot definition show ./office.xml --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error { return c.showDefinition(s, a[0], xml) },
	}
	cmd.Flags().BoolVar(&xml, "xml", false, "print the file as it is")
	return cmd
}

// definitionView is a definition as it is shown.
type definitionView struct {
	Name         string         `json:"name"`
	Path         string         `json:"path"`
	Disabled     bool           `json:"disabled"`
	Comment      string         `json:"comment,omitempty"`
	Sources      []string       `json:"sources"`
	Destinations []string       `json:"destinations"`
	Rotate       bool           `json:"rotate,omitempty"`
	Template     string         `json:"template,omitempty"`
	TimeZone     string         `json:"time_zone,omitempty"`
	Schedules    []scheduleView `json:"schedules"`
	Retention    []string       `json:"retention"`
	Hooks        int            `json:"hooks,omitempty"`
	Encrypted    bool           `json:"encrypted"`
	Next         *time.Time     `json:"next_run,omitempty"`
	Error        string         `json:"error,omitempty"`
}

// scheduleView is a schedule in words.
type scheduleView struct {
	Type string     `json:"type"`
	When string     `json:"when"`
	Next *time.Time `json:"next,omitempty"`
}

func viewDefinition(e *definitions.Entry, now time.Time) *definitionView {
	v := &definitionView{Name: e.Name, Path: e.Path, Sources: []string{}, Destinations: []string{}, Schedules: []scheduleView{}, Retention: []string{}}
	if e.Err != nil {
		v.Error = e.Err.Error()
	}
	if e.File == nil {
		return v
	}
	d := &e.File.Definition
	v.Disabled, v.Comment, v.Rotate, v.Template, v.TimeZone = d.Disabled, d.Comment, d.Rotate, d.Template, d.TimeZone
	v.Hooks, v.Encrypted = len(d.Hooks), d.Options.Password.Given()
	for i := range d.Sources {
		v.Sources = append(v.Sources, sourceWords(&d.Sources[i]))
	}
	for _, p := range d.Destinations {
		v.Destinations = append(v.Destinations, p.Path)
	}
	loc, err := d.Location(nil)
	if err != nil {
		loc = now.Location()
	}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		view := scheduleView{Type: typeWord(s.Type), When: s.String()}
		if next := s.Next(now, loc); !next.IsZero() && !d.Disabled {
			view.Next = &next
			if v.Next == nil || next.Before(*v.Next) {
				v.Next = &next
			}
		}
		v.Schedules = append(v.Schedules, view)
	}
	v.Retention = retentionWords(&d.Retention)
	return v
}

// typeWord is the whole word for a type.
func typeWord(t plan.Type) string {
	if t == "" {
		t = plan.Incremental
	}
	return t.String()
}

func sourceWords(s *plan.Source) string {
	switch s.Kind {
	case plan.SourceAll:
		return "all disks"
	case plan.SourceWindows:
		if s.Disk == (plan.DiskID{}) {
			return "what Windows needs to start"
		}
		return "what Windows needs to start, of " + diskWords(&s.Disk)
	}
	if len(s.Partitions) == 0 {
		return diskWords(&s.Disk)
	}
	var parts []string
	for _, p := range s.Partitions {
		switch {
		case p.Number > 0:
			parts = append(parts, fmt.Sprint(p.Number))
		case p.Label != "":
			parts = append(parts, p.Label)
		default:
			parts = append(parts, fmt.Sprintf("at byte %d", p.Off))
		}
	}
	return fmt.Sprintf("%s, partitions %s", diskWords(&s.Disk), strings.Join(parts, ", "))
}

func diskWords(d *plan.DiskID) string {
	return "disk " + strings.Join(strings.Fields(strings.Join([]string{d.Model, d.ID, d.Serial, d.Path}, " ")), " ")
}

func retentionWords(r *plan.Retention) []string {
	out := []string{}
	for _, k := range []struct {
		of   plan.Type
		keep plan.Keep
	}{{plan.Full, r.Full}, {plan.Differential, r.Differential}, {plan.Incremental, r.Incremental}} {
		if k.keep.On() {
			out = append(out, fmt.Sprintf("%s: %s", k.of, k.keep))
		}
	}
	if r.GFS != (plan.GFS{}) {
		out = append(out, fmt.Sprintf("of the last %d days, %d weeks, %d months, %d years", r.GFS.Daily, r.GFS.Weekly, r.GFS.Monthly, r.GFS.Yearly))
	}
	if r.SyntheticFull {
		out = append(out, "synthetic full")
	}
	if r.MinFree > 0 {
		out = append(out, "at least "+humanize.IBytes(uint64(r.MinFree))+" free")
	}
	return out
}

func (c *console) showDefinition(s *definitions.Store, name string, xml bool) error {
	e, err := s.Load(name)
	if err != nil {
		return err
	}
	if xml {
		text, err := os.ReadFile(e.Path)
		if err == nil {
			_, err = c.out.Write(text)
		}
		return err
	}
	v := viewDefinition(e, time.Now())
	if c.json {
		return c.emit(v)
	}
	c.note("%s  %s", v.Name, v.Path)
	if v.Disabled {
		c.note("  disabled: it runs by hand only")
	}
	if v.Comment != "" {
		c.note("  comment: %s", v.Comment)
	}
	for _, x := range v.Sources {
		c.note("  from %s", x)
	}
	for i, x := range v.Destinations {
		switch {
		case i == 0:
			c.note("  to %s", x)
		case v.Rotate:
			c.note("  or in turn %s", x)
		default:
			c.note("  else %s", x)
		}
	}
	for _, x := range v.Schedules {
		next := ""
		if x.Next != nil {
			next = ", next on " + x.Next.Format("Mon 2006-01-02 15:04 MST")
		}
		c.note("  %s %s%s", x.Type, x.When, next)
	}
	if len(v.Retention) > 0 {
		c.note("  keeps %s", strings.Join(v.Retention, "; "))
	}
	return nil
}

func newDefinitionValidate(c *console, s *definitions.Store) *cobra.Command {
	return &cobra.Command{
		Use:   "validate NAME|FILE ...",
		Short: "Check definitions",
		Long: `Check definitions as a run would: the XML against the schema, what it says, and
whether others could have written it or a program or password file it names.
Errors name line and element. Without a name all in the folder are checked.`,
		Example: `  ingot definition validate
  ingot definition validate office ./other.xml`,
		RunE: func(_ *cobra.Command, names []string) error { return c.validateDefinitions(s, names) },
	}
}

func (c *console) validateDefinitions(s *definitions.Store, names []string) error {
	var list []definitions.Entry
	for _, name := range names {
		e, err := s.Load(name)
		e.Err = err
		list = append(list, *e)
	}
	if len(names) == 0 {
		var err error
		if list, err = s.List(); err != nil {
			return err
		}
	}
	var failed []error
	for i := range list {
		e := &list[i]
		if c.json {
			if err := c.emit(map[string]any{"name": e.Name, "path": e.Path, "valid": e.Err == nil, "error": errorText(e.Err)}); err != nil {
				return err
			}
		} else if e.Err == nil {
			c.note("%s is valid", e.Path)
		}
		failed = append(failed, e.Err)
	}
	if len(list) == 0 {
		c.note("%s holds no definitions", s.Folder())
	}
	return errors.Join(failed...)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func newDefinitionList(c *console, s *definitions.Store) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the definitions of this machine",
		Long:    `List the definitions of this machine with what is wrong with them, and when each runs next.`,
		Example: "  ingot definition list\n  ingot definition list --json",
		Args:    args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return c.listDefinitions(s) },
	}
}

func (c *console) listDefinitions(s *definitions.Store) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for i := range list {
		v := viewDefinition(&list[i], time.Now())
		if c.json {
			if err := c.emit(v); err != nil {
				return err
			}
			continue
		}
		state := "by hand only"
		switch {
		case v.Error != "":
			state = "NOT USABLE: " + v.Error
		case v.Disabled:
			state = "disabled"
		case v.Next != nil:
			state = "next on " + v.Next.Format("Mon 2006-01-02 15:04 MST")
		case len(v.Schedules) > 0:
			state = v.Schedules[0].When
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", v.Name, strings.Join(v.Destinations, ", "), state)
	}
	if len(list) == 0 && !c.json {
		c.note("%s holds no definitions", s.Folder())
	}
	return tw.Flush()
}
