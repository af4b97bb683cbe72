package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"ingot/internal/definitions"
	"ingot/internal/plan"
	"ingot/internal/trust"
)

// Document is a definition file as it is written.
type Document struct {
	Name string `json:"name"`
	Path string `json:"path"`
	// Version changes whenever the file does. It goes into If-Match, so that
	// nobody overwrites what somebody else has written meanwhile.
	Version string `json:"version"`
	XML     string `json:"xml,omitempty"`
}

// version is that of a file with this content.
func version(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// file is where the definition of a name is, or would be.
func (s *Service) file(name string) string {
	return filepath.Join(s.opts.Definitions, name+definitions.Extension)
}

// document reads a file. The name comes from outside: what is no name of a
// definition is no file.
func (s *Service) document(name string) (*Document, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("%q: %w", name, errUnknown)
	}
	data, err := trust.ReadFile(s.file(name), plan.MaxXML)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w", name, errUnknown)
	}
	if err != nil {
		return nil, &Problem{err.Error(), http.StatusConflict, "refused", ""}
	}
	return &Document{name, s.file(name), version(data), string(data)}, nil
}

func (s *Service) getDocument(req *http.Request) (any, error) {
	d, err := s.document(req.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return d, nil
}

// putDocument writes a definition: with If-None-Match: * a new one, with If-Match
// in the place of the version it names.
func (s *Service) putDocument(req *http.Request) (any, error) {
	name := req.PathValue("name")
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, badRequest("the definition: %v", err)
	}
	if err := s.acceptable(name, data); err != nil {
		return nil, err
	}
	s.editing.Lock()
	defer s.editing.Unlock()
	replace, err := s.unchanged(req, name)
	if err != nil {
		return nil, err
	}
	if err := trust.MakeFolder(s.opts.Definitions); err != nil {
		return nil, &Problem{err.Error(), http.StatusConflict, "refused", ""}
	}
	err = definitions.Write(s.file(name), data, replace)
	if errors.Is(err, fs.ErrExist) {
		return nil, &Problem{fmt.Sprintf("a definition %q exists", name), http.StatusPreconditionFailed, "exists", "choose another name, or change that one"}
	}
	if err != nil {
		return nil, fmt.Errorf("%s is as it was: %w", s.file(name), err)
	}
	s.relook(req)
	return Document{Name: name, Path: s.file(name), Version: version(data)}, nil
}

// acceptable says what is wrong with a definition that somebody sends.
func (s *Service) acceptable(name string, data []byte) error {
	f, err := plan.ParseXML(data)
	if err == nil && f.Definition.Name != name {
		err = fmt.Errorf("it says its name is %q: a definition has the name of its file, which is %q", f.Definition.Name, name)
	}
	if err == nil {
		err = definitions.CheckNamed(&f.Definition)
	}
	if err != nil {
		return &Problem{err.Error(), http.StatusUnprocessableEntity, "invalid", ""}
	}
	return nil
}

// unchanged says whether the file is as who asks thinks it is, and whether it is
// there.
func (s *Service) unchanged(req *http.Request, name string) (there bool, err error) {
	if req.Header.Get("If-None-Match") == "*" {
		return false, nil // writing says whether it is there
	}
	want := req.Header.Get("If-Match")
	if want == "" {
		return false, &Problem{"which version is meant is not said", http.StatusPreconditionRequired, "no-version", "send If-Match, or If-None-Match: * for a new definition"}
	}
	d, err := s.document(name)
	if err != nil {
		return false, err
	}
	if d.Version != want {
		return false, &Problem{fmt.Sprintf("the definition %q was changed meanwhile", name), http.StatusPreconditionFailed, "changed", "look at it as it is now, and change that"}
	}
	return true, nil
}

// deleteDocument deletes the version of a definition that If-Match names. Its
// backups stay.
func (s *Service) deleteDocument(req *http.Request) (any, error) {
	name := req.PathValue("name")
	s.editing.Lock()
	defer s.editing.Unlock()
	there, err := s.unchanged(req, name)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, badRequest("If-Match names what is to be deleted")
	}
	if err := definitions.Remove(s.file(name)); err != nil {
		return nil, err
	}
	s.relook(req)
	return done{}, nil
}

// relook has the service see a change of its own at once, so that what is saved
// can be run.
func (s *Service) relook(req *http.Request) {
	seen := make(chan struct{})
	select {
	case s.changed <- seen:
		<-seen
	case <-req.Context().Done(): // it will be seen at the next look
	case <-s.stop.Done():
	}
}

// Document gives a definition as it is written.
func (c *Client) Document(ctx context.Context, name string) (d Document, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/definitions/"+url.PathEscape(name)+"/xml", nil, &d)
	return d, err
}

// SaveDocument writes a definition: a new one when version is "", else in the
// place of that version.
func (c *Client) SaveDocument(ctx context.Context, name, version string, xml []byte) (d Document, err error) {
	err = c.edit(ctx, http.MethodPut, name, version, xml, &d)
	return d, err
}

// DeleteDocument deletes that version of a definition.
func (c *Client) DeleteDocument(ctx context.Context, name, version string) error {
	return c.edit(ctx, http.MethodDelete, name, version, nil, nil)
}

// edit changes the file of a definition, in the version given.
func (c *Client) edit(ctx context.Context, method, name, version string, xml []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://ingot/v1/definitions/"+url.PathEscape(name), bytes.NewReader(xml))
	if err != nil {
		return err
	}
	if version == "" {
		req.Header.Set("If-None-Match", "*")
	} else {
		req.Header.Set("If-Match", version)
	}
	resp, err := c.ask(req)
	if err != nil {
		return err
	}
	return decode(resp, out)
}
