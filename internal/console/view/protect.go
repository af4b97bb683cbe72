package view

import (
	"cmp"
	"slices"
	"time"

	"ingot/internal/service"
)

// Alert is something that wants a look.
type Alert struct {
	Mark, Say, More string
	Definition      string // whose page says more; "" for the service
	Run             uint64 // whose page says more
}

// Alerts are what is wrong, worst first.
func Alerts(st *service.Status) (out []Alert) {
	for i := range st.Definitions {
		out = append(out, alertsOf(&st.Definitions[i], st.Now)...)
	}
	for _, w := range st.Warnings {
		out = append(out, Alert{Mark: "warn", Say: "The service has a warning.", More: Text(w)})
	}
	if st.Paused {
		out = append(out, Alert{Mark: "warn", Say: "The queue is held: no backup begins.", More: "It goes on with: ingot unpause"})
	}
	slices.SortStableFunc(out, func(a, b Alert) int { return cmp.Compare(severity(a), severity(b)) })
	return out
}

func severity(a Alert) int { return slices.Index([]string{"fail", "warn", "unknown"}, a.Mark) }

// alertsOf are those of one definition.
func alertsOf(d *service.DefinitionStatus, now time.Time) (out []Alert) {
	name := quoted(d.Name)
	add := func(mark, say, more string, run uint64) {
		out = append(out, Alert{mark, say, Text(more), d.Name, run})
	}
	if d.State == "refused" {
		add("fail", name+" is refused and does not run.", d.Problem, 0)
		return out
	}
	if d.Overdue && d.LastGood.IsZero() {
		add("fail", name+" has no good backup and is overdue.", "", 0)
	} else if d.Overdue {
		add("fail", name+" has had no good backup for "+Age(now.Sub(d.LastGood))+".", "", 0)
	}
	if r := d.Last; r != nil {
		switch more := cmp.Or(r.Error, r.Hint); r.State {
		case service.Failed:
			add("fail", "The last run of "+name+" failed, "+At(r.Ended, now)+".", more, r.ID)
		case service.Interrupted:
			add("warn", "The last run of "+name+" was interrupted, "+At(r.Ended, now)+".", more, r.ID)
		case service.Missed:
			add("warn", "A run of "+name+" was missed.", r.Why, r.ID)
		case service.Warned:
			add("warn", "The last run of "+name+" left a backup and warnings.", firstWarning(r), r.ID)
		}
	}
	if len(out) == 0 && d.LastGood.IsZero() && d.State == "ready" {
		add("unknown", name+" has no good backup yet.", "", 0)
	}
	return out
}

// firstWarning is the first of a run's report.
func firstWarning(r *service.Run) string {
	if r.Report == nil || len(r.Report.Warnings) == 0 {
		return ""
	}
	return r.Report.Warnings[0]
}

// quoted is a name of others in a sentence.
func quoted(name string) string { return "“" + Text(name) + "”" }

// Lead is the sentence a page begins with.
type Lead struct{ Mark, Say, Sub string }

// Protection says how the machine stands: never more than the facts.
func Protection(st *service.Status) Lead {
	if len(st.Definitions) == 0 {
		return Lead{"unknown", "Nothing is protected yet.", "No backup is defined. \u201cBack up…\u201d makes the first one. If you have images already, open their folder under \u201cRestore points\u201d."}
	}
	ready := slices.DeleteFunc(slices.Clone(st.Definitions), func(d service.DefinitionStatus) bool { return d.State != "ready" })
	alerts := Alerts(st)
	for _, a := range alerts {
		if a.Mark == "fail" {
			return Lead{"fail", a.Say, others(len(alerts)-1) + facts(st, ready)}
		}
	}
	if len(ready) == 0 {
		return Lead{"warn", "No backup runs: all are paused or off.", facts(st, st.Definitions)}
	}
	if st.Paused {
		return Lead{"warn", "The queue is held: no backup begins.", facts(st, ready)}
	}
	for _, d := range ready {
		if d.LastGood.IsZero() {
			return Lead{"warn", quoted(d.Name) + " has no good backup yet.", others(len(alerts)-1) + facts(st, ready)}
		}
	}
	l := Lead{"ok", "This machine is protected.", facts(st, ready)}
	if len(alerts) > 0 {
		l.Mark, l.Sub = "warn", l.Sub+" "+Count(len(alerts), "thing")+" worth a look."
	}
	return l
}

// others says how many further things are wrong.
func others(n int) string {
	if n <= 0 {
		return ""
	}
	return Count(n, "more thing") + " worth a look. "
}

// facts are the last good backups and the next run of definitions.
func facts(st *service.Status, all []service.DefinitionStatus) string {
	var oldest, newest, next time.Time
	verified, good := false, 0
	for i := range all {
		d := &all[i]
		if !d.LastGood.IsZero() {
			good++
			verified = Verified(d)
			if oldest.IsZero() || d.LastGood.Before(oldest) {
				oldest = d.LastGood
			}
			if d.LastGood.After(newest) {
				newest = d.LastGood
			}
		}
		if !d.Next.IsZero() && (next.IsZero() || d.Next.Before(next)) {
			next = d.Next
		}
	}
	say := "There is no good backup."
	switch {
	case good == 1 && verified:
		say = "Last good backup " + Age(st.Now.Sub(newest)) + " ago, verified."
	case good == 1:
		say = "Last good backup " + Age(st.Now.Sub(newest)) + " ago."
	case good > 1:
		say = "Last good backups: the newest " + Age(st.Now.Sub(newest)) + " ago, the oldest " + Age(st.Now.Sub(oldest)) + " ago."
	}
	if slices.ContainsFunc(all, func(d service.DefinitionStatus) bool { return d.Current != nil && d.Current.State == service.Running }) {
		return say + " A run is under way."
	}
	if next.IsZero() || st.Paused {
		return say + " No run is planned."
	}
	return say + " The next one runs " + At(next, st.Now) + "."
}

// Verified says that the last good backup of a definition was verified, as its
// report says; when the report is not of that backup, nothing is claimed.
func Verified(d *service.DefinitionStatus) bool {
	r := d.Last
	if r == nil || r.Report == nil || !r.State.Good() || !sameMoment(r.Ended, d.LastGood) || len(r.Report.Images) == 0 {
		return false
	}
	for _, i := range r.Report.Images {
		if i.Verified == 0 {
			return false
		}
	}
	return true
}

func sameMoment(a, b time.Time) bool { return a.Sub(b).Abs() < 2*time.Second }
