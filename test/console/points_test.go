package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/internal/console"
	"ingot/internal/result"
)

// shelf has images in memory, whose names are hostile. Folders that it does not
// have cannot be read, and the file locked.mrimgx wants a password.
type shelf map[string]result.Folder

func (s shelf) With(string) console.Images { return s }

func (s shelf) Sets(_ context.Context, folder string) (result.Folder, error) {
	if f, ok := s[folder]; ok {
		return f, nil
	}
	return result.Folder{}, &console.ImagesError{Text: "open " + folder + ": no such file or directory", Hint: "is the drive there?", Code: 1}
}

func (s shelf) Partitions(_ context.Context, image string) ([]result.ImagePartition, error) {
	if strings.HasSuffix(image, "locked.mrimgx") {
		return nil, &console.ImagesError{Text: "a password is needed", Code: 5}
	}
	return []result.ImagePartition{
		{Partition: "1", Size: 100 << 20, FileSystem: "fat32", Label: hostile, Readable: true},
		{Partition: "2", Size: 16 << 20, FileSystem: "unknown", Reason: "its file system is not known " + hostile},
	}, nil
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
			p.sound(c.name)
		})
	}
}
