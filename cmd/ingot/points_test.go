package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	pages "ingot/internal/console"
	"ingot/internal/query"
)

// browser goes from page to page as a person would.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

// get gives the page or file at an address.
func (b *browser) get(address string) (*http.Response, string) {
	b.t.Helper()
	resp, err := b.http.Get(b.base + address)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, b.read(resp)
}

func (b *browser) read(resp *http.Response) string {
	b.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body)
}

// link finds where the first link leads that a pattern matches.
func (b *browser) link(page, pattern string) string {
	b.t.Helper()
	for _, m := range regexp.MustCompile(`(?s)<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>`).FindAllStringSubmatch(page, -1) {
		if regexp.MustCompile(pattern).MatchString(html.UnescapeString(m[1] + " " + m[2])) {
			return html.UnescapeString(m[1])
		}
	}
	b.t.Fatalf("no link %s on the page:\n%s", pattern, page)
	return ""
}

// demoFolders images the built-in disk into DIR/plain, twice, and encrypted into
// DIR/secret; it gives DIR/disk.img, too.
func demoFolders(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := unpackDemo(filepath.Join(dir, "disk.img")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("tea for two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"image", "disk.img", "--to", "plain"}, {"image", "disk.img", "--to", "plain", "--type", "inc"},
		{"image", "disk.img", "--to", "secret", "--partitions", "4", "--encrypt", "--password-file", "password"},
	} {
		if err := runIn(dir, program, args...); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runIn runs the program in a folder, in which it makes images in another one.
func runIn(dir, program string, args ...string) error {
	if err := os.MkdirAll(filepath.Join(dir, args[3]), 0o755); err != nil {
		return err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	return nil
}

// browseIn serves pages that ask the program.
func browseIn(t *testing.T) (b *browser, program, dir string) {
	t.Helper()
	program, err := exec.LookPath("ingot")
	if err != nil {
		t.Fatal(err)
	}
	c, err := pages.New(pages.Options{User: "anna", Images: pages.ImagesOf(query.Tools{Program: []string{program}})})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return &browser{t, server.URL, server.Client()}, program, demoFolders(t, program)
}

func TestPagesOfARealImage(t *testing.T) {
	b, program, dir := browseIn(t)
	_, page := b.get("/points?folder=" + url.QueryEscape(filepath.Join(dir, "plain")))
	if !strings.Contains(page, "2 points of ") || !strings.Contains(page, "All can be restored.") {
		t.Fatalf("the folder:\n%s", page)
	}
	_, page = b.get(b.link(page, `-01-01\.mrimgx.*incremental`))
	if !strings.Contains(page, "the full of ") || !strings.Contains(page, "no known file system") {
		t.Errorf("the point:\n%s", page)
	}
	_, page = b.get(b.link(page, `part=3.*Browse`))
	for _, folder := range []string{"Users", "Anna"} {
		_, page = b.get(b.link(page, "path=.*"+folder+"$|<bdi>"+folder+"</bdi>"))
	}
	_, documents := b.get(b.link(page, `<bdi>Documents</bdi>`))
	b.sameFile(documents, "Grüße – Größe ☃.txt", program, dir, "Users/Anna/Documents/Grüße – Größe ☃.txt")

	_, versions := b.get(b.link(documents, `/browse/versions.*Gr`))
	if !strings.Contains(versions, "version 1") || !strings.Contains(versions, "<td>2</td>") {
		t.Errorf("versions:\n%s", versions)
	}
	resp, _ := b.get(b.link(versions, "Download"))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a version: %s", resp.Status)
	}

	_, system := b.get("/browse?" + url.Values{"folder": {filepath.Join(dir, "plain")}, "file": {imageIn(t, dir, "plain")}, "part": {"3"}, "path": {"Windows/System32"}}.Encode())
	b.sameFile(system, "ntoskrnl.exe", program, dir, "Windows/System32/ntoskrnl.exe")
	resp, page = b.get("/browse?" + url.Values{"folder": {filepath.Join(dir, "plain")}, "file": {imageIn(t, dir, "plain")}, "part": {"3"}, "path": {"no/such"}}.Encode())
	if resp.StatusCode == http.StatusOK || !strings.Contains(page, "This folder cannot be read: <bdi>") {
		t.Errorf("a folder that is not there: %s\n%s", resp.Status, page)
	}
}

// imageIn names the first image of a folder.
func imageIn(t *testing.T, dir, folder string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, folder, "*.mrimgx"))
	if err != nil || len(all) == 0 {
		t.Fatal("no image", err)
	}
	return filepath.Base(all[0])
}

// sameFile downloads a file and compares it with what is on the disk that was
// imaged.
func (b *browser) sameFile(page, name, program, dir, path string) {
	b.t.Helper()
	resp, got := b.get(b.link(page, "/browse/file.*<bdi>"+regexp.QuoteMeta(name)+"</bdi>"))
	want, err := exec.Command(program, "cat", filepath.Join(dir, "disk.img")+":3/"+path).Output()
	if err != nil || len(want) == 0 || !bytes.Equal(want, []byte(got)) {
		b.t.Errorf("%s: %d bytes, want %d, %v", name, len(got), len(want), err)
	}
	if d := resp.Header.Get("Content-Disposition"); !strings.Contains(d, "attachment") || !strings.Contains(d, url.PathEscape(name)) {
		b.t.Errorf("%s: %s", name, d)
	}
}

func TestPagesOfAnEncryptedImage(t *testing.T) {
	b, _, dir := browseIn(t)
	at := url.Values{"folder": {filepath.Join(dir, "secret")}, "file": {imageIn(t, dir, "secret")}, "part": {"4"}}
	resp, page := b.get("/browse?" + at.Encode())
	if resp.Request.URL.Path != "/points/password" || !strings.Contains(page, `type="password"`) {
		t.Fatalf("%s:\n%s", resp.Request.URL, page)
	}
	give := func(password string) (*http.Response, string) {
		resp, err := b.http.PostForm(b.base+"/points/password?"+at.Encode(), url.Values{"password": {password}})
		if err != nil {
			t.Fatal(err)
		}
		return resp, b.read(resp)
	}
	if resp, page := give("coffee"); resp.StatusCode != http.StatusForbidden || !strings.Contains(page, "That is not the password of this set.") {
		t.Fatalf("%s:\n%s", resp.Status, page)
	}
	resp, page = give("tea for two")
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/browse" || strings.Contains(page, "tea for two") {
		t.Fatalf("%s %s:\n%s", resp.Status, resp.Request.URL, page)
	}
	b.link(page, "/browse.*<bdi>")
}

