package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"ingot/internal/console"
	"ingot/internal/query"
	"ingot/internal/result"
)

// shelf has images in memory, whose names are hostile. Folders that it does not
// have cannot be read, and the file locked.mrimgx wants a password.
type shelf map[string]result.Folder

func (s shelf) With(string) (console.Images, error) { return s, nil }

func (s shelf) Sets(_ context.Context, folder string) (result.Folder, error) {
	if f, ok := s[folder]; ok {
		return f, nil
	}
	return result.Folder{}, &query.Error{Text: "open " + folder + ": no such file or directory", Hint: "is the drive there?", Code: 1}
}

func (s shelf) Partitions(_ context.Context, image string) ([]result.ImagePartition, error) {
	if strings.HasSuffix(image, "locked.mrimgx") {
		return nil, &query.Error{Text: "a password is needed", Code: query.CodePassword}
	}
	return []result.ImagePartition{
		{Partition: "1", Size: 100 << 20, FileSystem: "fat32", Label: hostile, Readable: true},
		{Partition: "2", Size: 16 << 20, FileSystem: "unknown", Reason: "its file system is not known " + hostile},
	}, nil
}

func (s shelf) Show(context.Context, string) (result.Image, error) {
	return result.Image{Type: "incremental", Host: hostile, Maker: hostile, Comment: hostile + strings.Repeat(" comment", 99), Compression: "zstd", Encryption: "none"}, nil
}

func (s shelf) List(context.Context, string, string, string, int) ([]result.File, bool, error) {
	at := time.Date(2026, 11, 20, 21, 4, 0, 0, time.UTC)
	return []result.File{
		{Path: "Documents", Type: "folder", Modified: &at},
		{Path: hostile, Type: "file", Size: 3 << 10, Modified: &at, Attributes: []string{"hidden", "system"}},
		{Path: strings.Repeat("long", 63), Type: "file", Size: 1 << 40},
		{Path: "link", Type: "link", Target: strings.Repeat("../", 80) + hostile},
	}, true, errors.New("read folder entry 5 at byte 4096: " + hostile)
}

func (s shelf) Versions(context.Context, string, string, string) ([]result.Version, error) {
	v := result.Version{Disk: "0A1B2C3D", Partition: "1", Status: "present", Version: 2, Type: "file", Size: 3 << 10, First: time.Now().AddDate(0, 0, -9), Last: time.Now(), Image: "A-08.mrimgx", Points: 9}
	gone := v
	gone.Status, gone.Version, gone.Size = "absent", 0, 0
	bad := v
	bad.Status, bad.Error = "unreadable", hostile
	return []result.Version{v, gone, bad}, nil
}

func (s shelf) Read(context.Context, string, string, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("contents")), nil
}

// chain is a set of n points, a day apart, the last one today.
func chain(id string, n int) result.Set {
	s := result.Set{ID: id, Host: "STUDIO-PC", Disk: "WD Black SN770", DiskID: "0A1B2C3D", Size: int64(n) << 30}
	for i := range n {
		p := result.Point{File: fmt.Sprintf("%s-%02d.mrimgx", id, i), Type: "incremental", Time: time.Now().AddDate(0, 0, i-n+1), Size: 1 << 30, Number: int64(i), Files: []string{id + "-00.mrimgx"}}
		switch {
		case i == 0:
			p.Type = "full"
		case i%7 == 0:
			p.Type = "differential"
		}
		if i > 0 {
			p.Files = append(p.Files, p.File)
		}
		s.Points = append(s.Points, p)
	}
	return s
}

