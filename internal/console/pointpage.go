package console

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/result"
)

// pointBody is the page of one restore point, or of a system image of Windows.
type pointBody struct {
	Title, Image, File, Back string
	Facts                    *pointFacts
	Parts                    []partRow
	Locked                   string // where its password is asked for
	Restore                  string // where restoring it begins; "" when it cannot be
	Wrong, Fix               string // why its partitions are not known
	Commands                 []command
}

// pointFacts is what the folder's listing says of a point.
type pointFacts struct {
	Type, Set, Host, Disk, Encrypt, Needs, Wrong string
	Size                                         int64
	Files                                        []string
	Number                                       int64
	Merged                                       int
}

// partRow is a partition.
type partRow struct {
	Name, Label, System, Reason string
	Size, Used                  int64
	Link                        string
}

// command is a line for a terminal.
type command struct{ For, Line string }

// pointPage answers with the facts of a point.
func (c *Console) pointPage(w http.ResponseWriter, r *http.Request, p place) {
	b := &pointBody{Title: "Windows system image", Image: view.Text(p.image()), File: view.Text(p.File), Back: place{Folder: p.Folder}.at("/points")}
	if p.File != "" {
		if err := c.fillPoint(r.Context(), b, p); err != nil {
			c.failImages(w, r, p, err)
			return
		}
	}
	if c.Service != nil && b.Facts != nil && b.Facts.Wrong == "" && b.Facts.Encrypt == "" {
		b.Restore = (&restoreChoice{place: place{Folder: p.Folder, File: p.File}}).address("disk")
	}
	if b.Facts == nil || b.Facts.Wrong == "" {
		b.Commands = commands(p)
		c.fillParts(r.Context(), b, p)
	}
	c.show(w, r, http.StatusOK, "point", &Page{Title: "Restore point: " + b.Title, Nav: "points", Body: b})
}

// fillPoint finds the point in its folder.
func (c *Console) fillPoint(ctx context.Context, b *pointBody, p place) error {
	f, err := c.readFolder(ctx, p.Folder)
	if err != nil {
		return err
	}
	for i := range f.Sets {
		s := &f.Sets[i]
		for k := range s.Points {
			if s.Points[k].File == p.File {
				b.Title = when(s.Points[k].Time)
				b.Facts = factsOf(s, &s.Points[k], time.Now())
				return nil
			}
		}
	}
	return errors.New(view.Text(p.File) + " is no restore point of this folder (any more)")
}

// factsOf puts the facts of a point into words.
func factsOf(s *result.Set, o *result.Point, now time.Time) *pointFacts {
	f := &pointFacts{
		Type: view.Kind(o.Type), Set: view.Text(s.ID), Host: view.Text(s.Host), Disk: view.Text(strings.TrimSpace(s.Disk + " " + s.DiskID)),
		Encrypt: view.Text(s.Encrypt), Size: o.Size, Wrong: view.Text(o.Missing), Number: o.Number, Merged: len(o.Merged),
	}
	byFile := map[string]*result.Point{}
	for i := range s.Points {
		byFile[s.Points[i].File] = &s.Points[i]
	}
	var chain []view.Link
	for _, name := range o.Files {
		if name == o.File {
			continue
		}
		f.Files = append(f.Files, view.Text(name))
		var l view.Link
		if q := byFile[name]; q != nil {
			l = view.Link{Type: view.Kind(q.Type), Time: q.Time}
		}
		chain = append(chain, l)
	}
	f.Needs = view.Needs(chain, now)
	return f
}

// fillParts asks for the partitions. Without the password the page says so.
func (c *Console) fillParts(ctx context.Context, b *pointBody, p place) {
	ask, err := c.ask(ctx, p)
	var parts []result.ImagePartition
	if err == nil {
		parts, err = ask.Partitions(ctx, p.image())
	}
	switch {
	case locked(err) && p.File != "":
		b.Locked = p.at("/points/password")
		return
	case err != nil:
		b.Wrong, b.Fix = said(err)
	}
	used := usedOf(ctx, ask, p)
	for _, o := range parts {
		row := partRow{Name: view.Text(o.Partition), Label: view.Text(o.Label), System: view.Text(o.FileSystem), Reason: view.Text(o.Reason), Size: o.Size, Used: used[o.Partition]}
		if o.Letter != "" {
			row.Label = strings.TrimSpace(view.Text(o.Letter) + ": " + row.Label)
		}
		if o.Readable {
			row.Link = p.in(o.Partition, "").at("/browse")
		}
		b.Parts = append(b.Parts, row)
	}
}

