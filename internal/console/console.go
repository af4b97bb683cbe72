package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/plan"
	"ingot/internal/result"
	"ingot/internal/service"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets
var assets embed.FS

// Service is what the pages need of the service; *service.Client is one.
type Service interface {
	Status(context.Context) (service.Status, error)
	Queue(context.Context) (service.Queue, error)
	Runs(context.Context, service.Filter) ([]service.Run, error)
	Run(ctx context.Context, id uint64) (service.Run, error)
	Log(ctx context.Context, id uint64, from int) (service.Lines, error)
	Start(ctx context.Context, name string, t plan.Type) (service.Run, error)
	Cancel(ctx context.Context, id uint64) error
	Pause(ctx context.Context, name string, on bool) error
	Events(context.Context, func(service.Event) error) error
	Disks(context.Context) ([]result.Disk, error)
	Drafts(context.Context) ([]service.Draft, error)
	Draft(ctx context.Context, id string) (service.Draft, error)
	NewDraft(ctx context.Context, kind string, data any) (service.Draft, error)
	SaveDraft(ctx context.Context, id, version string, data any) (service.Draft, error)
	DeleteDraft(ctx context.Context, id string) error
	CheckPlace(ctx context.Context, path string, disks []string) (service.PlaceCheck, error)
	Document(ctx context.Context, name string) (service.Document, error)
	SaveDocument(ctx context.Context, name, version string, xml []byte) (service.Document, error)
	Session(context.Context) (service.Session, error)
	AskUnlock(context.Context) (service.Code, error)
	Lock(context.Context) error
	Foresee(context.Context, service.Errand) (result.Restore, error)
	Errand(context.Context, service.Errand) (service.Run, error)
}

// Options are what a console is made of.
type Options struct {
	Service Service
	Images  Images       // nil when there is no way to look into images
	User    string       // whose rights it has, as people call them
	Log     *slog.Logger // nil is silent
}

// Console is the handler of all pages.
type Console struct {
	Options
	host   string
	prefix string // of the addresses of assets: it changes whenever one of them does
	pages  map[string]*template.Template
	mux    *http.ServeMux
	memory pointsMemory
}

// New makes the console.
func New(o Options) (*Console, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Console{Options: o, pages: map[string]*template.Template{}, mux: http.NewServeMux()}
	c.host, _ = os.Hostname() // a name to show; without it there is none
	if err := c.parse(); err != nil {
		return nil, err
	}
	if err := c.serveAssets(); err != nil {
		return nil, err
	}
	c.routes()
	return c, nil
}

// parse reads the templates: each page is the shell with a body.
func (c *Console) parse() error {
	shell, err := template.New("").Funcs(drawing).ParseFS(templates, "templates/shell.html", "templates/wizard.html")
	if err != nil {
		return err
	}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := shell.Clone()
		if err == nil {
			page, err = page.ParseFS(templates, name)
		}
		if err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
		c.pages[strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")] = page
	}
	return nil
}

// serveAssets gives out the files of assets under a name that is never used for
// others, so that a browser may keep them.
func (c *Console) serveAssets() error {
	sum := sha256.New()
	err := fs.WalkDir(assets, "assets", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := assets.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	if err != nil {
		return err
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return err
	}
	c.prefix = "/assets/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/"
	serve := http.StripPrefix(c.prefix, http.FileServerFS(files))
	c.mux.HandleFunc("GET "+c.prefix, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		serve.ServeHTTP(w, r)
	})
	return nil
}

// ServeHTTP answers with a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// Page is what the shell shows around a body.
type Page struct {
	Title string
	Nav   string // which entry of the rail it belongs to
	Body  any

	Assets, Host, System, User string
	// Role is what the user may do with the service; "" when it does not answer.
	Role service.Role
	Lent string // until when the role is an administrator's
}

// show writes a page. It is made as a whole first, so that an error is a page
// of its own and not the end of half a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, name string, p *Page) {
	p.Role, p.Lent = c.role(r.Context())
	p.Assets, p.Host, p.System, p.User = c.prefix, c.host, runtime.GOOS, c.User
	var b bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&b, "shell", p); err != nil {
		c.Log.Error("a page could not be made", "page", name, "error", err)
		http.Error(w, "This page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// roleTime is how long a page waits to hear what its user may do.
const roleTime = time.Second

// role is what the user may do with the service, and until when if that is lent.
func (c *Console) role(ctx context.Context) (role service.Role, lent string) {
	if c.Service == nil {
		return service.None, ""
	}
	ctx, cancel := context.WithTimeout(ctx, roleTime)
	defer cancel()
	s, err := c.Service.Session(ctx)
	if err != nil {
		return service.None, "" // pages that need the service say why
	}
	if !s.Until.IsZero() {
		lent = s.Until.Local().Format(time.TimeOnly)
	}
	return s.Role, lent
}

// nowhere answers for an address that leads nowhere.
func (c *Console) nowhere(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusNotFound, "trouble", &Page{Title: "Not found", Body: trouble{
		Say: "There is no such page.", What: view.Text(r.URL.Path) + " leads nowhere.", Fix: "The rail at the side has all there is."}})
}

// trouble is the body of a page that says what went wrong.
type trouble struct {
	Say, What, Fix string
}

// fail answers with a page that says what went wrong and what can be done.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, nav string, err error) {
	t, status := trouble{Say: "That did not work.", What: err.Error()}, http.StatusInternalServerError
	var p *service.Problem
	if errors.As(err, &p) {
		t.Fix, status = p.Fix, p.Status
	}
	switch {
	case errors.Is(err, service.ErrNotRunning):
		t.Say, status = "The Ingot service does not answer.", http.StatusBadGateway
		t.Fix = "Start it: sudo ingot service install"
	case errors.Is(err, service.ErrForbidden):
		t.Say, status = "This is not yours to see or do.", http.StatusForbidden
		t.Fix = "Have the administrator put you into the group of the service: sudo usermod -aG ingot " + view.Text(c.User)
		if p != nil { // the service knows the user
			t.Fix = "\"Unlock changes\", at the side, asks an administrator for the right."
		}
	}
	c.show(w, r, status, "trouble", &Page{Title: "Trouble", Nav: nav, Body: t})
}

// back answers a change: with the page that shows it, or with what went wrong.
func (c *Console) back(w http.ResponseWriter, r *http.Request, nav, to string, err error) {
	if err != nil {
		c.fail(w, r, nav, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// routes has all pages.
func (c *Console) routes() {
	c.pointRoutes()
	if c.Service != nil {
		c.serviceRoutes()
		c.restoreRoutes()
		c.unlockRoutes()
		c.wizardRoutes()
	}
	c.mux.HandleFunc("/", c.nowhere)
}

// serviceRoutes are the pages over what the service tells.
func (c *Console) serviceRoutes() {
	for pattern, page := range map[string]http.HandlerFunc{
		"GET /{$}": c.overviewPage, "GET /events": c.events, "GET /disks": c.disksPage, "GET /settings": c.settingsPage,
		"GET /backups": c.backupsPage, "GET /backups/{name}": c.backupPage,
		"GET /activity": c.activityPage, "GET /activity/{id}": c.runPage,
		"GET /jobs/{id}": c.jobPage, "GET /jobs/{id}/cancel": c.askCancel,
		"POST /backups/{name}/run": c.runBackup, "POST /backups/{name}/pause": c.holdBackup(true), "POST /backups/{name}/resume": c.holdBackup(false),
		"POST /jobs/{id}/cancel": c.cancelJob,
	} {
		c.mux.HandleFunc(pattern, page)
	}
}
