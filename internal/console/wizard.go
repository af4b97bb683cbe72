package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"ingot/internal/console/draft"
	"ingot/internal/plan"
	"ingot/internal/preview"
	"ingot/internal/result"
	"ingot/internal/service"
)

// The image wizard. What was chosen is a draft of the service, so that nothing is
// lost by a reload, a second tab or a restart. Each step is a page with one form:
// a POST puts what was typed into the draft and answers with 303 to the page that
// shows it, or the next one. A draft that was changed since the page was made
// stays as it is.

// wizardRoutes are the pages of the wizard.
func (c *Console) wizardRoutes() {
	c.mux.HandleFunc("GET /backups/new", c.wizardStart)
	c.mux.HandleFunc("POST /backups/new", func(w http.ResponseWriter, r *http.Request) {
		d, err := c.Service.NewDraft(r.Context(), draft.Kind, draft.New(runtime.GOOS))
		c.back(w, r, "backups", stepAddress(d.ID, draft.What), err)
	})
	c.mux.HandleFunc("GET /backups/new/{draft}/{step}", c.onDraft(c.wizardPage))
	c.mux.HandleFunc("POST /backups/new/{draft}/{step}", c.onDraft(c.wizardPost))
}

func stepAddress(id string, step int) string {
	return "/backups/new/" + url.PathEscape(id) + "/" + draft.Words[step]
}

// wizard is a request about a step of a draft.
type wizard struct {
	ID, Version string
	Step        int
	Draft       *draft.Draft
	facts       draft.Facts
	disksErr    error
	changed     time.Time
}

// onDraft reads the draft that the address names.
func (c *Console) onDraft(do func(http.ResponseWriter, *http.Request, *wizard)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		step := slices.Index(draft.Words[:], r.PathValue("step"))
		kept, err := c.Service.Draft(r.Context(), r.PathValue("draft"))
		x := &wizard{ID: kept.ID, Version: kept.Version, Step: step, Draft: &draft.Draft{}, changed: kept.Changed}
		if err == nil && (step < 0 || kept.Kind != draft.Kind) {
			err = &service.Problem{Title: "There is no such step.", Status: http.StatusNotFound}
		}
		if err == nil {
			err = json.Unmarshal(kept.Data, x.Draft)
		}
		if err != nil {
			c.fail(w, r, "backups", err)
			return
		}
		x.Draft.Done = min(max(x.Draft.Done, 0), draft.Summary) // the service does not look into drafts
		do(w, r, x)
	}
}

// wizardStart lists the drafts, and begins a new one.
func (c *Console) wizardStart(w http.ResponseWriter, r *http.Request) {
	all, err := c.Service.Drafts(r.Context())
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	var body []draftRow
	for _, kept := range all {
		var d draft.Draft
		if kept.Kind == draft.Kind && json.Unmarshal(kept.Data, &d) == nil {
			at := min(max(d.Done, 0), draft.Summary)
			body = append(body, draftRow{stepAddress(kept.ID, at), d.Name, draft.Names[at], when(kept.Changed)})
		}
	}
	c.show(w, r, http.StatusOK, "wizard-start", &Page{Title: "New backup", Nav: "backups", Body: body})
}

// draftRow is a draft to go on with.
type draftRow struct{ Link, Name, Step, Changed string }

// learn gathers what the draft is compared with at its step.
func (c *Console) learn(ctx context.Context, x *wizard) {
	f := &x.facts
	f.Disks, x.disksErr = c.Service.Disks(ctx)
	f.Now, f.Zone = time.Now(), time.Local
	if x.Step >= draft.Where && x.Step != draft.Options {
		f.Places = c.look(ctx, x.Draft, f.Disks)
	}
	if x.Step == draft.When || x.Step == draft.Summary {
		f.Others = c.others(ctx, x.Step == draft.Summary)
		if def, bad := x.Draft.Definition(); len(bad) == 0 && len(def.Schedules) > 0 {
			f.Calendar, _ = preview.Simulate(def, f.Now, draft.Horizon, f.Zone, c.host) // without one there is none to show
		}
	}
}

