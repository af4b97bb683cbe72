package draft

import "slices"

// Level is how much a problem matters.
type Level string

// The levels.
const (
	Error   Level = "error"   // blocks the next step
	Warning Level = "warning" // asks once
	Note    Level = "note"    // only says
)

// Problem is what is to be said about a field of a step.
type Problem struct {
	Step  int
	Field string // in forms; "" is the whole step
	Level Level
	Code  string // tells it from others, so that one that was passed is not asked again
	Text  string
	// Fix is a word for the form (a value of its field "do") that mends it, and
	// FixText what its button says.
	Fix, FixText string
}

// Of are the problems of a step, errors first.
func Of(all []Problem, step int) []Problem {
	var out []Problem
	for _, level := range []Level{Error, Warning, Note} {
		for _, p := range all {
			if p.Step == step && p.Level == level {
				out = append(out, p)
			}
		}
	}
	return out
}

// Blocked says whether a step has errors.
func Blocked(all []Problem, step int) bool {
	return slices.ContainsFunc(all, func(p Problem) bool { return p.Step == step && p.Level == Error })
}

// Ask notes the warnings of a step as asked, and says whether there was one that
// had not been.
func (d *Draft) Ask(all []Problem, step int) bool {
	news := false
	for _, p := range all {
		if p.Step == step && p.Level == Warning && !slices.Contains(d.Asked, p.Code) {
			d.Asked, news = append(d.Asked, p.Code), true
		}
	}
	return news
}