// usedOf is how much of the partitions was in use, as far as the image says.
func usedOf(ctx context.Context, ask Images, p place) map[string]int64 {
	out := map[string]int64{}
	if ask == nil || p.File == "" {
		return out
	}
	show, err := ask.Show(ctx, p.image())
	if err != nil {
		return out // the partitions are there without it
	}
	for i, d := range show.Disks {
		for _, part := range d.Partitions {
			name := strconv.Itoa(part.Number)
			if len(show.Disks) > 1 {
				name = strconv.Itoa(i+1) + "." + name
			}
			out[name] = part.Used
		}
	}
	return out
}

// commands are the lines for what the pages do not do.
func commands(p place) []command {
	img := quote(p.image())
	if p.File == "" {
		return []command{
			{"Look at its partitions", "ingot ls " + img},
			{"Make an image of it", "ingot image " + img + " --to FOLDER"},
		}
	}
	return []command{
		{"Check that every block can be read and is right", "ingot verify " + img},
		{"Restore onto a disk (it asks before it overwrites)", "ingot restore " + img + " DISK"},
		{"Mount, to open files with any program", "ingot mount " + img + " FOLDER"},
		{"Make a disk for a virtual machine", "ingot convert " + img + " DISK.vhdx"},
	}
}

// quote writes a path as the shell of this system takes it.
func quote(path string) string {
	safe := strings.IndexFunc(path, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`/\:.,_-+@`, r))
	}) < 0
	switch {
	case safe && (runtime.GOOS == "windows" || !strings.Contains(path, `\`)):
		return path
	case runtime.GOOS == "windows":
		return `"` + path + `"`
	case view.Text(path) != path:
		return ansiQuote(path)
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// ansiQuote writes what cannot be shown as bash and zsh take it.
func ansiQuote(path string) string {
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < 0x20 || c >= 0x7f:
			b.WriteString(`\x` + strconv.FormatUint(uint64(c)|0x100, 16)[1:])
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}

// passwordBody is the page that asks for the password of a set.
type passwordBody struct {
	Folder, File string // shown
	Action       string // its address says what to go on with
	Back, Wrong  string
}

// passwordPage asks.
func (c *Console) passwordPage(w http.ResponseWriter, r *http.Request, p place) {
	c.askPassword(w, r, p, http.StatusOK, "")
}

func (c *Console) askPassword(w http.ResponseWriter, r *http.Request, p place, status int, wrong string) {
	c.show(w, r, status, "password", &Page{Title: "Password", Nav: "points", Body: &passwordBody{
		Folder: view.Text(p.Folder), File: view.Text(p.File), Action: p.at("/points/password"), Back: place{Folder: p.Folder}.at("/points"), Wrong: wrong,
	}})
}

// givePassword tries a password and keeps it when it is right.
func (c *Console) givePassword(w http.ResponseWriter, r *http.Request, p place) {
	password := r.PostFormValue("password")
	set, err := c.setOf(r.Context(), p)
	var with Images
	if err == nil {
		with, err = c.Images.With(password)
	}
	if err == nil {
		_, err = with.Partitions(r.Context(), p.image())
	}
	switch {
	case locked(err):
		c.askPassword(w, r, p, http.StatusForbidden, "That is not the password of this set.")
		return
	case err != nil:
		c.failImages(w, r, p, err)
		return
	}
	c.memory.keep(setKey(p.Folder, set), password)
	to := p.at("/points/point")
	if p.Part != "" {
		to = p.at("/browse")
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// base is the last name of a path in an image.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
