package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"ingot/internal/console/view"
)

// drawing are the functions of the templates.
var drawing = template.FuncMap{
	"mark": func(kind string) template.HTML { return drawMark(kind, 18) }, "markBig": func(kind string) template.HTML { return drawMark(kind, 34) },
	"icon": icon, "strip": strip, "bytes": view.Bytes, "when": when, "rfc": func(t time.Time) string { return t.Format(time.RFC3339) },
	"add": func(a, b int) int { return a + b }, "list": func(a ...any) []any { return a },
	"word": func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	},
	"text": view.Text, "pct": func(v float64) string { return fmt.Sprintf("%.2f%%", v) }, "kind": view.Kind,
	"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
}

// when is a moment with its weekday.
func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("Mon 2 Jan 2006, 15:04")
}

// drawMark is the state of something: the shape says it, colour only once more.
func drawMark(k string, px int) template.HTML {
	p := map[string]string{
		"ok":      `<circle cx="9" cy="9" r="8" class="f"/><path d="M5.2 9.3l2.6 2.6 5-5.4" class="i"/>`,
		"warn":    `<path d="M9 1.4 17.2 16H.8z" class="f j"/><path d="M9 6.6v4.6" class="i"/><circle cx="9" cy="13.5" r="1.05" class="d"/>`,
		"fail":    `<rect x="1.2" y="1.2" width="15.6" height="15.6" rx="3.4" class="f"/><path d="M6 6l6 6M12 6l-6 6" class="i"/>`,
		"run":     `<circle cx="9" cy="9" r="7" class="r"/><path d="M9 2a7 7 0 0 1 7 7" class="a"/>`,
		"unknown": `<circle cx="9" cy="9" r="7" class="u"/><path d="M9 9.2v.1" class="ud"/>`,
		"off":     `<circle cx="9" cy="9" r="7" class="r"/><path d="M4.6 13.4l8.8-8.8" class="rs"/>`,
		"info":    `<circle cx="9" cy="9" r="8" class="f"/><path d="M9 8.3v4.6" class="i"/><circle cx="9" cy="5.4" r="1.05" class="d"/>`,
	}[k]
	return template.HTML(fmt.Sprintf(`<svg class="mark m-%s" width="%d" height="%d" viewBox="0 0 18 18" aria-hidden="true">%s</svg>`, k, px, px, p))
}

// icon is one of the rail.
func icon(k string) template.HTML {
	p := map[string]string{
		"overview": `<path d="M3 10.5 10 4l7 6.5M5 9v7.5h10V9"/>`,
		"disks":    `<rect x="3" y="4" width="14" height="5" rx="1.5"/><rect x="3" y="11" width="14" height="5" rx="1.5"/><path d="M6 6.5h.1M6 13.5h.1"/>`,
		"backups":  `<path d="M4 4h9l3 3v9H4zM7 4v4h5V4M7 16v-4h6v4"/>`,
		"points":   `<path d="M3 10h14M5.5 7v6M10 5.5v9M14.5 7v6"/>`,
		"activity": `<path d="M3 10.5h3l2.2-5.5 3.4 10 2.2-4.5H17"/>`,
		"settings": `<path d="M4 6h6m4 0h2M4 14h2m4 0h6"/><circle cx="12" cy="6" r="2"/><circle cx="8" cy="14" r="2"/>`,
		"lock":     `<path d="M6.5 9V7a3.5 3.5 0 0 1 7 0v2M5 9h10v7H5z"/>`,
	}[k]
	return template.HTML(`<svg class="icon" width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">` + p + `</svg>`)
}

// strip draws one day in each cell: F full, D differential, I incremental, M
// missed, X failed, R running, . nothing.
func strip(s string, label string) template.HTML {
	cw, h := 15.0, 26.0
	var b strings.Builder
	w := cw * float64(len(s))
	fmt.Fprintf(&b, `<svg class="strip" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s"><path class="axis" d="M2 13h%.0f"/>`, w, h, w, h, template.HTMLEscapeString(label), w-4)
	for i, c := range s {
		b.WriteString(glyph(c, cw*float64(i)+cw/2, 13, 1))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// glyph is one backup, at x and y, k times as large as in a strip.
func glyph(c rune, x, y, k float64) string {
	switch c {
	case 'F':
		return fmt.Sprintf(`<rect class="g g-f" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`, x-5.5*k, y-5.5*k, 11*k, 11*k)
	case 'D':
		return fmt.Sprintf(`<path class="g g-d" d="M%.1f %.1fl%.1f %.1f %.1f %.1f %.1f %.1fz"/>`, x, y-5.6*k, 5.6*k, 5.6*k, -5.6*k, 5.6*k, -5.6*k, -5.6*k)
	case 'I':
		return fmt.Sprintf(`<circle class="g g-i" cx="%.1f" cy="%.1f" r="%.1f"/>`, x, y, 3.3*k)
	case 'M':
		return fmt.Sprintf(`<circle class="g g-m" cx="%.1f" cy="%.1f" r="%.1f"/>`, x, y, 4.2*k)
	case 'X':
		return fmt.Sprintf(`<path class="g g-x" d="M%.1f %.1fl%.1f %.1fm0 %.1fl%.1f %.1f"/>`, x-4*k, y-4*k, 8*k, 8*k, -8*k, -8*k, 8*k)
	case 'R':
		return fmt.Sprintf(`<circle class="g g-r" cx="%.1f" cy="%.1f" r="%.1f"/>`, x, y, 4*k)
	}
	return ""
}
