package console

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axe-core is what is run in the pages; npm says the checksum of its package.
const (
	axeVersion   = "4.14.1"
	axeIntegrity = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==" // SHA-512
)

// axeSource is the script of axe-core, fetched once and kept in the user's cache.
var axeSource = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(cache, "ingot-test", "axe-core-"+axeVersion+".tgz")
	archive, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		archive, err = fetchAxe(file)
	}
	if err != nil {
		return "", err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != axeIntegrity {
		return "", fmt.Errorf("%s is not the axe-core that is wanted: its SHA-512 is %x", file, sum)
	}
	return unpackAxe(archive)
})

// fetchAxe has npm, which knows the registry to ask, bring the package to a file.
func fetchAxe(file string) ([]byte, error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fresh, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(fresh)
	cmd := exec.Command("npm", "pack", "--silent", "--pack-destination", fresh, "axe-core@"+axeVersion)
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack axe-core@%s: %w\n%s", axeVersion, err, out)
	}
	if err := os.Rename(filepath.Join(fresh, filepath.Base(file)), file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

func unpackAxe(archive []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return "", fmt.Errorf("look for axe.min.js: %w", err)
		}
		if h.Name == "package/axe.min.js" {
			script, err := io.ReadAll(r)
			return string(script), err
		}
	}
}

// axe has axe-core look at the page as it is, which must find nothing.
func (p *tab) axe() {
	p.Helper()
	for _, f := range p.findings() {
		p.Errorf("%s: axe: %s (%s)\n%s", p.where(), f.Help, f.Rule, strings.Join(f.At, "\n"))
	}
}

// findings are what axe-core finds. It runs in a world of its own, so that the
// page and its policy are what they were.
func (p *tab) findings() []finding {
	p.Helper()
	script, err := axeSource()
	p.must(err)
	frames, err := chromedp.Call(p.ctx, page.GetFrameTree, cdp.Empty{})
	p.must(err)
	world, err := chromedp.Call(p.ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frames.FrameTree.Frame.ID, WorldName: "axe"})
	p.must(err)
	there := func(e *runtime.EvaluateParams) { e.ContextID = world.ExecutionContextID }
	p.must(chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void]("typeof axe == 'undefined' && eval("+quoted(script)+")", there)))
	found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]finding](`axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
	}).then(r => r.violations.map(v => ({rule: v.id, help: v.help, at: v.nodes.map(n => n.html + "\n" + n.failureSummary)})))`, there, chromedp.EvalAwaitPromise))
	p.must(err)
	return found
}

// finding is what axe has against a page.
type finding struct {
	Rule, Help string
	At         []string // elements, and what is wrong with each
}

// quoted is a string of JavaScript.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string can always be
	return string(b)
}

// TestAxe has axe find what was broken.
func TestAxe(t *testing.T) {
	p := open(t, serve(t))
	p.visit("/nowhere", 404)
	if found := p.findings(); len(found) > 0 {
		t.Errorf("a whole page has %+v", found)
	}
	for rule, script := range map[string]string{
		"html-has-lang":  `document.documentElement.removeAttribute("lang")`,
		"button-name":    `document.querySelector("main").append(document.createElement("button"))`,
		"color-contrast": `document.querySelector("h1").style.color = "#ddd"`,
		"heading-order":  `document.querySelector("main").append(Object.assign(document.createElement("h4"), {textContent: "deep"}))`,
	} {
		p.must(chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void](script)))
		if found := p.findings(); !slices.ContainsFunc(found, func(f finding) bool { return f.Rule == rule }) {
			t.Errorf("%s is not found: %+v", rule, found)
		}
	}
}
