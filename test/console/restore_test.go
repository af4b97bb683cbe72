package console

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestRestore takes a restore point through the wizard, onto a file that is there:
// a wrong word writes nothing, the right one begins the restore.
func TestRestore(t *testing.T) {
	d := newDaemon(t)
	disk, folder := d.define("letters", 8, "")
	d.runs("letters")
	target := d.path("target.img")
	d.sh("truncate", "-s", "24M", target)
	d.sh("sgdisk", "-n", "1:2048:+20M", "-c", "1:"+hostile, target)
	before := d.read(target)
	u := newUI(t, d.path("api.sock"))
	p := open(t, u.origin)
	p.expect(u.origin + "/")
	p.follow(u.URL, "/")
	p.visit("/points?folder="+url.QueryEscape(folder), 200)
	p.click(".timeline a")
	p.reads("All files that it needs are there.")
	p.click(`a[href*="/restore/disk"]`)
	p.reads("Which disk is to be overwritten?")
	p.sound("restore-disk")
	p.fill("#target", target+kb.Enter)
	p.reads("How the disk will be")
	p.reads("<img src=x") // what is on it
	p.sound("restore-layout")
	p.click("main a.primary")
	p.reads("How careful")
	p.sound("restore-options")
	p.click("form .primary")
	p.reads("Look once more")
	p.sound("restore-confirm")
	p.expect(u.origin + "/restore/run")
	p.fill("#typed", "wrong"+kb.Enter)
	p.reads("Nothing was written.")
	p.sound("restore-refused")
	if after := d.read(target); after != before {
		t.Fatal("a wrong word has written to the disk")
	}
	p.expect(u.origin + "/jobs/2")
	p.fill("#typed", filepath.Base(target)+kb.Enter)
	p.until("location.pathname == '/jobs/2'")
	d.until("the restore", func() bool {
		r, err := d.api.Run(context.Background(), 2)
		return err == nil && r.State.Ended()
	})
	if r, err := d.api.Run(context.Background(), 2); err != nil || !r.State.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	const volume = 1 << 20 // where it begins
	if got, want := d.read(target)[volume:][:8<<20], d.read(disk)[volume:][:8<<20]; got != want {
		t.Error("the volume on the target is not that of the disk")
	}
}

func (d *daemon) read(file string) string {
	d.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}
