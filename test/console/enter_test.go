package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// ui is "ingot ui" as a process, and what it tells.
type ui struct {
	URL, Address, Code string
	origin             string
}

// newUI starts a console over the service with a socket, which need not be there.
func newUI(t *testing.T, socket string) *ui {
	t.Helper()
	cmd := exec.Command(ingot, "ui", "--no-open", "--json", "--socket", socket)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	return startUI(t, cmd)
}

// startUI starts a program that becomes a console, and ends it with the test.
func startUI(t *testing.T, cmd *exec.Cmd) *ui {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), ignoreExit(cmd.Wait())); err != nil {
			t.Error(err)
		}
	})
	var u ui
	for lines := json.NewDecoder(out); u.URL == ""; { // others may come before
		if err := lines.Decode(&u); err != nil {
			t.Fatal(err)
		}
	}
	u.origin = strings.TrimSuffix(u.Address, "/")
	return &u
}

// ignoreExit lets a program that was interrupted end as it likes.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// follow goes to an address whose page goes on by itself, to a path in the end.
func (p *tab) follow(address, path string) {
	p.Helper()
	_, err := chromedp.Call(p.ctx, page.Navigate, page.NavigateParams{URL: address})
	p.must(err)
	p.until(fmt.Sprintf("location.pathname == %q && document.readyState == 'complete' && !location.hash", path))
}

// TestEnter goes in by a ticket and by the code, and out again.
func TestEnter(t *testing.T) {
	u := newUI(t, filepath.Join(t.TempDir(), "no.sock"))
	origin := u.origin
	p := open(t, origin)
	p.visit("/points", 401)
	p.reads("Code that the terminal shows")
	p.bare("enter")

	address := u.URL
	_, ticket, _ := strings.Cut(address, "#")
	p.expect(origin + "/") // which is not there without a service
	p.follow(address, "/")
	p.visit("/points", 200)
	if cookie := value[string](p, "document.cookie"); cookie != "" {
		t.Errorf("a script can read the cookie %q", cookie)
	}
	past, err := chromedp.Run(p.ctx, chromedp.NavigationEntries())
	p.must(err)
	for _, e := range past.Entries {
		if strings.Contains(e.URL, ticket) {
			t.Errorf("the history has %s", e.URL)
		}
	}

	second := open(t, origin)
	second.expect(origin + "/enter")
	second.expect(origin + "/")
	second.follow(address, "/enter")
	second.reads("This address was used already")
	second.bare("enter-refused")
	second.fill("#code", u.Code+kb.Enter)
	second.until("location.pathname == '/'")
	second.visit("/points", 200)
	second.click(".leave button")
	second.reads("For a new address and code")
	second.visit("/points", 401)
	p.visit("/points", 200) // the other one is still in
}

// TestOtherOrigins has pages of others try to use a session.
func TestOtherOrigins(t *testing.T) {
	u := newUI(t, filepath.Join(t.TempDir(), "no.sock"))
	origin := u.origin
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%s/leave"></form><iframe src="%s/points"></iframe><img src="%s/points">`, origin, origin, origin)
	}))
	t.Cleanup(evil.Close)
	p := open(t, origin)
	p.expect(origin + "/")
	p.follow(u.URL, "/")
	p.deaf(func() {
		p.visit(evil.URL, 200)
		if n := value[int](p, "document.images[0].naturalWidth"); n != 0 {
			t.Errorf("a picture of %d px came from us", n)
		}
		_, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`fetch("`+origin+`/leave", {method: "POST", mode: "no-cors", credentials: "include"}).then(() => true, () => true)`, chromedp.EvalAwaitPromise))
		p.must(err)
		p.must(chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void]("document.forms[0].submit()")))
		p.until(`location.origin == "` + origin + `" && document.body.innerText.includes("the request comes from another origin")`)
	})
	p.visit("/points", 200) // nobody has left

	port := origin[strings.LastIndex(origin, ":"):]
	for _, host := range []string{"http://127.0.0.1", "http://localhost", "http://ingot-zzzz2345.localhost"} {
		other := open(t, host+port)
		other.expect(host + port + "/favicon.ico")
		other.visit("/", 421)
		other.visit("/enter", 421)
	}
}
