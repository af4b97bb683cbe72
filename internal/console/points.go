package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/internal/console/view"
	"ingot/internal/query"
	"ingot/internal/result"
)

// Images is what the pages ask about folders with images, and files in them. An
// image is a file of such a folder, or the folder of a Windows system image;
// paths begin at the root of a partition and may hold any bytes.
type Images interface {
	Sets(ctx context.Context, folder string) (result.Folder, error)
	Partitions(ctx context.Context, image string) ([]result.ImagePartition, error)
	// Show tells more of an image.
	Show(ctx context.Context, image string) (result.Image, error)
	// List gives a folder's files by name, limit of them at the most. One that
	// cannot be looked at has an Error and no Type; the folder itself may be one.
	List(ctx context.Context, image, partition, path string, limit int) (files []result.File, truncated bool, err error)
	Versions(ctx context.Context, folder, partition, path string) ([]result.Version, error)
	// Read gives a file's contents. Their end is io.EOF only when they are whole.
	Read(ctx context.Context, image, partition, path string) (io.ReadCloser, error)
	// With gives the same with a password for what is encrypted.
	With(password string) (Images, error)
}

// opened is what is remembered of a folder that somebody looked at.
type opened struct {
	path string
	sets map[string]string // names of files to ids of sets
}

// pointsMemory is kept as long as the console runs, and nowhere else.
type pointsMemory struct {
	mu        sync.Mutex
	folders   []opened          // the last one first
	passwords map[string]string // by setKey
}

// How much is remembered.
const (
	maxFolders   = 12
	maxPasswords = 64
)

// setKey names a set for its password.
func setKey(folder, set string) string { return folder + "\x00" + set }

