package tui

import (
	"fmt"
	"strings"

	"ingot/internal/job"
)

// barCells is how wide the bar behind a fact is; runCells that of a run.
const (
	barCells = 20
	runCells = 60
)

// head is what stands above the choices of a screen: harmless lines of at most
// width cells.
func head(s *Screen, width int, g glyphs) []string {
	var out []string
	for _, text := range s.Say {
		out = append(out, wrap(clean(text), width, "    ")...)
	}
	if len(s.Say) > 0 && len(s.Facts) > 0 {
		out = append(out, "")
	}
	for _, f := range s.Facts {
		text := clean(f.Text)
		if f.Total > 0 {
			room := max(width-barCells-3, 10)
			text = fit(text, room)
			text += strings.Repeat(" ", max(min(room, 54)-cells(text), 0)) + " " + g.bar(f.Done, f.Total, barCells)
		}
		out = append(out, wrap(text, width, "    ")...)
	}
	if s.Run != nil {
		out = append(out, runLines(s.Run, width, g)...)
	}
	return out
}

// runLines draw a run under way.
func runLines(r *Run, width int, g glyphs) []string {
	stage := r.Stage
	if stage == "" {
		stage = "getting ready"
	}
	out := []string{
		"Stage: " + clean(stage),
		g.bar(r.Event.Done, r.Event.Total, min(runCells, width-2)),
		progressText(r.Event),
		fit(clean(r.Event.Object), width),
		"",
	}
	for _, line := range r.Log {
		out = append(out, fit(clean(line), width))
	}
	return out
}

// choiceText is a choice with its number, counted from 0.
func choiceText(i int, c *Choice) string {
	box := ""
	switch {
	case c.Box && c.Ticked:
		box = "[x] "
	case c.Box:
		box = "[ ] "
	}
	text := fmt.Sprintf("%2d  %s%s", i+1, box, clean(c.Label))
	if c.Off != "" {
		text += "  (not possible: " + clean(c.Off) + ")"
	}
	return text
}

// helpScreen says which keys there are.
func helpScreen() *Screen {
	return &Screen{
		Title: "Help",
		Say: []string{
			"Up and down (or Tab) move, Enter or a number chooses, Space ticks, Esc goes back.",
			"PgUp and PgDn scroll. F1 this help, F5 looks anew, F10 the first screen, Ctrl-L draws anew, Ctrl-C leaves.",
			"While something runs, c pressed twice cancels it.",
			"With 'ingot tui --plain' every screen is a list of numbered lines: type a number and Enter; b goes back, r looks anew, m shows more, h goes to the first screen, q leaves; c cancels what runs.",
			"Marks: [ok] all is well, [!] look at it, [X] failed, [?] not known, [..] under way.",
		},
		Choices: []Choice{{Label: "Back", Do: func() Step { return Step{Back: true} }}},
	}
}

// Help opens the help.
func (m *Machine) Help() Work {
	if m.Busy || m.Screen().Title == "Help" {
		return nil
	}
	return m.Apply(open(helpScreen()))
}

// Home goes to the first screen.
func (m *Machine) Home() Work {
	if m.Busy {
		return nil
	}
	return m.Apply(Step{Home: true})
}

// worth says whether progress is worth a line: at each tenth of a stage.
func worth(before, e job.Event) bool {
	return before.Stage != e.Stage || percent(before)/10 != percent(e)/10
}
