package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errand is a run that no definition stands for: an image is verified, or
// restored. It begins at once, and what is due meanwhile waits for it.
type Errand struct {
	Verb string `json:"verb"` // verify or restore
	From string `json:"from"` // IMAGE[@TIME]
	// For restore:
	Target     string `json:"target,omitempty"`     // a disk, or a file that is there
	Partitions []int  `json:"partitions,omitempty"` // by their numbers; none means all
	Verify     bool   `json:"verify,omitempty"`     // the whole image before anything is written
	Check      bool   `json:"check,omitempty"`      // read back and compare
	// Expect is the fingerprint of a dry run ("ingot restore --dry-run
	// --json"): unless target and plan are still the same, nothing is written.
	Expect string `json:"expect,omitempty"`
}

// The verbs of errands.
const (
	Verify  = "verify"
	Restore = "restore"
)

// String is the errand on a line.
func (e *Errand) String() string {
	if e.Verb == Restore {
		return fmt.Sprintf("restore %s to %s", e.From, e.Target)
	}
	return e.Verb + " " + e.From
}

// Title names a run for people: its definition, or its errand.
func (r *Run) Title() string {
	if r.Errand != nil {
		return r.Errand.String()
	}
	return r.Definition
}

// mark is what a fingerprint looks like.
var mark = regexp.MustCompile(`^[0-9a-f]{32}$`)

// mostPartitions is how many a table can have.
const mostPartitions = 128

// check says what makes no sense about an errand.
func (e *Errand) check() error {
	switch {
	case !filepath.IsAbs(e.From):
		return badRequest("from %q is no absolute path", e.From)
	case e.Verb == Verify && (e.Target != "" || e.Expect != "" || len(e.Partitions) > 0 || e.Verify || e.Check):
		return badRequest("verify takes an image and nothing else")
	case e.Verb == Verify:
		return nil
	case e.Verb != Restore:
		return badRequest("%q is neither verify nor restore", e.Verb)
	case !filepath.IsAbs(e.Target):
		return badRequest("target %q is no absolute path", e.Target)
	case !mark.MatchString(e.Expect):
		return badRequest("a restore needs the fingerprint of a dry run")
	case len(e.Partitions) > mostPartitions || slices.ContainsFunc(e.Partitions, func(n int) bool { return n < 1 || n > mostPartitions }):
		return badRequest("partitions %v are not those of a disk", e.Partitions)
	}
	return nil
}

// arguments are the command line of an errand behind the program.
func (e *Errand) arguments() []string {
	if e.Verb == Verify {
		return []string{Verify, "--json", "--", e.From}
	}
	args := []string{Restore, "--json", "--yes", "--expect=" + e.Expect}
	if e.Verify {
		args = append(args, "--verify")
	}
	if e.Check {
		args = append(args, "--check")
	}
	if len(e.Partitions) > 0 {
		var numbers []string
		for _, n := range e.Partitions {
			numbers = append(numbers, strconv.Itoa(n))
		}
		args = append(args, "--partitions="+strings.Join(numbers, ","))
	}
	return append(args, "--", e.From, e.Target)
}

// errand begins an errand: it counts as running from then on. One that writes
// to where another one writes already is refused.
func (e *engine) errand(r Run, now time.Time) (Run, error) {
	if e.stopping {
		return Run{}, &Problem{"the service is about to end", http.StatusServiceUnavailable, "ending", ""}
	}
	for _, w := range e.running {
		if o := w.run.Errand; o != nil && o.Target != "" && o.Target == r.Errand.Target {
			return Run{}, &Problem{fmt.Sprintf("run %d restores to %s already", w.run.ID, o.Target), http.StatusConflict, "busy", "wait for its end, or cancel it"}
		}
	}
	e.last++
	r.ID, r.State, r.Queued, r.Began = e.last, Running, now, now
	e.running[r.ID] = &work{run: &r}
	e.save(change{runs: []Run{r}})
	return r, nil
}

func (s *Service) postErrand(req *http.Request) (any, error) {
	var e Errand
	if err := json.NewDecoder(req.Body).Decode(&e); err != nil {
		return nil, badRequest("the request: %v", err)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.eng.errand(Run{Errand: &e, Cause: ByUser, By: peerOf(req.Context()).Name}, s.opts.Clock.Now())
	if err != nil {
		return nil, err
	}
	s.start(s.stop, r)
	return r, nil
}

// Errand begins an errand.
func (c *Client) Errand(ctx context.Context, e Errand) (r Run, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/errands", e, &r)
	return r, err
}

// kind is what a run is for the metrics, which do not name images.
func (r *Run) kind() string {
	if r.Errand != nil {
		return r.Errand.Verb
	}
	return r.Definition
}
