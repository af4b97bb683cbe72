package console

import (
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/result"
)

// What one page of a folder shows, and how far into a folder pages go.
const (
	maxRows  = 500
	maxNames = 100_000
)

// browseBody is the page of a folder in an image.
type browseBody struct {
	Name, Point, PointLink string
	Crumbs                 []crumb
	Rows                   []fileRow
	Range, More, Before    string
	Wrong, Fix             string // what of it could not be read
	Command                string
}

// crumb is a folder on the way.
type crumb struct{ Name, Link string }

// fileRow is a file or folder.
type fileRow struct {
	Name, Type, Link, Versions, Target string
	Size                               int64
	Changed, RFC, Attributes, Wrong    string
}

// browsePage answers with the files of a folder.
func (c *Console) browsePage(w http.ResponseWriter, r *http.Request, p place) {
	if p.Part == "" {
		http.Redirect(w, r, p.at("/points/point"), http.StatusSeeOther)
		return
	}
	p.Path = clean(p.Path)
	from, _ := strconv.Atoi(r.FormValue("from"))
	from = min(max(from, 0), maxNames-maxRows)
	ask, err := c.ask(r.Context(), p)
	var files []result.File
	var more bool
	if err == nil {
		files, more, err = ask.List(r.Context(), p.image(), p.Part, p.Path, from+maxRows)
	}
	if err != nil && (locked(err) || len(files) == 0 && p.Path == "") {
		c.failImages(w, r, p, err)
		return
	}
	b := &browseBody{Name: view.Text(base(p.Path)), Point: view.Text(p.image()), PointLink: p.in("", "").at("/points/point"), Crumbs: crumbs(p)}
	if b.Name == "" {
		b.Name = "Partition " + view.Text(p.Part)
	}
	status := http.StatusOK
	if err != nil {
		b.Wrong, b.Fix = said(err)
	}
	files = slices.DeleteFunc(files, func(f result.File) bool {
		self := f.Error != "" && f.Type == "" && clean(pathOf(&f)) == p.Path
		if self {
			b.Wrong = view.Text(f.Error)
		}
		return self
	})
	if b.Wrong != "" && len(files) == 0 {
		status = http.StatusBadGateway
	}
	b.fill(p, files, from, more)
	c.show(w, r, status, "browse", &Page{Title: b.Name, Nav: "points", Body: b})
}

// clean is a path in an image, "" for the root, as List takes it.
func clean(p string) string {
	return strings.TrimPrefix(path.Clean("/"+p), "/")
}

// crumbs are the folders on the way to a place, itself the last one.
func crumbs(p place) []crumb {
	out := []crumb{{"Partition " + view.Text(p.Part), p.in(p.Part, "").at("/browse")}}
	for i, name := range strings.Split(p.Path, "/") {
		if name != "" {
			way := strings.Join(strings.Split(p.Path, "/")[:i+1], "/")
			out = append(out, crumb{view.Text(name), p.in(p.Part, way).at("/browse")})
		}
	}
	return out
}

// fill shows the files from one on.
func (b *browseBody) fill(p place, files []result.File, from int, more bool) {
	shown := files[min(from, len(files)):]
	for i := range shown {
		b.Rows = append(b.Rows, rowOf(p, &shown[i]))
	}
	link := func(from int) string { return p.at("/browse") + "&from=" + strconv.Itoa(from) }
	if from > 0 {
		b.Before = link(max(from-maxRows, 0))
	}
	switch {
	case more && from+2*maxRows <= maxNames:
		b.More = link(from + maxRows)
	case more:
		b.Command = "ingot ls -l " + quote(p.image()+":"+p.Part+"/"+p.Path)
	}
	if from > 0 || more {
		b.Range = "Names " + strconv.Itoa(from+1) + " to " + strconv.Itoa(from+len(shown)) + ", in their order."
	}
}

