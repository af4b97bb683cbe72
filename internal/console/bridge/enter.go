package bridge

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed assets/enter.js assets/enter.css
var assets embed.FS

//go:embed assets/enter.html
var enterHTML string

const cookieName = "ingot"

// token is what the browser has to show; "" when nothing, or two.
func token(r *http.Request) string {
	if found := r.CookiesNamed(cookieName); len(found) == 1 {
		return found[0].Value
	}
	return ""
}

func (b *Bridge) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// enter serves what there is without a session: a page without data, its module
// and sheet, and where tickets and codes are posted to.
func (b *Bridge) enter(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/enter":
		if r.Method == http.MethodPost {
			b.postEnter(w, r)
		} else {
			b.enterPage(w, http.StatusOK, "")
		}
	case "/enter/enter.js", "/enter/enter.css":
		http.ServeFileFS(w, r, assets, "assets/"+r.URL.Path[len("/enter/"):])
	default:
		return false
	}
	return true
}

func (b *Bridge) postEnter(w http.ResponseWriter, r *http.Request) {
	if !readBody(w, r) {
		return
	}
	if err := r.ParseForm(); err != nil {
		b.enterPage(w, http.StatusBadRequest, "The form could not be read.")
		return
	}
	// PostForm is of the body only: a ticket in a request line is none.
	how, why := b.admit(r.PostForm, known(r))
	if why != "" {
		b.Log.Warn("entry refused", "user", b.User, "reason", why)
		b.enterPage(w, http.StatusUnauthorized, why)
		return
	}
	value, s := b.begin(known(r))
	b.touch(0)
	b.Log.Info("session begins", "user", b.User, "session", s.number, "by", how, "known", s.known)
	http.SetCookie(w, b.cookie(value, 0))
	http.Redirect(w, r, b.First, http.StatusSeeOther)
}

// admit says by what somebody comes in, or why they do not.
func (b *Bridge) admit(form url.Values, known bool) (how, why string) {
	if ticket := form.Get("ticket"); ticket != "" {
		good := b.spend(ticket)
		switch {
		case !known:
			return "", "The system does not say whose browser this is. Type the code that the terminal shows."
		case !good:
			return "", "This address was used already, or is older than a minute. Type the code that the terminal shows."
		}
		return "ticket", ""
	}
	if !b.try(form.Get("code")) {
		return "", "This is not the code."
	}
	return "code", ""
}

// leave ends the session.
func (b *Bridge) leave(w http.ResponseWriter, r *http.Request, s *session) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Use the button: looking at an address changes nothing.", http.StatusMethodNotAllowed)
		return
	}
	b.endSessions(func(other *session) bool { return other == s })
	http.SetCookie(w, b.cookie("", -1))
	http.Redirect(w, r, "/enter", http.StatusSeeOther)
	b.audit(r, s, http.StatusSeeOther)
}

// enterPage is the page with the field for the code.
func (b *Bridge) enterPage(w http.ResponseWriter, status int, why string) {
	page, err := template.New("enter").Parse(enterHTML)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// Who does not read the page to its end has it no more.
	_ = page.Execute(w, struct {
		Why   string
		Tries int
	}{why, b.tries()})
}
