package tui

import (
	"context"
	"fmt"

	"ingot/internal/console/view"
	"ingot/internal/job"
)

// startRun runs the program with its progress on a screen, which its end takes
// the place of.
func startRun(title string, end func(*Run, *Answer, error) *Screen, args ...string) Step {
	run := &Run{}
	return Step{
		Replace: &Screen{Title: title, Run: run},
		Work: func(ctx context.Context, w World, tell func(job.Event)) Step {
			a, err := w.Run(ctx, tell, args...)
			return Step{Replace: end(run, a, err)}
		},
	}
}

// verifyPoint verifies a point.
func verifyPoint(p *point) Step {
	s := startRun("Verifying "+p.title(), func(_ *Run, a *Answer, err error) *Screen { return verified(p, a, err) }, "verify", "--", p.path())
	s.Open, s.Replace = s.Replace, nil
	return s
}

// verifyResult is what "verify --json" ends with.
type verifyResult struct {
	Status  string  `json:"status"`
	Blocks  int64   `json:"blocks"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Count   int64   `json:"damaged_places"`
	Damaged []struct {
		Partition int64  `json:"partition"`
		Off       int64  `json:"offset_bytes"`
		Len       int64  `json:"length_bytes"`
		What      string `json:"what"`
		Error     string `json:"error"`
	} `json:"damaged"`
}

// verified is the end of a verification.
func verified(p *point, a *Answer, err error) *Screen {
	r, ok := last[verifyResult](a)
	if !ok || r.Status != "good" && r.Status != "damaged" || err == nil && r.Status != "good" {
		if err == nil {
			err = fmt.Errorf("the program told no result")
		}
		return trouble("Verify "+p.File, err)
	}
	if r.Status == "good" && err == nil {
		s := &Screen{Title: "The image is good", Choices: endChoices()}
		s.Say = []string{fmt.Sprintf("%s All %d blocks of %s are good: %s in %.1f s.", good, r.Blocks, p.File, view.Bytes(r.Bytes), r.Seconds)}
		return s
	}
	s := &Screen{Title: "The image is damaged", Choices: endChoices()}
	s.Say = []string{fmt.Sprintf("%s %s is damaged in %s.", bad, p.File, view.Count(int(r.Count), "place"))}
	for _, d := range r.Damaged {
		if d.Partition == 0 {
			s.Facts = append(s.Facts, Row{Text: "metadata: " + d.Error})
			continue
		}
		s.Facts = append(s.Facts, Row{Text: fmt.Sprintf("partition %d, bytes %d to %d (%s): %s", d.Partition, d.Off, d.Off+d.Len-1, d.What, d.Error)})
	}
	return s
}
