package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
	"ingot/internal/winimage/winimagetest"
)

// TestPagesReachNamesOfAnyBytes: what is no UTF-8 is shown as well as it can be,
// and found by its bytes.
func TestPagesReachNamesOfAnyBytes(t *testing.T) {
	b, program, dir := browseIn(t)
	tree := filepath.Join(dir, "tree")
	name := "x\xff\n<u>"
	if err := os.MkdirAll(filepath.Join(tree, "f\xfe"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "f\xfe", name), []byte("found"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(dir, "ext4.img")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 16<<20); err != nil {
		t.Fatal(err)
	}
	volumetest.RunTool(t, "e2fsprogs", "mkfs.ext4", "-q", "-d", tree, disk)
	if err := runIn(dir, program, "image", "ext4.img", "--to", "odd"); err != nil {
		t.Fatal(err)
	}
	_, page := b.get("/points/point?" + url.Values{"folder": {filepath.Join(dir, "odd")}, "file": {imageIn(t, dir, "odd")}}.Encode())
	_, page = b.get(b.link(page, "Browse files"))
	_, page = b.get(b.link(page, `path=f%FE`))
	if strings.Contains(page, "<u>") || !strings.Contains(page, "\uFFFD␊&lt;u&gt;") {
		t.Errorf("the name is shown as it is:\n%s", page)
	}
	resp, got := b.get(b.link(page, `/browse/file.*x%FF%0A`))
	if resp.StatusCode != http.StatusOK || got != "found" {
		t.Errorf("%s %q", resp.Status, got)
	}
}

func TestPagesOfAWindowsImage(t *testing.T) {
	b, _, dir := browseIn(t)
	folder := filepath.Join(dir, "windows")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := winimagetest.Make(folder, true, false); err != nil {
		t.Fatal(err)
	}
	_, page := b.get("/points?folder=" + url.QueryEscape(folder))
	if !strings.Contains(page, "1 system image that Windows made.") {
		t.Fatalf("the folder:\n%s", page)
	}
	_, page = b.get(b.link(page, "/points/point.*Backup"))
	if !strings.Contains(page, "Windows system image") || !strings.Contains(page, "NTFS") {
		t.Errorf("the image:\n%s", page)
	}
	_, page = b.get(b.link(page, "Browse files"))
	b.link(page, "/browse.*<bdi>")
}