// look has the places of a draft looked at.
func (c *Console) look(ctx context.Context, d *draft.Draft, disks []result.Disk) []*draft.Place {
	out := make([]*draft.Place, len(d.Places))
	for i, path := range d.Places {
		if path = strings.TrimSpace(path); !plan.Absolute(path) {
			continue
		}
		found, err := c.Service.CheckPlace(ctx, path, d.Devices(disks))
		out[i] = &draft.Place{PlaceCheck: found}
		if err != nil {
			out[i].Path, out[i].Err = path, err.Error()
		}
	}
	return out
}

// others are the definitions that there are; read says whether their files are
// wanted. What cannot be read is compared with by its name.
func (c *Console) others(ctx context.Context, read bool) (out []draft.Other) {
	st, err := c.Service.Status(ctx)
	if err != nil {
		return nil
	}
	for _, d := range st.Definitions {
		o := draft.Other{Name: d.Name, Next: d.Next}
		if read {
			if doc, err := c.Service.Document(ctx, d.Name); err == nil {
				if f, err := plan.ParseXML([]byte(doc.XML)); err == nil {
					o.Def = &f.Definition
				}
			}
		}
		out = append(out, o)
	}
	return out
}

// wizardPage shows a step.
func (c *Console) wizardPage(w http.ResponseWriter, r *http.Request, x *wizard) {
	if x.Step > x.Draft.Done {
		http.Redirect(w, r, stepAddress(x.ID, x.Draft.Done), http.StatusSeeOther)
		return
	}
	c.learn(r.Context(), x)
	said := r.FormValue("said") != ""
	body := &wizardBody{wizard: x, Said: said, System: runtime.GOOS, host: c.host}
	all := x.Draft.Check(&x.facts)
	body.Problems = draft.Of(all, x.Step)
	if !said && x.Step >= x.Draft.Done { // nothing was asked for yet
		body.Problems = slices.DeleteFunc(body.Problems, func(p draft.Problem) bool { return p.Level != draft.Note })
	}
	if x.Step == draft.Summary {
		body.earlier(all)
	}
	body.day(r.FormValue("day"))
	c.show(w, r, http.StatusOK, "wizard-"+draft.Words[x.Step], &Page{Title: "New backup: " + draft.Names[x.Step], Nav: "backups", Body: body})
}

// wizardPost takes what was typed at a step.
func (c *Console) wizardPost(w http.ResponseWriter, r *http.Request, x *wizard) {
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, "backups", &service.Problem{Title: err.Error(), Status: http.StatusBadRequest})
		return
	}
	do := r.PostFormValue("do")
	if do == "discard" {
		c.back(w, r, "backups", "/backups/new", c.Service.DeleteDraft(r.Context(), x.ID))
		return
	}
	before := x.Draft.Template
	if x.Step == draft.What || x.Step == draft.When {
		x.facts.Disks, x.disksErr = c.Service.Disks(r.Context())
	}
	if x.Step == draft.What && x.disksErr != nil {
		c.fail(w, r, "backups", x.disksErr)
		return
	}
	x.read(r.PostForm)
	if do == "next" && x.Draft.Template != before {
		do = "stay"
	}
	to, err := c.move(r.Context(), x, do)
	if err == nil && to == "" {
		to, err = c.finish(r.Context(), x, r.PostFormValue("version"), do == "run")
	} else if err == nil {
		_, err = c.Service.SaveDraft(r.Context(), x.ID, r.PostFormValue("version"), x.Draft)
	}
	c.saved(w, r, x, to, err)
}

// saved answers when a draft was kept, or was not.
func (c *Console) saved(w http.ResponseWriter, r *http.Request, x *wizard, to string, err error) {
	var p *service.Problem
	switch {
	case !errors.As(err, &p):
	case p.Code == "exists": // since the summary was made: now it says so
		to, err = stepAddress(x.ID, draft.Summary)+"?said=1#problems", nil
	case p.Status == http.StatusPreconditionFailed:
		c.show(w, r, http.StatusConflict, "wizard-changed", &Page{Title: "Changed meanwhile", Nav: "backups", Body: changedBody{when(x.changed), stepAddress(x.ID, min(x.Step, x.Draft.Done))}})
		return
	}
	c.back(w, r, "backups", to, err)
}

