package tui

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// bottom is how many lines there are below the choices: the message, the keys;
// top how many there are above: the title, an empty line.
const (
	top    = 2
	bottom = 2
)

// parts are the lines above the choices, how many of them have room, and how many
// choices have.
func (f *full) parts() (headed []string, above, below int) {
	s := f.m.Screen()
	headed = head(s, f.width-2, f.glyphs())
	room := f.height - top - bottom
	below = len(s.Choices)
	if s.Ask != "" {
		below = 2
	}
	if len(headed)+below > room {
		below = min(below, max(room-len(headed), room/2, 1))
	}
	return headed, min(len(headed), room-below), below
}

func (f *full) glyphs() glyphs {
	if f.o.ASCII {
		return asciiGlyphs()
	}
	return blockGlyphs()
}

// draw is the whole screen, exactly as high as the terminal.
func (f *full) draw() string {
	s := f.m.Screen()
	headed, above, below := f.parts()
	lines := []string{f.style().Reverse(true).Bold(true).Render(f.line(" "+clean(s.Title), true)), ""}
	from := max(min(f.scroll, len(headed)-above), 0)
	for _, text := range headed[from : from+above] {
		lines = append(lines, f.marked(f.line(" "+text, false)))
	}
	if s.Ask != "" {
		lines = append(lines, f.line(" "+clean(s.Ask)+":", false), f.line(" > "+f.tail(), false))
	} else {
		lines = append(lines, f.choices(s, below)...)
	}
	for len(lines) < f.height-bottom {
		lines = append(lines, "")
	}
	lines = append(lines, f.style().Bold(true).Render(f.line(" "+f.message(), false)), f.line(" "+f.keys(len(headed) > above), false))
	return strings.Join(lines[:f.height], "\n")
}

// tail is the end of what was typed, as far as it has room.
func (f *full) tail() string {
	text := []rune(clean(string(f.typed)))
	for len(text) > 0 && cells(string(text)) > f.width-6 {
		text = text[1:]
	}
	return string(text) + "_"
}

// choices draws as many choices as have room, the one under the cursor among
// them.
func (f *full) choices(s *Screen, room int) []string {
	at := f.m.At()
	from := max(min(at-room/2, len(s.Choices)-room), 0)
	var out []string
	for i := from; i < min(from+room, len(s.Choices)); i++ {
		c := &s.Choices[i]
		text := "  " + choiceText(i, c)
		switch {
		case i == at:
			out = append(out, f.style().Reverse(true).Render(f.line(">"+text[1:], true)))
		case c.Off != "":
			out = append(out, f.style().Foreground(lipgloss.Color("8")).Render(f.line(text, false)))
		default:
			out = append(out, f.line(text, false))
		}
	}
	return out
}

// line is text in the width of the screen, filled up when it has a background.
func (f *full) line(text string, fill bool) string {
	if f.o.ASCII {
		text = strings.Map(func(r rune) rune {
			if r > 0x7e {
				return '?'
			}
			return r
		}, text)
	}
	text = fit(text, f.width-1)
	if fill {
		text += strings.Repeat(" ", max(f.width-1-cells(text), 0))
	}
	return text
}

func (f *full) style() lipgloss.Style { return lipgloss.NewStyle() }

// marked colours a line that begins with a mark.
func (f *full) marked(line string) string {
	for mark, colour := range map[string]string{good: "2", warn: "3", bad: "1", unknown: "6"} {
		if i := strings.Index(line, mark); i >= 0 && strings.TrimSpace(line[:i]) == "" {
			return line[:i] + f.style().Bold(true).Foreground(lipgloss.Color(colour)).Render(mark) + line[i+len(mark):]
		}
	}
	return line
}

func (f *full) message() string {
	switch {
	case f.m.Message != "":
		return clean(f.m.Message)
	case f.m.Busy && f.m.Screen().Run == nil:
		return "[..] one moment"
	case f.number != "":
		return fmt.Sprintf("Number %s, Enter picks it", f.number)
	}
	return ""
}

// keys are the keys that do something here.
func (f *full) keys(more bool) string {
	switch {
	case f.m.Busy && f.m.Screen().Run != nil:
		return "c cancel   Ctrl-L draw anew"
	case f.m.Busy:
		return "Ctrl-C cancel"
	case f.m.Screen().Ask != "":
		return "Enter next   Esc back   Ctrl-U empty   F1 help   F10 first screen"
	case more:
		return "Enter choose   Esc back   PgUp PgDn scroll   F1 help   F10 first screen"
	}
	return "Enter choose   Esc back   F1 help   F5 anew   F10 first screen   Ctrl-C leave"
}
