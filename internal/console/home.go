package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/plan"
	"ingot/internal/result"
	"ingot/internal/service"
)

// serviceRoutes are the pages over the service: what is defined, what runs, what
// ran, and the disks.
func (c *Console) serviceRoutes() {
	c.mux.HandleFunc("GET /{$}", c.overview)
	c.mux.HandleFunc("GET /backups", c.backups)
	c.mux.HandleFunc("GET /backups/{name}", c.backup)
	c.mux.HandleFunc("POST /backups/{name}/{verb}", c.backupDo)
	c.mux.HandleFunc("GET /activity", c.activity)
	c.mux.HandleFunc("GET /activity/{id}", c.run)
	c.mux.HandleFunc("GET /jobs/{id}", c.job)
	c.mux.HandleFunc("GET /jobs/{id}/now", c.jobNow)
	c.mux.HandleFunc("POST /jobs/{id}/cancel", c.jobCancel)
	c.mux.HandleFunc("GET /disks", c.disks)
	c.mux.HandleFunc("GET /unlock", c.unlock)
	c.mux.HandleFunc("POST /unlock", c.unlockAsk)
	c.mux.HandleFunc("POST /lock", func(w http.ResponseWriter, r *http.Request) {
		c.back(w, r, "overview", "/", c.Service.Lock(r.Context()))
	})
}

// backupRow is a definition in a table.
type backupRow struct {
	Name, Link, Mark, State, Problem, Comment string
	LastGood, Next, LastWord                  string
	Places                                    []string
	Running                                   uint64
}

func backupRowOf(d *service.DefinitionStatus, now time.Time) backupRow {
	r := backupRow{Name: view.Text(d.Name), Link: "/backups/" + pathSegment(d.Name), State: d.State, Mark: "ok", Problem: view.Text(d.Problem), Comment: view.Text(d.Comment), LastGood: "never", Next: "by hand only"}
	if !d.LastGood.IsZero() {
		r.LastGood = view.Age(now.Sub(d.LastGood)) + " ago"
	}
	if !d.Next.IsZero() {
		r.Next = when(d.Next)
	}
	if d.Last != nil {
		r.LastWord, r.Mark = view.StateWord(d.Last.State), view.StateMark(d.Last.State)
	}
	switch {
	case d.State == "refused", d.Overdue:
		r.Mark = "fail"
	case d.State != "ready":
		r.Mark = "off"
	case d.LastGood.IsZero() && d.Last == nil:
		r.Mark = "unknown"
	}
	if d.Current != nil {
		r.Running, r.Mark = d.Current.ID, "run"
	}
	for _, p := range d.Places {
		r.Places = append(r.Places, view.Text(p))
	}
	return r
}

// home is the first page, and the list of backups.
type home struct {
	view.Sentence
	Away, Fix string
	Rows      []backupRow
	Warnings  []string
}

func (c *Console) homeOf(r *http.Request) (*home, error) {
	st, err := c.Service.Status(r.Context())
	if err != nil {
		return nil, err
	}
	h := &home{Sentence: view.Protection(&st)}
	for i := range st.Definitions {
		h.Rows = append(h.Rows, backupRowOf(&st.Definitions[i], st.Now))
	}
	for _, w := range st.Warnings {
		h.Warnings = append(h.Warnings, view.Text(w))
	}
	return h, nil
}

// overview is there without the service too: it says that it is away.
func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	h, err := c.homeOf(r)
	if err != nil {
		h = &home{Sentence: view.Sentence{Mark: "fail", Say: "The Ingot service does not answer.", More: "Backups may not be running. Folders with images can be opened all the same, under Restore points."}, Away: view.Text(err.Error())}
		h.Fix = "sudo ingot service install"
		if errors.Is(err, service.ErrForbidden) {
			h.Sentence = view.Sentence{Mark: "off", Say: "The Ingot service does not know you.", More: "Folders with images can be opened all the same, under Restore points."}
			h.Fix = "sudo usermod -aG ingot " + c.User
		}
	}
	c.show(w, r, http.StatusOK, "overview", &Page{Title: "Overview", Nav: "overview", Body: h})
}

func (c *Console) backups(w http.ResponseWriter, r *http.Request) {
	h, err := c.homeOf(r)
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	c.show(w, r, http.StatusOK, "backups", &Page{Title: "Backups", Nav: "backups", Body: h})
}

// backupPage is one definition.
type backupPage struct {
	backupRow
	Runs []runRow
	Path string
}