// changedBody is the page of a draft that somebody else has changed.
type changedBody struct{ When, Link string }

// move does what a button asks for, and says where to go on: "" is to finish.
func (c *Console) move(ctx context.Context, x *wizard, do string) (string, error) {
	here := stepAddress(x.ID, x.Step)
	verb, what, _ := strings.Cut(do, " ")
	switch verb {
	case "later":
		return "/backups/new", nil
	case "back":
		return stepAddress(x.ID, max(x.Step-1, 0)), nil
	case "next", "save", "run":
		c.learn(ctx, x)
		all := x.Draft.Check(&x.facts)
		blocked := draft.Blocked(all, x.Step)
		for step := 0; x.Step == draft.Summary && step < draft.Summary; step++ {
			blocked = blocked || draft.Blocked(all, step)
		}
		if x.Draft.Ask(all, x.Step) || blocked {
			return here + "?said=1#problems", nil
		}
		if x.Step == draft.Summary {
			return "", nil
		}
		x.Draft.Done = max(x.Draft.Done, x.Step+1)
		return stepAddress(x.ID, x.Step+1), nil
	}
	x.small(verb, what)
	return here, nil
}

// small does what a button changes within a step.
func (x *wizard) small(verb, what string) {
	d := x.Draft
	switch verb {
	case "windows":
		d.Windows, d.Disks = true, nil
	case "fixed":
		d.PickFixed(x.facts.Disks)
	case "none":
		d.Windows, d.Disks = false, nil
	case "efi":
		parts := []string{what}
		var whole []string
		for _, k := range d.Disks {
			if k.Whole {
				whole = append(whole, k.Key)
			}
			for _, p := range k.Parts {
				parts = append(parts, fmt.Sprintf("%s@%d", k.Key, p.Off))
			}
		}
		d.Pick(x.facts.Disks, whole, parts)
	case "forever":
		d.Take("forever")
	case "place":
		if len(d.Places) < mostPlaces {
			d.Places = append(d.Places, "")
		}
	}
}

// finish saves the definition, and starts it if asked to.
func (c *Console) finish(ctx context.Context, x *wizard, version string, run bool) (string, error) {
	def, _ := x.Draft.Definition()
	xml, err := (&plan.File{Definition: *def}).Encode()
	if err != nil {
		return "", err
	}
	// Two tabs do not save two different things.
	kept, err := c.Service.SaveDraft(ctx, x.ID, version, x.Draft)
	if err != nil {
		return "", err
	}
	if _, err := c.Service.SaveDocument(ctx, def.Name, "", xml); err != nil {
		return "", err
	}
	if err := c.Service.DeleteDraft(ctx, kept.ID); err != nil {
		c.Log.Warn("a draft that was finished is still there", "error", err)
	}
	if run {
		if _, err := c.Service.Start(ctx, def.Name, ""); err != nil {
			return "", err
		}
	}
	return "/backups/" + url.PathEscape(def.Name), nil
}

// Bad are the problems of a field.
func (b *wizardBody) Bad(field string) (out []draft.Problem) {
	for _, p := range b.Problems {
		if p.Field == field {
			out = append(out, p)
		}
	}
	return out
}

// Aria are the attributes of a field that has problems, or a text that explains it.
func (b *wizardBody) Aria(field string, more ...string) template.HTMLAttr {
	bad := b.Bad(field)
	if len(bad) > 0 {
		more = append(more, "bad-"+field)
	}
	out := ""
	if len(more) > 0 {
		out = `aria-describedby="` + strings.Join(more, " ") + `"`
	}
	if slices.ContainsFunc(bad, func(p draft.Problem) bool { return p.Level == draft.Error }) {
		out += ` aria-invalid="true"`
	}
	return template.HTMLAttr(out)
}
