package console

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ingot/internal/console"
)

// policy is what the bridge sends with every page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// serve gives the origin of a console without a service.
func serve(t *testing.T) string {
	t.Helper()
	return serveWith(t, console.Options{User: "anna"})
}

// serveWith gives the origin of a console, without the bridge's other guards.
func serveWith(t *testing.T, o console.Options) string {
	t.Helper()
	c, err := console.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestNotFound has a page that is not there, whose address is hostile.
func TestNotFound(t *testing.T) {
	p := open(t, serve(t))
	p.visit("/nowhere/%3Cimg%20src=x%20onerror=alert(1)%3E/"+strings.Repeat("n", 255), 404)
	if text := p.text("main"); !strings.Contains(text, "There is no such page.") || !strings.Contains(text, "<img src=x onerror=alert(1)>") {
		t.Errorf("it says %q", text)
	}
	for role, want := range map[string]string{"heading": "There is no such page.", "link": "Restore points", "navigation": "Main", "button": "Leave"} {
		if names := p.named(role); !slices.Contains(names, want) {
			t.Errorf("no %s %q for a screen reader, but %q", role, want, names)
		}
	}
	p.sound("not-found")
}
