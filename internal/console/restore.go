package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"

	"ingot/internal/console/view"
	"ingot/internal/result"
	"ingot/internal/service"
)

// The restore wizard has no state but its address: every step is a GET with all
// that was chosen, so that Back, reloading and a second tab do what they should.
// Only the last step is a POST, and it is checked twice: the word by the console,
// and by the program that nothing has changed since (the fingerprint).

// restoreNames are the steps.
var restoreNames = []string{"Point in time", "Disk", "Layout", "Options", "Confirm"}

// restoreRoutes are the pages of the wizard.
func (c *Console) restoreRoutes() {
	c.mux.HandleFunc("GET /restore", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/points", http.StatusSeeOther)
	})
	for _, s := range []struct {
		pattern string
		page    func(http.ResponseWriter, *http.Request, *restoreChoice)
	}{
		{"GET /restore/disk", c.restoreDisk}, {"GET /restore/layout", c.restoreLayout}, {"GET /restore/options", c.restoreOptions},
		{"GET /restore/confirm", c.restoreConfirm}, {"POST /restore/run", c.restoreRun},
	} {
		c.mux.HandleFunc(s.pattern, func(w http.ResponseWriter, r *http.Request) {
			ch, err := restoreChoiceOf(r)
			if err != nil {
				c.fail(w, r, "points", &service.Problem{Title: err.Error(), Status: http.StatusBadRequest})
				return
			}
			s.page(w, r, ch)
		})
	}
}

// restoreChoice is what was chosen so far.
type restoreChoice struct {
	place
	Target        string
	Parts         []int // none means all
	Verify, Check bool
	Expect, Typed string
}

func restoreChoiceOf(r *http.Request) (*restoreChoice, error) {
	p, err := placeOf(r)
	if err != nil {
		return nil, err
	}
	if p.File == "" {
		return nil, errPlace
	}
	ch := &restoreChoice{place: place{Folder: p.Folder, File: p.File}, Target: r.FormValue("target"), Expect: r.FormValue("expect"), Typed: r.FormValue("typed")}
	ch.Verify, ch.Check = r.FormValue("verify") == "yes", r.FormValue("check") == "yes"
	if ch.Target != "" && !filepath.IsAbs(ch.Target) {
		return nil, errors.New("name the target by its whole path")
	}
	for _, s := range r.Form["number"] {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a partition", view.Text(s))
		}
		ch.Parts = append(ch.Parts, n)
	}
	return ch, nil
}

// errand is what the service is asked to do, or to foresee.
func (ch *restoreChoice) errand() service.Errand {
	return service.Errand{
		Verb: service.Restore, From: ch.image(), Target: ch.Target, Partitions: ch.Parts, Verify: ch.Verify, Check: ch.Check, Expect: ch.Expect,
	}
}

// values are the choice in an address.
func (ch *restoreChoice) values() url.Values {
	v := url.Values{"folder": {ch.Folder}, "file": {ch.File}}
	if ch.Target != "" {
		v.Set("target", ch.Target)
	}
	for _, n := range ch.Parts {
		v.Add("number", strconv.Itoa(n))
	}
	if ch.Verify {
		v.Set("verify", "yes")
	}
	if ch.Check {
		v.Set("check", "yes")
	}
	return v
}

func (ch *restoreChoice) address(step string) string {
	return "/restore/" + step + "?" + ch.values().Encode()
}

// Hidden are the fields of a form that keep what was chosen before.
func (ch *restoreChoice) Hidden(but ...string) (out [][2]string) {
	v := ch.values()
	for _, k := range []string{"folder", "file", "target", "number", "verify", "check"} {
		if !slices.Contains(but, k) {
			for _, s := range v[k] {
				out = append(out, [2]string{k, s})
			}
		}
	}
	return out
}

// restorePage is what every step shows.
type restorePage struct {
	Steps  stepList
	Image  string
	Choice *restoreChoice
	Back   string
	// Of the single steps:
	Disks   []diskCard
	Parts   []partChoice
	Plan    *result.Restore
	Fit     string
	Say     string
	Losses  []view.Loss
	Todo    []string
	Confirm view.Confirm
	Wrong   string
	Disk    string
}

// Next is the address of the step behind.
func (p *restorePage) Next() string {
	return p.Choice.address([]string{"disk", "layout", "options", "confirm"}[p.Steps.At])
}

// stepList is where in a wizard a page is.
type stepList struct {
	At    int
	Names []string
	Links []string // of those that are done; "" without
}

// page makes what is the same on all steps.
func (ch *restoreChoice) page(at int) *restorePage {
	links := []string{ch.place.at("/points/point"), ch.address("disk"), ch.address("layout"), ch.address("options"), ""}
	for i := at; i < len(links); i++ {
		links[i] = ""
	}
	p := &restorePage{Steps: stepList{at, restoreNames, links}, Image: view.Text(ch.image()), Choice: ch}
	if at > 0 {
		p.Back = links[at-1]
	}
	return p
}

func (c *Console) showRestore(w http.ResponseWriter, r *http.Request, status int, step string, p *restorePage) {
	c.show(w, r, status, "restore-"+step, &Page{Title: "Restore: " + step, Nav: "points", Body: p})
}

