package service

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/internal/definitions"
)

// Bounds of drafts.
const (
	MaxDraft   = 64 << 10 // bytes of the data of one
	MostDrafts = 50       // beyond it the one that was changed longest ago goes
)

// Draft is what somebody has begun in a wizard and not finished: the service
// keeps it and does not look into it. Passwords have no place there.
type Draft struct {
	ID string `json:"id"` // cannot be guessed
	// Version changes whenever the draft does, see Document.
	Version string          `json:"version"`
	Kind    string          `json:"kind"` // a word: image, restore, clone
	Data    json.RawMessage `json:"data"`
	Changed time.Time       `json:"changed"`
}

// drafts are files of a folder that is nobody else's.
type drafts struct {
	dir string
	mu  sync.Mutex // one change at a time
}

var errNoDraft = &Problem{"there is no such draft", http.StatusNotFound, "no-draft", "it was finished or thrown away; begin a new one"}

// draftFile is what a file holds; the rest of a Draft is said by name and content.
type draftFile struct {
	Kind    string          `json:"kind"`
	Data    json.RawMessage `json:"data"`
	Changed time.Time       `json:"changed"`
}

const draftExtension = ".json"

func (d *drafts) path(id string) string { return filepath.Join(d.dir, id+draftExtension) }

// draftID says whether a text that came from outside may be the name of a file.
func draftID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

func (d *drafts) get(id string) (*Draft, error) {
	if !draftID(id) {
		return nil, errNoDraft
	}
	data, err := os.ReadFile(d.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoDraft
	}
	var f draftFile
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return nil, fmt.Errorf("read the draft %s: %w", id, err)
	}
	return &Draft{id, version(data), f.Kind, f.Data, f.Changed}, nil
}

// list has all drafts that can be read, the one changed last first.
func (d *drafts) list() ([]Draft, error) {
	all, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the drafts: %w", err)
	}
	out := []Draft{}
	for _, e := range all {
		id, ok := strings.CutSuffix(e.Name(), draftExtension)
		if one, err := d.get(id); ok && err == nil {
			out = append(out, *one)
		}
	}
	slices.SortFunc(out, func(a, b Draft) int { return cmp.Or(b.Changed.Compare(a.Changed), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// put writes a draft.
func (d *drafts) put(id string, f draftFile, replace bool) (*Draft, error) {
	data, err := json.Marshal(f)
	if err == nil {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err == nil {
		err = definitions.Write(d.path(id), data, replace)
	}
	if err != nil {
		return nil, fmt.Errorf("keep the draft: %w", err)
	}
	return &Draft{id, version(data), f.Kind, f.Data, f.Changed}, nil
}

// make keeps a new draft, and lets the oldest go when there are too many.
func (d *drafts) make(f draftFile) (*Draft, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.list()
	if err != nil {
		return nil, err
	}
	for len(all) >= MostDrafts {
		last := all[len(all)-1]
		if err := os.Remove(d.path(last.ID)); err != nil {
			return nil, fmt.Errorf("throw away the oldest draft: %w", err)
		}
		all = all[:len(all)-1]
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // does not fail
	return d.put(hex.EncodeToString(id[:]), f, false)
}

// current gives a draft if it is of the version that the caller knows. d.mu is
// held.
func (d *drafts) current(id, want string) (*Draft, error) {
	if want == "" {
		return nil, &Problem{"which version is meant is not said", http.StatusPreconditionRequired, "no-version", "send If-Match"}
	}
	now, err := d.get(id)
	if err == nil && now.Version != want {
		err = &Problem{"the draft was changed meanwhile", http.StatusPreconditionFailed, "changed", "look at it as it is now, and change that"}
	}
	return now, err
}

// draftRequest is the body of a request; Kind is for new drafts.
type draftRequest struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

func readDraft(req *http.Request) (r draftRequest, err error) {
	if err := json.NewDecoder(req.Body).Decode(&r); err != nil {
		return r, badRequest("the draft: %v", err)
	}
	if len(r.Data) > MaxDraft {
		return r, &Problem{fmt.Sprintf("a draft of %d bytes: at most %d are kept", len(r.Data), MaxDraft), http.StatusRequestEntityTooLarge, "too-large", ""}
	}
	if len(bytes.TrimSpace(r.Data)) == 0 {
		return r, badRequest("the draft has no data")
	}
	return r, nil
}

func (s *Service) getDrafts(*http.Request) (any, error) {
	all, err := s.drafts.list()
	return struct {
		Drafts []Draft `json:"drafts"`
	}{all}, err
}

func (s *Service) getDraft(req *http.Request) (any, error) {
	return s.drafts.get(req.PathValue("id"))
}

func (s *Service) postDraft(req *http.Request) (any, error) {
	r, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	if r.Kind == "" || len(r.Kind) > 32 || strings.Trim(r.Kind, "abcdefghijklmnopqrstuvwxyz") != "" {
		return nil, badRequest("%q is no kind of draft", r.Kind)
	}
	return s.drafts.make(draftFile{r.Kind, r.Data, s.opts.Clock.Now()})
}

// patchDraft puts other data in the place of those of the version that If-Match
// names.
func (s *Service) patchDraft(req *http.Request) (any, error) {
	r, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	now, err := s.drafts.current(req.PathValue("id"), req.Header.Get("If-Match"))
	if err != nil {
		return nil, err
	}
	return s.drafts.put(now.ID, draftFile{now.Kind, r.Data, s.opts.Clock.Now()}, true)
}

// deleteDraft throws a draft away: the version that If-Match names, or any.
func (s *Service) deleteDraft(req *http.Request) (any, error) {
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	now, err := s.drafts.get(req.PathValue("id"))
	if want := req.Header.Get("If-Match"); err == nil && want != "" {
		now, err = s.drafts.current(now.ID, want)
	}
	if err != nil {
		return nil, err
	}
	return done{}, os.Remove(s.drafts.path(now.ID))
}

// Drafts lists the drafts, the one changed last first.
func (c *Client) Drafts(ctx context.Context) ([]Draft, error) {
	var out struct {
		Drafts []Draft `json:"drafts"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/drafts", nil, &out)
	return out.Drafts, err
}

// Draft gives one draft.
func (c *Client) Draft(ctx context.Context, id string) (d Draft, err error) {
	err = c.do(ctx, http.MethodGet, draftAddress(id), nil, &d)
	return d, err
}

// NewDraft keeps a draft; data becomes JSON.
func (c *Client) NewDraft(ctx context.Context, kind string, data any) (d Draft, err error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return d, err
	}
	err = c.do(ctx, http.MethodPost, "/v1/drafts", draftRequest{kind, raw}, &d)
	return d, err
}

// SaveDraft gives a draft other data, if it is still of that version.
func (c *Client) SaveDraft(ctx context.Context, id, version string, data any) (d Draft, err error) {
	raw, err := json.Marshal(data)
	if err == nil {
		raw, err = json.Marshal(draftRequest{Data: raw})
	}
	if err != nil {
		return d, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, "http://ingot"+draftAddress(id), bytes.NewReader(raw))
	if err != nil {
		return d, err
	}
	req.Header.Set("If-Match", version)
	resp, err := c.ask(req)
	if err != nil {
		return d, err
	}
	return d, decode(resp, &d)
}

// DeleteDraft throws a draft away, whatever its version.
func (c *Client) DeleteDraft(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, draftAddress(id), nil, nil)
}

func draftAddress(id string) string { return "/v1/drafts/" + url.PathEscape(id) }
