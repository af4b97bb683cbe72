package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// widths are where pages are looked at for what sticks out: common screens, and
// both sides of the widths at which the sheet changes its mind.
var widths = []int64{320, 360, 390, 480, 600, 760, 761, 900, 1024, 1120, 1121, 1280, 1440}

// sound checks what every page with the rail must be. name is of its pictures.
func (p *tab) sound(name string) {
	p.Helper()
	p.bare(name)
	p.skips()
}

// bare checks what every page must be.
func (p *tab) bare(name string) {
	p.Helper()
	p.frame()
	for _, l := range []look{{Width: 1440, Scheme: "light"}, {Width: 1440, Scheme: "dark"}, {Width: 390, Scheme: "light"}, {Width: 390, Scheme: "dark"}} {
		l.Still = true
		p.wear(l)
		// A narrow page has no colours of its own.
		if l.Width == 1440 || l.Scheme == "dark" {
			p.axe()
		}
		p.draw(fmt.Sprintf("%s-%s-%d", name, l.Scheme, l.Width))
	}
	if moving := value[int](p, "document.getAnimations().length"); moving > 0 {
		p.Errorf("%s: %d things move for one who wants no motion", p.where(), moving)
	}
	p.wear(look{Width: 1440, Scheme: "light", Forced: true})
	p.draw(name + "-forced-1440")
	for _, width := range widths {
		p.wear(look{Width: width, Scheme: "light"})
		p.fits(width)
	}
	p.wear(look{Width: 1440, Scheme: "light"})
}

// frame checks the title, the headings and the landmarks.
func (p *tab) frame() {
	p.Helper()
	if title := value[string](p, "document.title"); !strings.HasSuffix(title, " · Ingot") || len(title) < 10 {
		p.Errorf("%s has the title %q", p.where(), title)
	}
	for sel, want := range map[string]int{"h1": 1, "main": 1, "[lang=en]": 1, "[style], style, script:not([src])": 0} {
		if n := value[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", sel)); n != want {
			p.Errorf("%s has %d of %s, want %d", p.where(), n, sel, want)
		}
	}
	if h1 := p.text("h1"); strings.TrimSpace(h1) == "" {
		p.Errorf("%s: its heading says nothing", p.where())
	}
}

// fits checks that nothing sticks out sideways.
func (p *tab) fits(width int64) {
	p.Helper()
	out := value[[]string](p, `(() => {
		const all = document.documentElement, wide = all.clientWidth;
		if (all.scrollWidth <= wide) return [];
		// What lies in something that scrolls by itself does not push the page.
		const clips = e => { for (e = e.parentElement; e && e != document.body; e = e.parentElement) if (getComputedStyle(e).overflowX != "visible") return true; return false; };
		const sticks = e => e.getBoundingClientRect().right > wide + 0.5 && !clips(e);
		return [all.scrollWidth + " px"].concat([...document.querySelectorAll("body *")].filter(sticks).slice(-8).map(e => e.outerHTML.slice(0, 160)));
	})()`)
	if len(out) > 0 {
		p.Errorf("%s scrolls sideways at %d px: %s", p.where(), width, strings.Join(out, "\n"))
	}
}

// skips checks the link that leads a keyboard past the rail.
func (p *tab) skips() {
	p.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void]("document.activeElement.blur(), scrollTo(0, 0)")))
	p.press(kb.Tab)
	p.until(`(() => { const r = document.activeElement.getBoundingClientRect(); return document.activeElement.matches("a.skip") && r.top >= 0 && r.left >= 0 && r.height >= 24 })()`)
	p.press(kb.Enter)
	p.until(`document.activeElement.id == "main"`)
}

// draw makes a picture of the whole page, when pictures are wanted.
func (p *tab) draw(name string) {
	p.Helper()
	folder := os.Getenv("INGOT_SCREENSHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	p.must(err)
	p.must(os.MkdirAll(folder, 0o755))
	p.must(os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
}
