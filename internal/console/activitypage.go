package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/job"
	"ingot/internal/service"
)

// activityBody is the history.
type activityBody struct {
	Definition, State string
	Names             []string
	States            []choice
	Now, Runs         []view.RunRow
	Filtered          bool
	Older             string
}

// choice is one of a list, with the word people read.
type choice struct{ Value, Say string }

// results are the ends of a run that can be looked for.
func results() (out []choice) {
	for _, s := range []service.State{service.Success, service.Warned, service.Failed, service.Stopped, service.Interrupted, service.Missed, service.Skipped} {
		out = append(out, choice{string(s), view.ResultWord(s)})
	}
	return out
}

func (c *Console) activityPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	before, _ := strconv.ParseUint(q.Get("before"), 10, 64) // anything else is the newest
	f := service.Filter{Definition: q.Get("definition"), State: service.State(q.Get("state")), Before: before, Limit: runsOnPage}
	st, err := c.Service.Status(r.Context())
	var runs []service.Run
	if err == nil {
		runs, err = c.Service.Runs(r.Context(), f)
	}
	if err != nil {
		c.fail(w, r, "activity", err)
		return
	}
	b := &activityBody{Definition: f.Definition, State: string(f.State), States: results(), Filtered: f.Definition != "" || f.State != "" || before > 0}
	for _, d := range st.Definitions {
		b.Names = append(b.Names, d.Name)
	}
	for i := range runs {
		if row := view.RunRowOf(&runs[i], st.Now); row.Ended {
			b.Runs = append(b.Runs, row)
		} else {
			b.Now = append(b.Now, row)
		}
	}
	if len(runs) == runsOnPage {
		v := url.Values{"before": {fmt.Sprint(runs[len(runs)-1].ID)}}
		for k, s := range map[string]string{"definition": f.Definition, "state": string(f.State)} {
			if s != "" {
				v.Set(k, s)
			}
		}
		b.Older = "/activity?" + v.Encode()
	}
	c.show(w, r, http.StatusOK, "activity", &Page{Title: "Activity", Nav: "activity", Body: b})
}

// runBody is what became of a run.
type runBody struct {
	view.Lead
	Run    service.Run
	Type   string
	Report *job.Report
	Stages []service.Line // of the part of the log that is shown
	logBody
}

// logBody is a part of a log.
type logBody struct {
	Lines       []service.Line
	LogWrong    string
	First, More string // addresses of other parts
}

// id is the number of a run in an address.
func (c *Console) id(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	n, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		c.show(w, r, http.StatusNotFound, "trouble", &Page{Title: "Not found", Nav: "activity", Body: trouble{
			Say: "There is no such run.", What: view.Text(r.PathValue("id")) + " is no number of a run."}})
	}
	return n, err == nil
}

func (c *Console) runPage(w http.ResponseWriter, r *http.Request) {
	id, ok := c.id(w, r)
	if !ok {
		return
	}
	run, err := c.Service.Run(r.Context(), id)
	if err != nil {
		c.fail(w, r, "activity", err)
		return
	}
	if !run.State.Ended() {
		http.Redirect(w, r, fmt.Sprintf("/jobs/%d", id), http.StatusSeeOther)
		return
	}
	b := &runBody{Lead: view.RunLead(&run, time.Now()), Run: run, Type: view.RunType(&run), Report: run.Report}
	b.logBody = c.log(r, id)
	for _, l := range b.Lines {
		if l.Kind == "stage" {
			b.Stages = append(b.Stages, l)
		}
	}
	c.show(w, r, http.StatusOK, "run", &Page{Title: b.Say, Nav: "activity", Body: b})
}

// log gives the part of a run's log that the address asks for. Without it the
// rest of the page is still good.
func (c *Console) log(r *http.Request, id uint64) (b logBody) {
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil || from < 0 {
		from = 0
	}
	lines, err := c.Service.Log(r.Context(), id, from)
	if err != nil {
		b.LogWrong = err.Error()
		return b
	}
	b.Lines = lines.Lines
	if from > 0 {
		b.First = fmt.Sprintf("/activity/%d#log", id)
	}
	if lines.More && len(lines.Lines) > 0 {
		b.More = fmt.Sprintf("/activity/%d?from=%d#log", id, lines.Next)
	}
	return b
}
