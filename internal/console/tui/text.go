package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"ingot/internal/console/view"
	"ingot/internal/job"
)

// The marks.
const (
	good    = "[ok]"
	warn    = "[!]"
	bad     = "[X]"
	unknown = "[?]"
)

// clean makes text harmless for a terminal: control characters become their
// pictures (Unicode block Control Pictures, U+2400), and what turns the direction
// of text, ends lines or is no character becomes U+FFFD.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case r >= 0x80 && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xad, r == 0xfeff:
			return '\ufffd'
		case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0x061c:
			return '\ufffd'
		case r >= 0xe0000 && r <= 0xe0fff:
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// fit cuts clean text to a width in cells.
func fit(s string, width int) string { return ansi.Truncate(s, max(width, 0), "~") }

// cells is how wide clean text is.
func cells(s string) int { return ansi.StringWidth(s) }

// wrap breaks clean text into lines of at most width cells; later lines begin
// with indent.
func wrap(s string, width int, indent string) []string {
	if ansi.StringWidth(s) <= width {
		return []string{s}
	}
	lines := strings.Split(ansi.Wrap(s, max(width-len(indent), 10), " "), "\n")
	for i := 1; i < len(lines); i++ {
		lines[i] = indent + strings.TrimLeft(lines[i], " ")
	}
	return lines
}

// glyphs are what bars are drawn with.
type glyphs struct{ full, empty string }

func asciiGlyphs() glyphs { return glyphs{"#", "."} }

// blockGlyphs are of code page 437, which every text screen has.
func blockGlyphs() glyphs { return glyphs{"█", "░"} }

// bar draws how much of total is done, in n cells.
func (g glyphs) bar(done, total int64, n int) string {
	full := 0
	if total > 0 {
		full = int(max(min(float64(done)/float64(total)*float64(n)+0.5, float64(n)), 0))
	}
	if full == 0 && done > 0 {
		full = 1
	}
	return "[" + strings.Repeat(g.full, full) + strings.Repeat(g.empty, n-full) + "]"
}

// percent is how much of a stage is done.
func percent(e job.Event) int64 {
	if e.Total <= 0 {
		return 0
	}
	return min(int64(float64(e.Done)/float64(e.Total)*100), 100)
}

// progressText is "42 %, 1.2 GiB of 3 GiB, 310 MB/s, 0:12 left".
func progressText(e job.Event) string {
	line := fmt.Sprintf("%d %%, %s of %s", percent(e), view.Bytes(e.Done), view.Bytes(e.Total))
	if e.Rate > 0 {
		line += fmt.Sprintf(", %.0f MB/s", float64(e.Rate)/1e6)
	}
	if e.Left > 0 {
		line += fmt.Sprintf(", %d:%02d left", e.Left/60, e.Left%60)
	}
	return line
}

// moment is a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.Local().Format("Mon 2 Jan 2006 15:04")
}

// words joins what is not empty.
func words(list ...string) string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "  ")
}
