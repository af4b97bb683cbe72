package console

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// listener tells of each violation of a policy. It runs in a world of its own,
// where the page's scripts cannot reach it.
const listener = `addEventListener("securitypolicyviolation", e =>
  console.error("policy violated:", e.effectiveDirective, e.blockedURI, e.sourceFile, e.lineNumber, e.sample), true)`

// watch collects what goes wrong in a page.
type watch struct {
	origin string

	mu       sync.Mutex
	problems []string
	expected []string // addresses that may answer with an error
	off      bool     // nothing is collected any more
}

// expect says that the answer of an address may be an error, which the browser
// tells in its console.
func (w *watch) expect(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = append(w.expected, address)
}

// hear takes the events of the page, on the goroutine that reads them.
func (w *watch) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if what := w.problem(event); what != "" && !w.off {
		w.problems = append(w.problems, what)
	}
}

// problem is what an event says is wrong, or nothing.
func (w *watch) problem(event any) string {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		if e.ExceptionDetails.Exception != nil {
			return "exception: " + e.ExceptionDetails.Exception.Description
		}
		return "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" || e.Type == "warning" {
			return fmt.Sprintf("console.%s: %s", e.Type, spoken(e.Args))
		}
	case *log.EventEntryAdded:
		if failed := e.Entry.Source == "network" && slices.Contains(w.expected, e.Entry.URL); e.Entry.Level == "error" && !failed {
			return fmt.Sprintf("%s error: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, w.origin+"/") && !strings.HasPrefix(u, "data:") {
			return "request to another origin: " + u
		}
	case *page.EventJavascriptDialogOpening:
		return "dialog: " + e.Message
	}
	return ""
}

// spoken are the arguments of a call of the console, as a line.
func spoken(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		word := strings.Trim(string(a.Value), `"`)
		if word == "" {
			word = a.Description
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// taken are the problems so far, which are then forgotten.
func (w *watch) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.problems
	w.problems = nil
	return all
}

// deaf has the watch hear nothing while something is done that must go wrong.
func (p *tab) deaf(do func()) {
	set := func(off bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.off = off
	}
	set(true)
	defer set(false)
	do()
	p.settle()
}

// settle waits a moment. What comes before its end has been heard then.
func (p *tab) settle() {
	_, _ = chromedp.Run(p.ctx, chromedp.Evaluate[bool]("new Promise(done => setTimeout(() => done(true), 30))", chromedp.EvalAwaitPromise))
}

// quiet fails the test for all that went wrong in its page.
func (p *tab) quiet() {
	p.Helper()
	p.settle()
	for _, what := range p.taken() {
		p.Errorf("the page has a problem: %s", what)
	}
}

// TestWatch has everything go wrong once, so that a watch that sees nothing is
// not taken for a page without problems.
func TestWatch(t *testing.T) {
	origin, other := serve(t), serve(t)
	for want, script := range map[string]string{
		"exception: Error: thrown":                              `setTimeout(() => { throw new Error("thrown") })`,
		"exception: Error: rejected":                            `void Promise.reject(new Error("rejected"))`,
		"console.error: said 2":                                 `console.error("said", 2)`,
		"network error:":                                        `void fetch("/nothing")`,
		"console.error: policy violated: script-src-elem":       `void import("data:text/javascript,").catch(() => 0)`,
		"console.error: policy violated: style-src-attr":        `document.body.setAttribute("style", "color: red")`,
		"console.error: policy violated: require-trusted-types": `document.body.innerHTML = "<p>"`,
		"console.error: policy violated: connect-src " + other:  `void fetch("` + other + `/x", {mode: "no-cors"})`,
		"request to another origin: " + other + "/":             `location = "` + other + `/y"`,
		"dialog: hear me":                                       `setTimeout(() => alert("hear me"))`,
	} {
		t.Run(want, func(t *testing.T) {
			p := open(t, origin)
			p.visit("/nowhere", 404)
			if all := p.taken(); len(all) > 0 {
				t.Errorf("before anything went wrong: %q", all)
			}
			_, _ = chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalIgnoreExceptions))
			var all []string
			is := func(what string) bool { return strings.HasPrefix(what, want) }
			for began := time.Now(); !slices.ContainsFunc(all, is); time.Sleep(20 * time.Millisecond) {
				if all = append(all, p.taken()...); time.Since(began) > 20*time.Second {
					t.Fatalf("not heard, but %q", all)
				}
			}
			p.deaf(func() {})
			p.taken()
		})
	}
}
