package service

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/plan"
)

// loadXML reads definitions as they are.
func loadXML(file string) (*plan.Definition, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := plan.ParseXML(data)
	if err != nil {
		return nil, err
	}
	return &f.Definition, nil
}

func xmlOf(t *testing.T, name, comment string) []byte {
	t.Helper()
	f := plan.File{Definition: plan.Definition{
		Name: name, Comment: comment, Sources: []plan.Source{{Kind: plan.SourceAll}}, Destinations: []plan.Destination{{Path: "/mnt/" + name}},
	}}
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refusedWith says whether an error is a problem of this status.
func refusedWith(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}

func TestDefinitionsAreWritten(t *testing.T) {
	r := newRig(t, map[string]string{})
	r.opts.Load = loadXML
	r.start()
	c, ctx := r.client, t.Context()
	first, err := c.SaveDocument(ctx, "one", "", xmlOf(t, "one", "first"))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(first.Path); err != nil || st.Mode() != 0o600 || filepath.Dir(first.Path) != r.opts.Definitions {
		t.Errorf("%v, %v", st, err)
	}
	// What is saved is known at once.
	if st, err := c.Status(ctx); err != nil || len(st.Definitions) != 1 || st.Definitions[0].State != "ready" || st.Definitions[0].Comment != "first" {
		t.Errorf("%+v, %v", st, err)
	}
	if d, err := c.Document(ctx, "one"); err != nil || d.Version != first.Version || d.XML != string(xmlOf(t, "one", "first")) {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.SaveDocument(ctx, "one", "", xmlOf(t, "one", "other")); !refusedWith(err, http.StatusPreconditionFailed) {
		t.Errorf("a second of the same name: %v", err)
	}
	second, err := c.SaveDocument(ctx, "one", first.Version, xmlOf(t, "one", "second"))
	if err != nil || second.Version == first.Version {
		t.Errorf("%+v, %v", second, err)
	}
	if _, err := c.SaveDocument(ctx, "one", first.Version, xmlOf(t, "one", "third")); !refusedWith(err, http.StatusPreconditionFailed) {
		t.Errorf("over what somebody else has written: %v", err)
	}
	if err := c.DeleteDocument(ctx, "one", first.Version); !refusedWith(err, http.StatusPreconditionFailed) {
		t.Errorf("delete an old version: %v", err)
	}
	if d, err := c.Document(ctx, "one"); err != nil || !strings.Contains(d.XML, "second") {
		t.Errorf("%+v, %v", d, err)
	}
	if err := c.DeleteDocument(ctx, "one", second.Version); err != nil {
		t.Error(err)
	}
	if st, err := c.Status(ctx); err != nil || len(st.Definitions) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestDefinitionsThatAreNotWritten(t *testing.T) {
	r := newRig(t, map[string]string{})
	r.opts.Load = loadXML
	r.start()
	hook := filepath.Join(filepath.Dir(r.opts.Socket), "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(hook, 0o777); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	unsafe := plan.File{Definition: plan.Definition{
		Name: "a", Sources: []plan.Source{{Kind: plan.SourceAll}}, Destinations: []plan.Destination{{Path: "/mnt/a"}},
		Hooks: []plan.Hook{{At: plan.BeforeSnapshot, Command: []string{hook}}},
	}}
	unsafeXML, err := unsafe.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why, name string
		xml       []byte
	}{
		{"no XML", "a", []byte("nonsense")},
		{"another name", "b", xmlOf(t, "a", "")},
		{"a path as a name", "../a", xmlOf(t, "a", "")},
		{"a hook that others may write", "a", unsafeXML},
	} {
		if _, err := r.client.SaveDocument(t.Context(), c.name, "", c.xml); !refusedWith(err, http.StatusUnprocessableEntity) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	for _, name := range []string{"../state/history", ".a", "nobody"} {
		if _, err := r.client.Document(t.Context(), name); !refusedWith(err, http.StatusNotFound) {
			t.Errorf("read %q: %v", name, err)
		}
		if err := r.client.DeleteDocument(t.Context(), name, `"x"`); !refusedWith(err, http.StatusNotFound) {
			t.Errorf("delete %q: %v", name, err)
		}
	}
	if list, err := os.ReadDir(r.opts.Definitions); err == nil && len(list) > 0 {
		t.Errorf("the folder has %v", list)
	}
	if status, err := request(r.opts.Socket, "PUT /v1/definitions/a"); err != nil || !strings.Contains(status, " 422 ") {
		t.Errorf("%s, %v", status, err)
	}
	if status, err := request(r.opts.Socket, "DELETE /v1/definitions/a"); err != nil || !strings.Contains(status, " 428 ") {
		t.Errorf("%s, %v", status, err)
	}
}

// Members of the group start and cancel what is defined, and change nothing.
func TestMembersDoNotWriteDefinitions(t *testing.T) {
	s, err := newService(t.Context(), Options{Definitions: t.TempDir(), State: t.TempDir(), Load: loadXML, Program: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	h := s.handler()
	for _, line := range []string{"GET /v1/definitions/a/xml", "PUT /v1/definitions/a", "DELETE /v1/definitions/a"} {
		method, path, _ := strings.Cut(line, " ")
		w := httptest.NewRecorder()
		q := httptest.NewRequest(method, path, nil)
		if h.ServeHTTP(w, q.WithContext(withPeer(q.Context(), Peer{UID: 5, Role: Act}))); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", line, w.Code)
		}
	}
}