func (c *Console) backup(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	st, err := c.Service.Status(r.Context())
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	i := slices.IndexFunc(st.Definitions, func(d service.DefinitionStatus) bool { return d.Name == name })
	if i < 0 {
		c.fail(w, r, "backups", &service.Problem{Title: "There is no backup " + view.Text(name) + ".", Status: http.StatusNotFound})
		return
	}
	runs, err := c.Service.Runs(r.Context(), service.Filter{Definition: name, Limit: 30})
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	c.show(w, r, http.StatusOK, "backup", &Page{Title: "Backup " + view.Text(name), Nav: "backups", Body: &backupPage{backupRowOf(&st.Definitions[i], st.Now), rowsOf(runs), "/backups/" + pathSegment(name)}})
}

// backupDo starts a run, or holds the schedules.
func (c *Console) backupDo(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	page := "/backups/" + pathSegment(name)
	switch r.PathValue("verb") {
	case "run":
		run, err := c.Service.Start(r.Context(), name, plan.Type(r.FormValue("type")))
		c.back(w, r, "backups", fmt.Sprintf("/jobs/%d", run.ID), err)
	case "pause":
		c.back(w, r, "backups", page, c.Service.Pause(r.Context(), name, true))
	case "resume":
		c.back(w, r, "backups", page, c.Service.Pause(r.Context(), name, false))
	default:
		c.nowhere(w, r)
	}
}

// runRow is a run in a table.
type runRow struct {
	ID                              uint64
	At, Mark, Word, What, Took, Err string
	Stored                          string
}

func rowsOf(runs []service.Run) (out []runRow) {
	for i := range runs {
		r := &runs[i]
		at := r.Began
		if at.IsZero() {
			at = r.Queued
		}
		row := runRow{ID: r.ID, At: when(at), Mark: view.StateMark(r.State), Word: view.StateWord(r.State), What: view.Text(r.Title()), Err: view.Text(r.Error)}
		if !r.Ended.IsZero() && !r.Began.IsZero() {
			row.Took = view.Age(r.Ended.Sub(r.Began))
		}
		if r.Report != nil {
			row.Stored = view.Bytes(r.Report.Stored())
		}
		out = append(out, row)
	}
	return out
}

// activityPage is a part of the history.
type activityPage struct {
	Jobs, Runs []runRow
	Before     uint64 // where older ones begin; 0: there are none
	State      string
}

// runsOnPage is how many runs a page of the history has.
const runsOnPage = 50

func (c *Console) activity(w http.ResponseWriter, r *http.Request) {
	f := service.Filter{State: service.State(r.FormValue("state")), Limit: runsOnPage}
	f.Before, _ = strconv.ParseUint(r.FormValue("before"), 10, 64)
	runs, err := c.Service.Runs(r.Context(), f)
	var q service.Queue
	if err == nil {
		q, err = c.Service.Queue(r.Context())
	}
	if err != nil {
		c.fail(w, r, "activity", err)
		return
	}
	p := &activityPage{State: string(f.State)}
	for i := range q.Jobs {
		p.Jobs = append(p.Jobs, rowsOf([]service.Run{q.Jobs[i].Run})...)
	}
	ended := slices.DeleteFunc(slices.Clone(runs), func(r service.Run) bool { return !r.State.Ended() })
	p.Runs = rowsOf(ended)
	if len(runs) == runsOnPage {
		p.Before = runs[len(runs)-1].ID
	}
	c.show(w, r, http.StatusOK, "activity", &Page{Title: "Activity", Nav: "activity", Body: p})
}

// runPage is a run that has ended.
type runPage struct {
	runRow
	Cause, By, Hint string
	Images          []string
	Warnings, Notes []string
	Log             []logLine
	More            int // the line from which there is more of the log
}

type logLine struct{ At, Kind, Text string }

func number(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, &service.Problem{Title: "There is no such run.", Status: http.StatusNotFound}
	}
	return id, nil
}

func (c *Console) run(w http.ResponseWriter, r *http.Request) {
	id, err := number(r)
	var run service.Run
	if err == nil {
		run, err = c.Service.Run(r.Context(), id)
	}
	if err != nil {
		c.fail(w, r, "activity", err)
		return
	}
	p := &runPage{runRow: rowsOf([]service.Run{run})[0], Cause: view.Text(string(run.Cause)), By: view.Text(run.By), Hint: view.Text(run.Hint)}
	if rep := run.Report; rep != nil {
		for i := range rep.Images {
			p.Images = append(p.Images, view.Text(rep.Images[i].File))
		}
		for _, s := range rep.Warnings {
			p.Warnings = append(p.Warnings, view.Text(s))
		}
		for _, s := range rep.Notes {
			p.Notes = append(p.Notes, view.Text(s))
		}
	}
	from, _ := strconv.Atoi(r.FormValue("from"))
	p.Log, p.More = c.logOf(r.Context(), id, max(from, 0))
	c.show(w, r, http.StatusOK, "run", &Page{Title: "Run " + strconv.FormatUint(id, 10), Nav: "activity", Body: p})
}

