package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/internal/job"
)

func base64Reader(r io.Reader) io.Reader { return base64.NewDecoder(base64.StdEncoding, r) }

// receiver keeps what it is sent, and answers with the codes in turn, the last
// of them for ever.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	codes  []int
	header http.Header // of the answers
	got    []received
}

type received struct{ method, path, query, body, contentType, auth string }

func receive(t *testing.T, codes ...int) *receiver {
	r := &receiver{codes: codes, header: http.Header{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, received{q.Method, q.URL.Path, q.URL.RawQuery, string(b), q.Header.Get("Content-Type"), q.Header.Get("Authorization")})
		for k, v := range r.header {
			w.Header()[k] = v
		}
		code := r.codes[0]
		if len(r.codes) > 1 {
			r.codes = r.codes[1:]
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	return r
}

// patient keeps the pauses instead of making them.
type patient []time.Duration

func (p *patient) pause(_ context.Context, d time.Duration) error { *p = append(*p, d); return nil }

func hookTo(url string, preset Preset, p *patient) *Webhook {
	return &Webhook{Preset: preset, URL: Plain(url), pause: p.pause}
}

func TestWebhookToken(t *testing.T) {
	srv := receive(t, 200)
	w := hookTo(srv.URL, Generic, &patient{})
	w.Token = Plain("abc")
	if err := w.Send(t.Context(), &Message{Event: Success}); err != nil || srv.got[0].auth != "Bearer abc" {
		t.Errorf("%+v, %v", srv.got, err)
	}
}

func TestWebhookPresets(t *testing.T) {
	r := report(job.Failed)
	r.Error = "<!channel> & @everyone"
	for _, c := range []struct {
		preset Preset
		path   string
		want   []string
		not    string
	}{
		{Generic, "/hook/secret", []string{`"event":"failure"`, `"definition":"system"`, `"stored_bytes":209715200`}, ""},
		{Slack, "/hook/secret", []string{`&lt;!channel`, `&amp;`}, "<!channel"},
		{Discord, "/hook/secret", []string{`"parse":[]`, `"content":"Backup`}, ""},
		{Ntfy, "/hook/", []string{`"topic":"secret"`, `"priority":4`, `"title":"Backup \"system\" on pc1: failure`}, ""},
	} {
		srv := receive(t, 200)
		if err := hookTo(srv.URL+"/hook/secret", c.preset, &patient{}).Send(t.Context(), &Message{Event: Failure, Report: r}); err != nil {
			t.Fatal(err)
		}
		got := srv.got[0]
		var decoded map[string]any
		if err := json.Unmarshal([]byte(got.body), &decoded); err != nil || got.method != "POST" || got.contentType != "application/json" || got.path != c.path {
			t.Errorf("%s: %+v, %v", c.preset, got, err)
		}
		text, _ := json.Marshal(decoded) // with < > & as they are meant
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
		for _, w := range c.want {
			if !strings.Contains(plain, w) {
				t.Errorf("%s: %s is not in %s", c.preset, w, plain)
			}
		}
		if c.not != "" && strings.Contains(plain, c.not) {
			t.Errorf("%s: %s is in %s", c.preset, c.not, plain)
		}
	}
}

func TestWebhookTriesAgain(t *testing.T) {
	for _, c := range []struct {
		codes []int
		after string
		posts int
		good  bool
		waits string
	}{
		{[]int{204}, "", 1, true, "[]"},
		{[]int{500, 503, 200}, "", 3, true, "[1s 2s]"},
		{[]int{429, 200}, "7", 2, true, "[7s]"},
		{[]int{429, 200}, "99999999", 2, true, "[30s]"},
		{[]int{502}, "", 4, false, "[1s 2s 4s]"},
		{[]int{404}, "", 1, false, "[]"},
	} {
		srv, p := receive(t, c.codes...), &patient{}
		if c.after != "" {
			srv.header.Set("Retry-After", c.after)
		}
		err := hookTo(srv.URL, Generic, p).Send(t.Context(), &Message{Event: Success, Report: report(job.Success)})
		if len(srv.got) != c.posts || (err == nil) != c.good || fmt.Sprint([]time.Duration(*p)) != c.waits {
			t.Errorf("%v: %d posts, waits %v, %v", c.codes, len(srv.got), *p, err)
		}
	}
}

func TestWebhookRedirects(t *testing.T) {
	other := receive(t, 200)
	for _, c := range []struct {
		code int
		to   string
		good bool
	}{
		{307, "/other", true}, {308, "/other", true}, {302, "/other", false}, {301, "/other", false}, {307, other.URL, false},
	} {
		srv := receive(t, c.code, 200)
		srv.header.Set("Location", c.to)
		err := hookTo(srv.URL+"/secret", Generic, &patient{}).Send(t.Context(), &Message{Event: Success, Report: report(job.Success)})
		if (err == nil) != c.good {
			t.Errorf("%d to %s: %v", c.code, c.to, err)
		}
		if c.good && (len(srv.got) != 2 || srv.got[1].body == "" || srv.got[1].method != "POST") {
			t.Errorf("%d to %s: %+v", c.code, c.to, srv.got)
		}
	}
	if len(other.got) > 0 {
		t.Errorf("another host got %+v", other.got)
	}
}

// The path and query of a URL are its password.
func TestErrorsKeepURLs(t *testing.T) {
	closed := receive(t, 200)
	closed.Close()
	for _, url := range []string{closed.URL + "/T0/SECRET?token=SECRET", "http://user:SECRET@127.0.0.1:1/x", "SECRET", "http://[SECRET", "ftp://host/SECRET", "http://host:SECRET/"} {
		for _, s := range []Sender{hookTo(url, Generic, &patient{}), &Ping{URL: Plain(url), pause: (&patient{}).pause}} {
			err := s.Send(t.Context(), &Message{Event: Failure, Report: report(job.Failed)})
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

func TestPing(t *testing.T) {
	srv := receive(t, 200)
	p := &Ping{URL: Plain(srv.URL + "/uuid"), Log: true}
	for _, e := range []Event{Start, Success, Warning, Failure, Overdue} {
		if err := p.Send(t.Context(), &Message{Event: e, Report: report(job.Success), Log: []byte("the log")}); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, g := range srv.got {
		paths = append(paths, g.path)
		if g.query != srv.got[0].query || len(g.query) != len("rid=")+36 || g.body != "the log" {
			t.Errorf("%+v", g)
		}
	}
	if got := strings.Join(paths, " "); got != "/uuid/start /uuid /uuid /uuid/fail" {
		t.Error(got)
	}
}

func TestWebhookLimit(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(stop)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // an interrupted run has its message sent all the same
	errs := Tell(ctx, []Channel{{Name: "webhook", On: Ends, Limit: 100 * time.Millisecond, Sender: &Webhook{URL: Plain(srv.URL)}}}, &Message{Event: Success})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "webhook: it took longer than 100ms") {
		t.Error(errs)
	}
}