// TestDownloadsOfDamagedImages changes an image here and there: what is
// downloaded of it is right, or the browser is told.
func TestDownloadsOfDamagedImages(t *testing.T) {
	b, program, dir := browseIn(t)
	name := imageIn(t, dir, "plain")
	image, err := os.ReadFile(filepath.Join(dir, "plain", name))
	if err != nil {
		t.Fatal(err)
	}
	want, err := exec.Command(program, "cat", filepath.Join(dir, "disk.img")+":3/Windows/System32/ntoskrnl.exe").Output()
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad")
	if err := os.Mkdir(bad, 0o755); err != nil {
		t.Fatal(err)
	}
	told := 0
	for part := 1; part < 10; part++ {
		damaged := bytes.Clone(image)
		damaged[len(image)*part/10] ^= 4
		if err := os.WriteFile(filepath.Join(bad, name), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		resp, err := b.http.Get(b.base + "/browse/file?" + url.Values{"folder": {bad}, "file": {name}, "part": {"3"}, "path": {"Windows/System32/ntoskrnl.exe"}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil || resp.StatusCode != http.StatusOK:
			told++
		case !bytes.Equal(got, want):
			t.Errorf("damage at %d/10: %d bytes that are not right, as if they were", part, len(got))
		}
	}
	if told == 0 {
		t.Error("no damage was in the file: the test shows nothing")
	}
}
