package console

import (
	"context"
	"errors"
	"net/http"
	"runtime"

	"ingot/internal/console/view"
	"ingot/internal/service"
)

// What pages ask for at the most.
const (
	maxStrips  = 24  // definitions whose history is drawn
	stripRuns  = 500 // runs of each
	runsOnPage = 50
)

// overviewBody is the first page.
type overviewBody struct {
	view.Lead
	Away    string // the command that starts the service, when it does not answer
	Backups []backupRow
	Alerts  []view.Alert
	Places  []placeRow
	New     []string
}

// backupRow is a definition with the address of its page.
type backupRow struct {
	view.Backup
	Link string
}

// placeRow is a place and the definitions that write there.
type placeRow struct {
	Path string
	By   []string
}

// newCommands are how a backup is defined in a terminal.
func newCommands() []string {
	if runtime.GOOS == "windows" {
		return []string{`ingot definition new system --from windows --to E:\Ingot --template forever --at 21:00`}
	}
	return []string{"sudo ingot definition new office --from /dev/sda --to /mnt/usb --template gfs"}
}

// startCommand begins the service.
func startCommand() string {
	if runtime.GOOS == "windows" {
		return "ingot service install (as administrator)"
	}
	return "sudo ingot service install"
}

func (c *Console) overviewPage(w http.ResponseWriter, r *http.Request) {
	st, err := c.Service.Status(r.Context())
	if errors.Is(err, service.ErrNotRunning) {
		c.show(w, r, http.StatusOK, "overview", &Page{Title: "Overview", Nav: "overview", Body: &overviewBody{
			Lead: view.Lead{Mark: "fail", Say: "The Ingot service does not answer.", Sub: "Backups may not be running."}, Away: startCommand()}})
		return
	}
	if err != nil {
		c.fail(w, r, "overview", err)
		return
	}
	b := &overviewBody{Lead: view.Protection(&st), Alerts: view.Alerts(&st), Places: placesOf(&st)}
	if b.Backups, err = c.backupRows(r.Context(), &st); err != nil {
		c.fail(w, r, "overview", err)
		return
	}
	if len(b.Backups) == 0 {
		b.New = newCommands()
	}
	c.show(w, r, http.StatusOK, "overview", &Page{Title: "Overview", Nav: "overview", Body: b})
}

// backupRows are all definitions, with the history of the first ones.
func (c *Console) backupRows(ctx context.Context, st *service.Status) (out []backupRow, err error) {
	for i := range st.Definitions {
		d := &st.Definitions[i]
		row := backupRow{view.BackupOf(d, st.Now), backupLink(d.Name)}
		if i < maxStrips {
			runs, err := c.Service.Runs(ctx, service.Filter{Definition: d.Name, Limit: stripRuns})
			if err != nil {
				return nil, err
			}
			row.Cells, row.CellsSay = view.Strip(runs, st.Now, len(runs) == stripRuns)
		}
		out = append(out, row)
	}
	return out, nil
}

// placesOf are the places of all definitions, each once.
func placesOf(st *service.Status) (out []placeRow) {
	at := map[string]int{}
	for _, d := range st.Definitions {
		for _, p := range d.Places {
			i, known := at[p]
			if !known {
				i = len(out)
				at[p], out = i, append(out, placeRow{Path: p})
			}
			out[i].By = append(out[i].By, d.Name)
		}
	}
	return out
}
