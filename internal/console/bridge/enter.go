package bridge

import (
	"embed"
	"html/template"
	"net/http"
)

//go:embed pages
var pages embed.FS

var enterPage = template.Must(template.ParseFS(pages, "pages/enter.html"))

// door serves what needs no session: the way in, its script and sheet, and the
// way out. It says whether the request was for one of them.
func (b *Bridge) door(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == "/enter" && r.Method == http.MethodPost:
		b.enter(w, r)
	case r.URL.Path == "/enter":
		b.askIn(w, r, http.StatusOK, "")
	case r.URL.Path == "/enter/enter.js", r.URL.Path == "/enter/enter.css":
		http.ServeFileFS(w, r, pages, "pages"+r.URL.Path[len("/enter"):])
	case r.URL.Path == "/leave" && r.Method == http.MethodPost:
		if s := b.sessions.of(r); s != nil {
			b.sessions.end(s)
		}
		http.SetCookie(w, &http.Cookie{Name: b.sessions.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/enter", http.StatusSeeOther)
	default:
		return false
	}
	return true
}

// askIn shows the field for the code. Its script sends a ticket that is in the
// address.
func (b *Bridge) askIn(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := enterPage.Execute(w, struct{ Wrong string }{wrong}); err != nil {
		b.opts.Log.Error("the way in could not be shown", "error", err)
	}
}

// enter begins a session for a ticket or the code. A ticket counts only where
// the kernel has said that it is our user who has connected.
func (b *Bridge) enter(w http.ResponseWriter, r *http.Request) {
	ok := ownerIn(r.Context()).Same && b.sessions.useTicket(r.PostFormValue("ticket")) || b.sessions.useCode(r.PostFormValue("code"))
	if !ok {
		b.opts.Log.Warn("somebody was not let in")
		b.askIn(w, r, http.StatusUnauthorized, "That does not let you in. A ticket works once and for a minute, the code five times at the most: start 'ingot ui' again for new ones.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: b.sessions.cookie, Value: b.sessions.begin(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	b.opts.Log.Info("a session began")
	http.Redirect(w, r, b.opts.First, http.StatusSeeOther)
}