// TestPoints has the pages of restore points, over images with the worst names.
func TestPoints(t *testing.T) {
	broken := chain("B", 3)
	broken.Host, broken.Orphans, broken.Leftover = hostile, []string{hostile}, []string{strings.Repeat("n", 255)}
	broken.Points[2].Missing = "B-02.mrimgx needs B-01.mrimgx, which is not there " + hostile
	locked := chain("C", 1)
	locked.Encrypt, locked.Points[0].File = "AES-256", "locked.mrimgx"
	origin := serveWith(t, console.Options{User: "anna", Images: shelf{
		"/empty": {}, "/one": {Sets: []result.Set{chain("A", 1)}}, "/many": {Sets: []result.Set{chain("A", 40)}}, "/most": {Sets: []result.Set{chain("A", 2000)}},
		"/bad": {Sets: []result.Set{broken, locked}, Broken: []result.Broken{{File: hostile, Error: strings.Repeat("e", 300)}},
			Windows: []result.WindowsImage{{Computer: hostile, Folder: "WindowsImageBackup", Changed: time.Now(), Problems: []string{hostile}, Volumes: []result.WindowsVolume{{Name: "C:", File: "c.vhdx", Size: 1 << 30, Disk: 2 << 30}}}}},
	}})
	at := func(page string, kv ...string) string {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return page + "?" + v.Encode()
	}
	for _, c := range []struct {
		name, path string
		status     int
		says       string
	}{
		{"points", "/points", 200, "Open a folder with images"},
		{"points-relative", at("/points", "folder", "here"), 400, "whole path"},
		{"points-gone", at("/points", "folder", "/gone"), 502, "is the drive there?"},
		{"points-empty", at("/points", "folder", "/empty"), 200, ""},
		{"points-one", at("/points", "folder", "/one"), 200, ""},
		{"points-many", at("/points", "folder", "/many"), 200, ""},
		{"points-most", at("/points", "folder", "/most"), 200, ""},
		{"points-bad", at("/points", "folder", "/bad"), 200, hostile[:20]},
		{"point", at("/points/point", "folder", "/many", "file", "A-08.mrimgx"), 200, hostile[:20]},
		{"point-broken", at("/points/point", "folder", "/bad", "file", "B-02.mrimgx"), 200, "cannot be restored"},
		{"point-password", at("/points/password", "folder", "/bad", "file", "locked.mrimgx"), 200, "encrypted"},
		{"browse", at("/browse", "folder", "/many", "file", "A-08.mrimgx", "part", "1"), 200, hostile[:20]},
		{"versions", at("/browse/versions", "folder", "/many", "file", "A-08.mrimgx", "part", "1", "path", hostile), 200, hostile[:20]},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, origin)
			p.visit(c.path, c.status)
			p.reads(c.says)
			if marks, rows := value[int](p, "document.querySelectorAll('.timeline a').length"), value[int](p, "document.querySelectorAll('.timeline').length * document.querySelectorAll('caption + thead + tbody > tr:has(th time)').length"); marks != rows {
				t.Errorf("the timeline has %d points, the table beside it %d", marks, rows)
			}
			if c.name == "points-most" { // the same again, for seconds
				p.frame()
				p.axe()
				p.fits(1440)
				return
			}
			p.sound(c.name)
		})
	}
}

// TestRealPoints has a person open the folder of a real image, go to a file in it
// by the keyboard alone where there is a form, and bring it back.
func TestRealPoints(t *testing.T) {
	d := newDaemon(t)
	_, folder := d.define("letters", 8, "")
	d.runs("letters")
	p := open(t, serveWith(t, console.Options{User: "anna", Service: d.api, Images: console.ImagesOf(query.Tools{Program: []string{ingot}})}))
	p.visit("/points", 200)
	p.fill("#folder", folder+kb.Enter)
	p.reads("It can be restored.")
	p.sound("real-points")
	p.click(".timeline a")
	p.reads("All files that it needs are there.")
	p.sound("real-point")
	p.click("td a")
	p.reads("letter.txt")
	if names := p.named("link"); !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "<img src=x") }) {
		t.Errorf("the file with the hostile name is not there: %q", names)
	}
	p.sound("real-browse")
	got := value[[]string](p, `fetch([...document.querySelectorAll("th a")].find(a => a.innerText == "letter.txt").href).then(async r =>
		[await r.text(), ...["content-disposition", "content-type", "content-security-policy", "x-content-type-options"].map(h => r.headers.get(h))])`)
	if want := []string{"Dear Anna\n", `attachment; filename="letter.txt"; filename*=UTF-8''letter.txt`, "application/octet-stream", "sandbox", "nosniff"}; !slices.Equal(got, want) {
		t.Errorf("letter.txt comes as %q, want %q", got, want)
	}
	p.click(`a[href*="versions"][href*="letter.txt"]`)
	p.reads("letter.txt")
	p.sound("real-versions")
}
