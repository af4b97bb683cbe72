package console

import (
	"path/filepath"
	"testing"
)

// TestPages looks at the pages over a real service, before and after a run, and
// at a run that is started from its page.
func TestPages(t *testing.T) {
	d := newDaemon(t)
	u := newUI(t, d.path("api.sock"))
	p := open(t, u.origin)
	p.expect(u.origin + "/")
	p.follow(u.URL, "/")
	p.reads("Nothing is protected yet.")
	p.sound("overview-first")
	d.define("letters", 8, "")
	d.until("the definition", func() bool {
		st, err := d.api.Status(t.Context())
		return err == nil && len(st.Definitions) == 1
	})
	p.visit("/backups/letters", 200)
	p.sound("backup")
	p.expect(u.origin + "/backups/letters/run")
	p.expect(u.origin + "/jobs/1")
	p.expect(u.origin + "/activity/1")
	p.click(`form[action="/backups/letters/run"] button`)
	p.until("location.pathname == '/activity/1'") // by itself, when the run has ended
	p.sound("run")
	for path, name := range map[string]string{
		"/": "overview", "/backups": "backups", "/activity": "activity", "/disks": "disks", "/settings": "settings", "/unlock": "unlock", "/backups/new": "wizard-new",
	} {
		p.visit(path, 200)
		p.sound(name)
	}
	p.visit("/", 200)
	p.reads("protected")
}

// TestServiceAway: the first page says so, and stays readable.
func TestServiceAway(t *testing.T) {
	u := newUI(t, filepath.Join(t.TempDir(), "no.sock"))
	p := open(t, u.origin)
	p.expect(u.origin + "/")
	p.follow(u.URL, "/")
	p.reads("The Ingot service does not answer.")
	p.sound("overview-away")
}
