package console

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/service"
)

// tail is how many lines of a log the page of a job shows.
const tail = 12

// jobBody is a run that waits or is under way.
type jobBody struct {
	ID             uint64
	Title, Sub     string
	Type           string
	Waits          bool
	Stage, Object  string
	Percent        string // "" when the end is not known
	Done, Total    int64
	Rate           int64
	Left, At, Kept string
	Lines          []service.Line
}

func (c *Console) jobPage(w http.ResponseWriter, r *http.Request) {
	if id, ok := c.id(w, r); ok {
		c.showJob(w, r, id, "job")
	}
}

func (c *Console) askCancel(w http.ResponseWriter, r *http.Request) {
	if id, ok := c.id(w, r); ok {
		c.showJob(w, r, id, "cancel")
	}
}

// showJob shows a job on a page; one that has ended has another page.
func (c *Console) showJob(w http.ResponseWriter, r *http.Request, id uint64, page string) {
	q, err := c.Service.Queue(r.Context())
	if err != nil {
		c.fail(w, r, "activity", err)
		return
	}
	i := slices.IndexFunc(q.Jobs, func(j service.Job) bool { return j.ID == id })
	if i < 0 {
		http.Redirect(w, r, fmt.Sprintf("/activity/%d", id), http.StatusSeeOther)
		return
	}
	b := jobOf(&q.Jobs[i], time.Now())
	b.Lines = c.lastLines(r, id)
	c.show(w, r, http.StatusOK, page, &Page{Title: b.Title, Nav: "activity", Body: b})
}

func jobOf(j *service.Job, now time.Time) *jobBody {
	b := &jobBody{ID: j.ID, Title: view.Text(j.Title()), Type: view.RunType(&j.Run), Waits: j.State == service.Queued, Stage: j.Stage, Kept: view.Kept(&j.Run)}
	b.Sub = "Waits for its turn"
	if !b.Waits {
		b.Sub = "Began " + view.At(j.Began, now)
	}
	if why := view.Why(&j.Run); why != "" {
		b.Sub += ", " + why
	}
	b.Sub += "."
	p := j.Progress
	if p == nil {
		return b
	}
	b.Object, b.Done, b.Total, b.Rate, b.At = p.Object, p.Done, p.Total, p.Rate, p.Time.Format(time.RFC3339)
	if p.Total > 0 {
		b.Percent = fmt.Sprint(int(100 * float64(min(max(p.Done, 0), p.Total)) / float64(p.Total)))
	}
	if p.Left > 0 {
		b.Left = "about " + view.Age(time.Duration(p.Left)*time.Second) + " left in this stage"
	}
	return b
}

// lastLines are the end of a log, which is read to its end within bounds.
func (c *Console) lastLines(r *http.Request, id uint64) (out []service.Line) {
	from := 0
	for range 20 {
		l, err := c.Service.Log(r.Context(), id, from)
		if err != nil || len(l.Lines) == 0 || l.Next <= from {
			break // one that has not begun has none
		}
		out = append(out, l.Lines...)
		out = slices.Clone(out[max(0, len(out)-tail):])
		from = l.Next
	}
	return out
}

// cancelJob ends a run and goes to what became of it.
func (c *Console) cancelJob(w http.ResponseWriter, r *http.Request) {
	if id, ok := c.id(w, r); ok {
		c.back(w, r, "activity", fmt.Sprintf("/jobs/%d", id), c.Service.Cancel(r.Context(), id))
	}
}