// diskCard is a disk that may be chosen, or why it may not.
type diskCard struct {
	Path, Name, Holds, Refused string
	Link                       string
}

// mostTargets is how many disks are asked about.
const mostTargets = 24

// restoreDisk is step 2: the disks of the machine, each with what a dry run says.
func (c *Console) restoreDisk(w http.ResponseWriter, r *http.Request, ch *restoreChoice) {
	disks, err := c.Service.Disks(r.Context())
	if err != nil {
		c.fail(w, r, "points", err)
		return
	}
	p := ch.page(1)
	for i := range disks[:min(len(disks), mostTargets)] {
		d := &disks[i]
		to := *ch
		to.Target, to.Parts = d.Path, nil
		card := diskCard{Path: view.Text(d.Path), Name: view.DiskName(d), Holds: holds(d)}
		if _, err := c.Service.Foresee(r.Context(), to.errand()); err != nil {
			card.Refused = view.Text(err.Error())
		} else {
			card.Link = to.address("layout")
		}
		p.Disks = append(p.Disks, card)
	}
	c.showRestore(w, r, http.StatusOK, "disk", p)
}

// holds says what is on a disk now.
func holds(d *result.Disk) string {
	if d.Error != "" {
		return "what is on it cannot be read: " + view.Text(d.Error)
	}
	if len(d.Partitions) == 0 {
		return "no partition table"
	}
	out := view.Count(len(d.Partitions), "partition")
	for _, p := range d.Partitions {
		if p.Label != "" {
			out += ", " + view.Text(p.Label)
		}
	}
	return out
}

// foreseen asks what the restore would do; what is in its way is the page's.
func (c *Console) foreseen(w http.ResponseWriter, r *http.Request, ch *restoreChoice, p *restorePage) bool {
	if ch.Target == "" {
		http.Redirect(w, r, ch.address("disk"), http.StatusSeeOther)
		return false
	}
	f, err := c.Service.Foresee(r.Context(), ch.errand())
	if err != nil {
		if errors.Is(err, service.ErrNotRunning) || errors.Is(err, service.ErrForbidden) {
			c.fail(w, r, "points", err)
			return false
		}
		p.Wrong = view.Text(err.Error())
		return true
	}
	p.Plan, p.Fit, p.Say, p.Losses, p.Todo = &f, view.FitSay(&f), view.LossSay(&f), view.Losses(&f), view.RestoreSteps(&f, ch.Verify, ch.Check)
	if f.Disk != nil {
		p.Confirm, p.Disk = view.ConfirmOf(f.Disk), view.DiskName(f.Disk)
	}
	return true
}

// partChoice is a partition of the image with its tick.
type partChoice struct {
	Number  int
	Name    string
	Size    int64
	Checked bool
}

// restoreLayout is step 3: which partitions, and how the disk will be.
func (c *Console) restoreLayout(w http.ResponseWriter, r *http.Request, ch *restoreChoice) {
	all := *ch
	all.Parts = nil
	p := ch.page(2)
	if !c.foreseen(w, r, &all, p) {
		return
	}
	var parts []partChoice
	if p.Plan != nil {
		for _, e := range p.Plan.Holds {
			parts = append(parts, partChoice{e.Number, view.Text(e.Name), e.Size, len(ch.Parts) == 0 || slices.Contains(ch.Parts, e.Number)})
		}
	}
	if len(ch.Parts) > 0 { // fewer than all: what that means is another plan
		p = ch.page(2)
		if !c.foreseen(w, r, ch, p) {
			return
		}
	}
	p.Parts = parts
	c.showRestore(w, r, http.StatusOK, "layout", p)
}

// restoreOptions is step 4. Both checks are proposed.
func (c *Console) restoreOptions(w http.ResponseWriter, r *http.Request, ch *restoreChoice) {
	p := ch.page(3)
	if c.foreseen(w, r, ch, p) {
		c.showRestore(w, r, http.StatusOK, "options", p)
	}
}

// restoreConfirm is step 5: what is lost, what is done, and the word to type.
func (c *Console) restoreConfirm(w http.ResponseWriter, r *http.Request, ch *restoreChoice) {
	p := ch.page(4)
	if c.foreseen(w, r, ch, p) {
		c.showRestore(w, r, http.StatusOK, "confirm", p)
	}
}

// restoreRun begins the restore. The target is looked at anew: the word must be
// of the disk that is there now, and the fingerprint the one that was shown. The
// program compares it once more before it writes.
func (c *Console) restoreRun(w http.ResponseWriter, r *http.Request, ch *restoreChoice) {
	p := ch.page(4)
	if !c.foreseen(w, r, ch, p) {
		return
	}
	switch {
	case p.Plan == nil:
	case p.Plan.Fingerprint != ch.Expect:
		p.Wrong = view.Text(ch.Target) + " is no longer what you looked at, or something else would be restored. Nothing was written. Look at it again below."
	case !p.Confirm.Is(ch.Typed):
		p.Wrong = "What you typed is not what is asked for. Nothing was written."
	default:
		run, err := c.Service.Errand(r.Context(), ch.errand())
		c.back(w, r, "points", fmt.Sprintf("/jobs/%d", run.ID), err)
		return
	}
	c.showRestore(w, r, http.StatusConflict, "confirm", p)
}
