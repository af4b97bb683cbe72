package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUI: the command serves, a second one finds the first, both addresses are
// of the same host, and an interrupt is a good end.
func TestUI(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	pages := func(_, who string, _ *slog.Logger) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pages for "+who) }), nil
	}
	type answer struct {
		URL, Code string
		Running   bool
	}
	ui := func(ctx context.Context, out io.Writer) error {
		c := &console{in: strings.NewReader(""), out: out, errs: io.Discard, json: true}
		cmd := newUI(c, pages)
		cmd.SetArgs([]string{"--no-open"})
		return cmd.ExecuteContext(ctx)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { err := ui(ctx, w); _ = w.CloseWithError(err); ended <- err }()
	var first, second answer
	if err := json.NewDecoder(r).Decode(&first); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := ui(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out.String()), &second); err != nil {
		t.Fatal(err)
	}
	host, ticket, _ := strings.Cut(first.URL, "/enter#")
	if first.Running || !second.Running || !strings.HasPrefix(second.URL, host+"/enter#") || second.Code == first.Code {
		t.Errorf("first %+v, second %+v", first, second)
	}
	enterUI(t, host, ticket)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "ingot", "label")); err != nil {
		t.Error(err)
	}
}

// enterUI goes in with a ticket and reads the page behind.
func enterUI(t *testing.T, host, ticket string) {
	t.Helper()
	name := strings.TrimPrefix(host, "http://")
	port := name[strings.LastIndexByte(name, ':'):]
	ask := func(method, path, body, cookie string) *http.Response {
		r, err := http.NewRequest(method, "http://127.0.0.1"+port+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = name
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", cookie)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := ask("POST", "/enter", "ticket="+ticket, "")
	_ = res.Body.Close()
	res = ask("GET", "/", "", strings.Split(res.Header.Get("Set-Cookie"), ";")[0])
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !strings.HasPrefix(string(b), "pages for ") {
		t.Errorf("status %d: %s", res.StatusCode, b)
	}
}