// pathOf is a file's path with the bytes that it has on its volume.
func pathOf(f *result.File) string {
	if raw, err := hex.DecodeString(f.PathHex); err == nil && f.PathHex != "" {
		return string(raw)
	}
	return f.Path
}

// rowOf shows a file.
func rowOf(p place, f *result.File) fileRow {
	at := p.in(p.Part, clean(pathOf(f)))
	row := fileRow{
		Name: view.Text(base(at.Path)), Type: view.Text(f.Type), Size: f.Size, Target: view.Text(f.Target), Wrong: view.Text(f.Error),
		Attributes: view.Text(strings.Join(f.Attributes, ", ")),
	}
	if f.Mode != "" && row.Attributes == "" {
		row.Attributes = view.Text(f.Mode)
	}
	if f.Modified != nil {
		row.Changed, row.RFC = f.Modified.Local().Format("2 Jan 2006, 15:04"), f.Modified.Format(time.RFC3339)
	}
	switch f.Type {
	case "folder":
		row.Link = at.at("/browse")
	case "file":
		row.Link, row.Versions = at.at("/browse/file"), at.at("/browse/versions")
	}
	return row
}

// versionsBody is the page of a file over time.
type versionsBody struct {
	Name, Folder string
	Crumbs       []crumb
	Disks        []versionsDisk
	Wrong, Fix   string
}

// versionsDisk is a file of one partition.
type versionsDisk struct {
	Name string
	Rows []versionRow
}

// versionRow is a version.
type versionRow struct {
	Say, Seen, Changed, Link, Point, Wrong string
	Points                                 int
	Size                                   int64
	There                                  bool
}

// versionsPage answers with a file at all points of its folder.
func (c *Console) versionsPage(w http.ResponseWriter, r *http.Request, p place) {
	p.Path = clean(p.Path)
	ask, err := c.ask(r.Context(), p)
	var all []result.Version
	if err == nil {
		all, err = ask.Versions(r.Context(), p.Folder, p.Part, p.Path)
	}
	if err != nil && (locked(err) || len(all) == 0) {
		c.failImages(w, r, p, err)
		return
	}
	folder := p.in(p.Part, clean(path.Dir(p.Path)))
	b := &versionsBody{Name: view.Text(base(p.Path)), Folder: view.Text(p.Folder), Crumbs: crumbs(folder)}
	if err != nil {
		b.Wrong, b.Fix = said(err)
	}
	for i := range all {
		b.add(p, &all[i])
	}
	c.show(w, r, http.StatusOK, "versions", &Page{Title: "Versions of " + b.Name, Nav: "points", Body: b})
}

// add adds a version, which come partition by partition, the oldest first.
func (b *versionsBody) add(p place, v *result.Version) {
	name := "Partition " + view.Text(v.Partition)
	if v.Disk != "" {
		name += " of disk " + view.Text(v.Disk)
	}
	if n := len(b.Disks); n == 0 || b.Disks[n-1].Name != name {
		b.Disks = append(b.Disks, versionsDisk{Name: name})
	}
	d := &b.Disks[len(b.Disks)-1]
	row := versionRow{Say: "not there", Seen: when(v.First), Points: v.Points, Size: v.Size, Wrong: view.Text(v.Error)}
	if v.Last.After(v.First) {
		row.Seen += " to " + when(v.Last)
	}
	point := place{Folder: p.Folder, File: path.Base(strings.ReplaceAll(v.Image, `\`, "/"))}
	row.Point = point.at("/points/point")
	switch v.Status {
	case "present":
		row.There, row.Say = true, "version "+strconv.Itoa(v.Version)
		if v.Same == "time" {
			row.Say += ", as size and time say"
		}
		at := clean(v.Path)
		if at == "" {
			at = p.Path
		}
		if v.Type == "file" {
			row.Link = point.in(v.Partition, at).at("/browse/file")
		}
	case "unreadable":
		row.Say = "cannot be read"
	}
	if v.Modified != nil {
		row.Changed = when(*v.Modified)
	}
	d.Rows = append([]versionRow{row}, d.Rows...)
}
