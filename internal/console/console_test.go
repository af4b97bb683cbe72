package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// get asks for a page as a browser would.
func get(t *testing.T, c *Console, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPagesAreNotFoundAsPages(t *testing.T) {
	c, err := New(Options{User: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	w := get(t, c, "/nowhere/<img>")
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "There is no such page.") || strings.Contains(w.Body.String(), "<img>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAssets(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, c, "/nowhere").Body.String()
	err = fs.WalkDir(assets, "assets", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		address := c.prefix + strings.TrimPrefix(path, "assets/")
		if w := get(t, c, address); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %s", address, w.Code, w.Header())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The policy of the bridge allows neither.
	for _, inline := range []string{" style=", "<style", "onclick", "<script>"} {
		if strings.Contains(page, inline) {
			t.Errorf("the shell has %s", inline)
		}
	}
}
