package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"ingot/internal/console/view"
	"ingot/internal/plan"
	"ingot/internal/service"
)

// backupsBody is the list of definitions.
type backupsBody struct {
	Backups []backupRow
	Folder  string
	New     []string
}

// backupBody is one definition.
type backupBody struct {
	backupRow
	Alerts []view.Alert
	Paused bool
	Ready  bool
	Runs   []view.RunRow
	More   string
}

// backupLink is the page of a definition.
func backupLink(name string) string { return "/backups/" + url.PathEscape(name) }

func (c *Console) backupsPage(w http.ResponseWriter, r *http.Request) {
	st, err := c.Service.Status(r.Context())
	b := &backupsBody{Folder: st.Folder, New: newCommands()}
	if err == nil {
		b.Backups, err = c.backupRows(r.Context(), &st)
	}
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	c.show(w, r, http.StatusOK, "backups", &Page{Title: "Backups", Nav: "backups", Body: b})
}

func (c *Console) backupPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	st, err := c.Service.Status(r.Context())
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	i := slices.IndexFunc(st.Definitions, func(d service.DefinitionStatus) bool { return d.Name == name })
	if i < 0 {
		c.show(w, r, http.StatusNotFound, "trouble", &Page{Title: "Not found", Nav: "backups", Body: trouble{Say: "There is no such backup.", What: view.Text(name) + " is not defined."}})
		return
	}
	st.Definitions, st.Warnings, st.Paused = st.Definitions[i:i+1], nil, false
	d := &st.Definitions[0]
	runs, err := c.Service.Runs(r.Context(), service.Filter{Definition: name, Limit: stripRuns})
	if err != nil {
		c.fail(w, r, "backups", err)
		return
	}
	b := &backupBody{backupRow: backupRow{view.BackupOf(d, st.Now), backupLink(name)}, Alerts: view.Alerts(&st), Paused: d.State == "paused", Ready: d.State != "refused"}
	b.Cells, b.CellsSay = view.Strip(runs, st.Now, len(runs) == stripRuns)
	for i := range runs[:min(len(runs), 10)] {
		b.Runs = append(b.Runs, view.RunRowOf(&runs[i], st.Now))
	}
	b.More = "/activity?" + url.Values{"definition": {name}}.Encode()
	c.show(w, r, http.StatusOK, "backup", &Page{Title: view.Text(name), Nav: "backups", Body: b})
}

// runBackup begins a run and goes to it.
func (c *Console) runBackup(w http.ResponseWriter, r *http.Request) {
	t := plan.Type(r.PostFormValue("type"))
	if !slices.Contains([]plan.Type{"", plan.Full, plan.Differential, plan.Incremental}, t) {
		c.show(w, r, http.StatusBadRequest, "trouble", &Page{Title: "Trouble", Nav: "backups", Body: trouble{Say: "That did not work.", What: view.Text(string(t)) + " is no type of a backup."}})
		return
	}
	run, err := c.Service.Start(r.Context(), r.PathValue("name"), t)
	c.back(w, r, "backups", fmt.Sprintf("/jobs/%d", run.ID), err)
}

// holdBackup pauses a definition or has it go on.
func (c *Console) holdBackup(on bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		c.back(w, r, "backups", backupLink(name), c.Service.Pause(r.Context(), name, on))
	}
}