// remember keeps what was found in a folder.
func (m *pointsMemory) remember(f *result.Folder, path string) {
	o := opened{path: path, sets: map[string]string{}}
	for _, s := range f.Sets {
		for _, p := range s.Points {
			o.sets[p.File] = s.ID
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.folders = slices.DeleteFunc(m.folders, func(old opened) bool { return old.path == path })
	m.folders = slices.Insert(m.folders, 0, o)
	m.folders = m.folders[:min(len(m.folders), maxFolders)]
}

// set is the set of a file, "" when it is not known.
func (m *pointsMemory) set(folder, file string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.folders {
		if o.path == folder {
			return o.sets[file]
		}
	}
	return ""
}

// paths are the folders that were opened, the last one first.
func (m *pointsMemory) paths() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.folders {
		out = append(out, o.path)
	}
	return out
}

// keep remembers a set's password; with too many, another one is forgotten.
func (m *pointsMemory) keep(key, password string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passwords == nil {
		m.passwords = map[string]string{}
	}
	for k := range m.passwords {
		if len(m.passwords) < maxPasswords {
			break
		}
		delete(m.passwords, k)
	}
	m.passwords[key] = password
}

// place is what the address of a page about images says: a file of a folder, and
// a file or folder in it.
type place struct {
	Folder, File, Part, Path string
}

var (
	errPlace    = errors.New("the address is not whole") // no page gives such a one
	errNoImages = errors.New("this console has no way to look into images")
)

// placeOf reads the address of a page.
func placeOf(r *http.Request) (place, error) {
	get := r.FormValue
	p := place{Folder: get("folder"), File: get("file"), Part: get("part"), Path: get("path")}
	switch {
	case !filepath.IsAbs(p.Folder):
		return p, errors.New("name the folder by its whole path")
	case p.File != "" && (filepath.Base(p.File) != p.File || p.File == ".."), strings.ContainsAny(p.Part, `/\`), strings.ContainsRune(p.Folder+p.File+p.Part+p.Path, 0):
		return p, errPlace
	}
	return p, nil
}

// image is the path of the image.
func (p place) image() string {
	if p.File == "" {
		return p.Folder
	}
	return filepath.Join(p.Folder, p.File)
}

// at is the address of a page about the place. Any bytes survive in it.
func (p place) at(page string) string {
	v := url.Values{"folder": {p.Folder}}
	for key, value := range map[string]string{"file": p.File, "part": p.Part, "path": p.Path} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return page + "?" + v.Encode()
}

// in is a place in the same image.
func (p place) in(part, path string) place {
	p.Part, p.Path = part, path
	return p
}

// password is that of a set, "" when none was given; with set "" it says whether
// there is any for the folder.
func (m *pointsMemory) password(folder, set string) (password string, any bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.passwords {
		any = any || strings.HasPrefix(key, setKey(folder, ""))
	}
	return m.passwords[setKey(folder, set)], any
}

// ask is the way to ask about an image: with the password that was given for its
// set, and for no other. Which set that is is asked anew when it was forgotten.
func (c *Console) ask(ctx context.Context, p place) (Images, error) {
	if _, any := c.memory.password(p.Folder, ""); p.File == "" || !any {
		return c.Images, nil
	}
	set, err := c.setOf(ctx, p)
	if err != nil {
		return nil, err
	}
	password, _ := c.memory.password(p.Folder, set)
	if password == "" {
		return c.Images, nil
	}
	return c.Images.With(password)
}

// setOf finds the set that a file belongs to.
func (c *Console) setOf(ctx context.Context, p place) (string, error) {
	if set := c.memory.set(p.Folder, p.File); set != "" {
		return set, nil
	}
	if _, err := c.readFolder(ctx, p.Folder); err != nil {
		return "", err
	}
	if set := c.memory.set(p.Folder, p.File); set != "" {
		return set, nil
	}
	return "", errors.New(view.Text(p.File) + " is no restore point of this folder any more")
}

// readFolder asks for what a folder holds and remembers it. With an error there
// may be an answer, too: some of it is not whole then.
func (c *Console) readFolder(ctx context.Context, folder string) (result.Folder, error) {
	f, err := c.Images.Sets(ctx, folder)
	if err != nil {
		return f, err
	}
	c.memory.remember(&f, folder)
	return f, nil
}

// said is what the program told when it could not answer, and what may help.
func said(err error) (what, fix string) {
	var q *query.Error
	if errors.As(err, &q) {
		return view.Text(q.Text), view.Text(q.Hint)
	}
	return view.Text(err.Error()), ""
}

// locked says whether an answer needs a password, or another one.
func locked(err error) bool {
	var q *query.Error
	return errors.As(err, &q) && q.Code == query.CodePassword
}

// failImages answers with what went wrong with a question about images. A set
// that is locked leads to the page that asks for its password.
func (c *Console) failImages(w http.ResponseWriter, r *http.Request, p place, err error) {
	t, status := trouble{Say: "That did not work."}, http.StatusBadGateway
	if locked(err) && p.File != "" && r.Method == http.MethodGet {
		http.Redirect(w, r, p.at("/points/password"), http.StatusSeeOther)
		return
	}
	t.What, t.Fix = said(err)
	switch {
	case errors.Is(err, errPlace):
		status = http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded):
		t.Say, status = "That took too long.", http.StatusGatewayTimeout
	}
	c.show(w, r, status, "trouble", &Page{Title: "Trouble", Nav: "points", Body: t})
}

// pointRoutes are the pages of restore points and the files in them.
func (c *Console) pointRoutes() {
	c.mux.HandleFunc("GET /points", c.pointsPage)
	c.mux.HandleFunc("GET /points/point", c.onImages(asking, c.pointPage))
	c.mux.HandleFunc("GET /points/password", c.onImages(asking, c.passwordPage))
	c.mux.HandleFunc("POST /points/password", c.onImages(asking, c.givePassword))
	c.mux.HandleFunc("GET /browse", c.onImages(asking, c.browsePage))
	c.mux.HandleFunc("GET /browse/versions", c.onImages(asking, c.versionsPage))
	c.mux.HandleFunc("GET /browse/file", c.onImages(loading, c.filePage))
}

// How long the program may take for a page, and for a download.
const (
	asking  = 2 * time.Minute
	loading = 24 * time.Hour
)

// onImages makes a handler of one for a place, which must end within a time.
func (c *Console) onImages(within time.Duration, do func(http.ResponseWriter, *http.Request, place)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		p, err := placeOf(r)
		if err == nil && c.Images == nil {
			err = errNoImages
		}
		if err != nil {
			c.failImages(w, r, p, err)
			return
		}
		ctx, stop := context.WithTimeout(r.Context(), within)
		defer stop()
		do(w, r.WithContext(ctx), p)
	}
}
