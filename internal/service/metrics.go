package service

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// counters count since the service started.
type counters struct {
	ended  map[[2]string]int // by definition (or verb of an errand) and state
	alarms int
}

func (c *counters) add(r *Run) {
	if c.ended == nil {
		c.ended = map[[2]string]int{}
	}
	c.ended[[2]string{r.kind(), string(r.State)}]++
}

// getMetrics gives numbers in the text format of Prometheus 0.0.4. Names of
// runs are not labels: they would grow without end.
func (s *Service) getMetrics(w http.ResponseWriter, _ *http.Request) {
	st, err := s.status()
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.mu.Lock()
	defer s.mu.Unlock()
	writeMetrics(w, &st, &s.count)
}

// family begins the metrics of one name.
func family(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func writeMetrics(w io.Writer, st *Status, c *counters) {
	family(w, "ingot_service_start_time_seconds", "gauge", "When the service started.")
	fmt.Fprintf(w, "ingot_service_start_time_seconds %d\n", st.Since.Unix())
	family(w, "ingot_queue_paused", "gauge", "1 while the queue is held.")
	fmt.Fprintf(w, "ingot_queue_paused %d\n", bit(st.Paused))
	family(w, "ingot_runs_waiting", "gauge", "Runs that wait for their turn.")
	fmt.Fprintf(w, "ingot_runs_waiting %d\n", st.Waiting)
	family(w, "ingot_runs_under_way", "gauge", "Runs at work.")
	fmt.Fprintf(w, "ingot_runs_under_way %d\n", len(st.Running))
	family(w, "ingot_overdue_alerts_total", "counter", "Times it was told that a definition has had no good backup for too long.")
	fmt.Fprintf(w, "ingot_overdue_alerts_total %d\n", c.alarms)
	family(w, "ingot_runs_total", "counter", "Runs that have ended since the service started.")
	for _, k := range sortedKeys(c.ended) {
		fmt.Fprintf(w, "ingot_runs_total{definition=%s,state=%s} %d\n", label(k[0]), label(k[1]), c.ended[k])
	}
	perDefinition(w, st)
}

// perDefinition writes what is known of each definition.
func perDefinition(w io.Writer, st *Status) {
	for _, f := range []struct {
		name, help string
		value      func(*DefinitionStatus) (float64, bool)
	}{
		{"ingot_definition_usable", "1 when the definition is not refused.", func(d *DefinitionStatus) (float64, bool) {
			return float64(bit(d.State != "refused")), true
		}},
		{"ingot_definition_overdue", "1 while there has been no good backup for too long.", func(d *DefinitionStatus) (float64, bool) {
			return float64(bit(d.Overdue)), true
		}},
		{"ingot_last_success_time_seconds", "End of the last good run.", func(d *DefinitionStatus) (float64, bool) {
			return float64(d.LastGood.Unix()), !d.LastGood.IsZero()
		}},
		{"ingot_next_run_time_seconds", "The next run by the clock.", func(d *DefinitionStatus) (float64, bool) {
			return float64(d.Next.Unix()), !d.Next.IsZero()
		}},
		{"ingot_last_run_seconds", "How long the last run took.", func(d *DefinitionStatus) (float64, bool) {
			if d.Last == nil || d.Last.Began.IsZero() {
				return 0, false
			}
			return d.Last.Ended.Sub(d.Last.Began).Seconds(), true
		}},
		{"ingot_last_run_stored_bytes", "Size of the images of the last run.", func(d *DefinitionStatus) (float64, bool) {
			if d.Last == nil || d.Last.Report == nil {
				return 0, false
			}
			return float64(d.Last.Report.Stored()), true
		}},
	} {
		family(w, f.name, "gauge", f.help)
		for i := range st.Definitions {
			if v, ok := f.value(&st.Definitions[i]); ok {
				fmt.Fprintf(w, "%s{definition=%s} %g\n", f.name, label(st.Definitions[i].Name), v)
			}
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// label quotes the value of a label.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func sortedKeys(m map[[2]string]int) [][2]string {
	return slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}
