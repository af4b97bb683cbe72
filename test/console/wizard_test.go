package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/plan"
)

// loop makes a disk of the machine from a file; it is gone with the test.
func (d *daemon) loop(file string) string {
	d.Helper()
	device := strings.TrimSpace(d.sh("losetup", "--find", "--show", file))
	d.Cleanup(func() { d.sh("losetup", "--detach", device) })
	return filepath.Base(device)
}

// TestWizard goes through the image wizard, makes a definition of a disk of this
// machine, and runs it.
func TestWizard(t *testing.T) {
	d := newDaemon(t)
	file := d.path("disk.img")
	d.sh("truncate", "-s", "24M", file)
	d.sh("mkfs.ext4", "-q", "-L", "letters", file)
	loop := d.loop(file)
	u := newUI(t, d.path("api.sock"))
	p := open(t, u.origin)
	p.expect(u.origin + "/")
	p.follow(u.URL, "/")
	p.visit("/backups/new", 200)
	p.click("main form .primary")
	p.until("location.pathname.endsWith('/what')")
	p.sound("wizard-what")
	at := value[string](p, "location.pathname")
	for _, step := range []string{"what", "where", "when", "options", "summary"} {
		p.expect(u.origin + strings.TrimSuffix(at, "what") + step)
	}
	press := func() {
		t.Helper()
		value[bool](p, "window.old = true")
		p.click(".bar .primary")
		p.until("!window.old && document.readyState == 'complete'")
	}
	// next goes on; a warning asks once.
	next := func(to string) {
		t.Helper()
		for range 3 {
			if strings.HasSuffix(value[string](p, "location.pathname"), "/"+to) {
				return
			}
			press()
		}
		p.until("location.pathname.endsWith('/" + to + "')")
	}
	press()
	p.reads("Tick at least one partition.")
	p.bare("wizard-what-wrong")
	if !value[bool](p, fmt.Sprintf("(() => { const f = [...document.querySelectorAll('fieldset')].find(f => f.textContent.includes('%s,')); f?.querySelector('input[name=part]').click(); return !!f; })()", loop)) {
		t.Fatalf("%s is not there to tick", loop)
	}
	next("where")
	p.bare("wizard-where")
	p.fill("input[name=place]", d.folder("images"))
	next("when")
	p.bare("wizard-when")
	next("options")
	p.bare("wizard-options")
	next("summary")
	value[string](p, `document.querySelector("input[name=name]").value = ""`)
	p.fill("input[name=name]", "letters")
	p.bare("wizard-summary")
	p.expect(u.origin + "/backups/letters")
	p.click(`.bar button[value="save"]`)
	p.until("location.pathname == '/backups/letters'")
	data, err := os.ReadFile(d.path("definitions", "letters.xml"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := plan.ParseXML(data)
	if err != nil || len(f.Definition.Sources) != 1 || len(f.Definition.Schedules) != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	d.runs("letters")
}
