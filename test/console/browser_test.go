// Package console holds the tests of the console in a real browser.
//
// In words: TestMain starts one headless Chromium. A test opens a page of its
// own in it (open), with its own cookies, and looks at it as a person would: by
// mouse, by keyboard, by what a screen reader is told. Whatever goes wrong in a
// page fails its test: an error in the console, an exception, a violation of the
// Content-Security-Policy, a dialog, a request to another origin (watch_test.go).
// look_test.go has what every page must be, whatever it shows: nothing that axe
// finds, no sideways scroll, one heading, a skip link. skeleton_test.go and
// service_test.go have the pages.
//
// With INGOT_SCREENSHOTS=FOLDER, every page that is looked at is drawn there.
//
// What it does not promise: anything of browsers other than Chromium.
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

var (
	ingot    string          // the program, built once
	chromium context.Context // the browser, started once
)

func TestMain(m *testing.M) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	code, err := within(m.Run)
	if err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// within runs the tests with the program and the browser around them.
func within(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "ingot-console-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other users run the program too
		return 0, err
	}
	ingot = filepath.Join(dir, "ingot")
	if out, err := exec.Command("go", "build", "-o", ingot, "ingot/cmd/ingot").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		return 0, fmt.Errorf("%w: install Debian's package chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(filepath.Join(dir, "chromium")), chromedp.Flag("headless", "new"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	chromium = ctx
	return run(), nil
}

// tab is a page of the browser and the test that looks at it.
type tab struct {
	*testing.T
	watch
	ctx    context.Context
	origin string // scheme, host and port of all that it may ask for
}

// open opens a page, for an origin, that shows nothing yet.
func open(t *testing.T, origin string) *tab {
	t.Helper()
	p := &tab{T: t, origin: origin}
	p.watch.origin = origin
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear), chromedp.WithListener(p.dismiss))
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	p.ctx = ctx
	t.Cleanup(func() {
		p.quiet()
		stop()
		cancel()
	})
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: listener, WorldName: "watch"})
	p.must(err)
	p.wear(look{Width: 1440, Scheme: "light"})
	return p
}

// dismiss closes a dialog, so that its page goes on and the test ends.
func (p *tab) dismiss(event any) {
	if _, is := event.(*page.EventJavascriptDialogOpening); is {
		go func() {
			_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	}
}

// must ends the test when there is an error.
func (p *tab) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%v\nat %s", err, p.where())
	}
}

// where is the address that the page is at.
func (p *tab) where() string {
	at, err := chromedp.Run(p.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return at[:min(len(at), 120)]
}

// visit goes to a path, or to an address, which must answer with a status.
func (p *tab) visit(to string, status int) {
	p.Helper()
	if strings.HasPrefix(to, "/") {
		to = p.origin + to
	}
	if status >= 400 {
		p.expect(to)
	}
	r, err := chromedp.Run(p.ctx, chromedp.NavigateResponse(to))
	p.must(err)
	if r != nil && int(r.Status) != status {
		p.Errorf("%s answers %d, want %d", to, r.Status, status)
	}
}

// click clicks what a CSS selector finds first.
func (p *tab) click(sel string) {
	p.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.Click(chromedp.CSS(sel), chromedp.NodeVisible)))
}

// fill types into a field.
func (p *tab) fill(sel, text string) {
	p.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.SendKeys(chromedp.CSS(sel), text)))
}

// press presses keys, by the names of chromedp/kb, where the focus is.
func (p *tab) press(keys string) {
	p.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
}

// text is what a person reads in the first element of a selector.
func (p *tab) text(sel string) string {
	p.Helper()
	return value[string](p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", sel))
}

// value is what an expression of JavaScript gives; a promise is waited for.
func value[V any](p *tab, expression string) V {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to become true.
func (p *tab) until(expression string) {
	p.Helper()
	for range 600 {
		// While a page goes to another one there is nothing to ask.
		if is, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](expression)); err == nil && is {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.Fatalf("waited in vain for %s\nat %s, which says:\n%s", expression, p.where(), p.text("body"))
}

// reads waits for the main part of the page to say something.
func (p *tab) reads(what string) {
	p.Helper()
	p.until(fmt.Sprintf("(document.querySelector('main')?.innerText ?? '').includes(%q)", what))
}

// named are the names of all elements of a role, as a screen reader is told.
func (p *tab) named(role string) (names []string) {
	p.Helper()
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	p.must(err)
	for _, n := range tree.Nodes {
		if !n.Ignored && n.Role != nil && axText(n.Role) == role {
			names = append(names, axText(n.Name))
		}
	}
	return names
}

// look is how a page is looked at.
type look struct {
	Width  int64  // CSS pixels
	Scheme string // light or dark
	Forced bool   // colours of the user's own
	Still  bool   // without motion
}

// wear has the page looked at in another way, from now on.
func (p *tab) wear(l look) {
	p.Helper()
	of := func(on bool, yes string) string {
		if on {
			return yes
		}
		return ""
	}
	p.must(chromedp.Do(p.ctx, chromedp.EmulateViewport(l.Width, 900)))
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.Scheme},
		{Name: "forced-colors", Value: of(l.Forced, "active")},
		{Name: "prefers-reduced-motion", Value: of(l.Still, "reduce")},
	}})
	p.must(err)
}

// axText is a value of the accessibility tree that is a string.
func axText(v *accessibility.Value) (s string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &s)
	}
	return s
}