// logOf is a part of the log; a run whose log is gone has none.
func (c *Console) logOf(ctx context.Context, id uint64, from int) (out []logLine, more int) {
	l, err := c.Service.Log(ctx, id, from)
	if err != nil {
		return nil, 0
	}
	for _, x := range l.Lines {
		text := x.Text
		if x.Stage != "" && text == "" {
			text = x.Stage + " begins"
		}
		out = append(out, logLine{x.Time.Local().Format(time.TimeOnly), view.Text(x.Kind), view.Text(text)})
	}
	if l.More && len(l.Lines) > 0 {
		more = l.Next
	}
	return out, more
}

// jobPage is a run under way.
type jobPage struct {
	runRow
	view.Progress
	Restore bool
	Log     []logLine
}

// jobOf finds a run under way; nil when it has ended.
func (c *Console) jobOf(r *http.Request) (*service.Job, uint64, error) {
	id, err := number(r)
	if err != nil {
		return nil, 0, err
	}
	q, err := c.Service.Queue(r.Context())
	i := slices.IndexFunc(q.Jobs, func(j service.Job) bool { return j.ID == id })
	if err != nil || i < 0 {
		return nil, id, err
	}
	return &q.Jobs[i], id, nil
}

func (c *Console) job(w http.ResponseWriter, r *http.Request) {
	j, id, err := c.jobOf(r)
	switch {
	case err != nil:
		c.fail(w, r, "activity", err)
		return
	case j == nil:
		http.Redirect(w, r, fmt.Sprintf("/activity/%d", id), http.StatusSeeOther)
		return
	}
	p := &jobPage{runRow: rowsOf([]service.Run{j.Run})[0], Progress: view.ProgressOf(j), Restore: j.Errand != nil && j.Errand.Verb == service.Restore}
	p.Log, _ = c.logOf(r.Context(), id, 0)
	c.show(w, r, http.StatusOK, "job", &Page{Title: p.What, Nav: "activity", Body: p})
}

// jobNow is what the page of a job asks again and again.
func (c *Console) jobNow(w http.ResponseWriter, r *http.Request) {
	j, _, err := c.jobOf(r)
	if err != nil {
		http.Error(w, "the service does not answer", http.StatusBadGateway)
		return
	}
	out := struct {
		view.Progress
		Ended bool   `json:"ended"`
		State string `json:"state"`
	}{Ended: j == nil}
	if j != nil {
		out.Progress, out.State = view.ProgressOf(j), string(j.State)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (c *Console) jobCancel(w http.ResponseWriter, r *http.Request) {
	id, err := number(r)
	if err == nil {
		err = c.Service.Cancel(r.Context(), id)
	}
	c.back(w, r, "activity", fmt.Sprintf("/jobs/%d", id), err)
}

// diskRow is a disk with its partitions.
type diskRow struct {
	Name, Path, Bus, Table, Error string
	Parts                         []diskPart
	Warnings                      []string
}

type diskPart struct {
	Number                         int
	Name, System, Size, Used, Type string
}

func (c *Console) disks(w http.ResponseWriter, r *http.Request) {
	all, err := c.Service.Disks(r.Context())
	if err != nil {
		c.fail(w, r, "disks", err)
		return
	}
	var rows []diskRow
	for i := range all {
		rows = append(rows, diskRowOf(&all[i]))
	}
	c.show(w, r, http.StatusOK, "disks", &Page{Title: "Disks", Nav: "disks", Body: rows})
}

func diskRowOf(d *result.Disk) diskRow {
	row := diskRow{Name: view.DiskName(d), Path: view.Text(d.Path), Bus: view.Text(d.Bus), Table: view.Text(d.Scheme), Error: view.Text(d.Error)}
	for i := range d.Partitions {
		p := &d.Partitions[i]
		row.Parts = append(row.Parts, diskPart{p.Number, view.Text(p.Name + " " + p.Label), view.Text(p.FileSystem), view.Bytes(p.Size), view.Bytes(p.Used), view.Text(p.TypeName)})
		for _, warning := range p.Warnings {
			row.Warnings = append(row.Warnings, fmt.Sprintf("Partition %d: %s", p.Number, view.Text(warning)))
		}
	}
	for _, warning := range d.Warnings {
		row.Warnings = append(row.Warnings, view.Text(warning))
	}
	return row
}

// unlockPage asks for the rights of an administrator.
type unlockPage struct {
	Code  string
	Until string
}

func (c *Console) unlock(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusOK, "unlock", &Page{Title: "Unlock changes", Body: &unlockPage{}})
}

func (c *Console) unlockAsk(w http.ResponseWriter, r *http.Request) {
	code, err := c.Service.AskUnlock(r.Context())
	if err != nil {
		c.fail(w, r, "", err)
		return
	}
	c.show(w, r, http.StatusOK, "unlock", &Page{Title: "Unlock changes", Body: &unlockPage{code.Code, code.Until.Local().Format(time.TimeOnly)}})
}
