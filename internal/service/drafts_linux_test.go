package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDrafts(t *testing.T) {
	r := newRig(t, map[string]string{})
	r.start()
	c, ctx := r.client, t.Context()
	if all, err := c.Drafts(ctx); err != nil || len(all) != 0 {
		t.Errorf("at first: %+v, %v", all, err)
	}
	first, err := c.NewDraft(ctx, "image", map[string]int{"step": 1})
	if err != nil || first.Kind != "image" || !draftID(first.ID) || first.Changed.IsZero() {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := c.SaveDraft(ctx, first.ID, first.Version, map[string]int{"step": 2})
	if err != nil || second.Version == first.Version || string(second.Data) != `{"step":2}` || second.Kind != "image" {
		t.Errorf("%+v, %v", second, err)
	}
	// A second tab that still shows the first version overwrites nothing.
	if _, err := c.SaveDraft(ctx, first.ID, first.Version, 3); !refusedWith(err, http.StatusPreconditionFailed) || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("an old version: %v", err)
	}
	if _, err := c.SaveDraft(ctx, first.ID, "", 3); !refusedWith(err, http.StatusPreconditionRequired) {
		t.Errorf("no version: %v", err)
	}
	file := filepath.Join(r.opts.State, "drafts", first.ID+".json")
	if st, err := os.Stat(file); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if st, err := os.Stat(filepath.Dir(file)); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st, err)
	}
	// Another service goes on with it.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.start()
	if d, err := c.Draft(ctx, first.ID); err != nil || d.Version != second.Version || string(d.Data) != `{"step":2}` || !d.Changed.Equal(second.Changed) {
		t.Errorf("after a restart: %+v, %v", d, err)
	}
	if err := c.DeleteDraft(ctx, first.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Draft(ctx, first.ID); !refusedWith(err, http.StatusNotFound) {
		t.Errorf("thrown away: %v", err)
	}
	if err := c.DeleteDraft(ctx, first.ID); !refusedWith(err, http.StatusNotFound) {
		t.Errorf("thrown away twice: %v", err)
	}
}

func TestDraftsAreBounded(t *testing.T) {
	r := newRig(t, map[string]string{})
	r.start()
	c, ctx := r.client, t.Context()
	var ids []string
	for i := range MostDrafts + 2 {
		d, err := c.NewDraft(ctx, "image", i)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	all, err := c.Drafts(ctx)
	if err != nil || len(all) != MostDrafts || all[0].ID != ids[len(ids)-1] || all[MostDrafts-1].ID != ids[2] {
		t.Errorf("%d drafts, %v", len(all), err)
	}
	if _, err := c.NewDraft(ctx, "image", strings.Repeat("x", MaxDraft)); !refusedWith(err, http.StatusRequestEntityTooLarge) {
		t.Errorf("a large one: %v", err)
	}
	for _, kind := range []string{"", "../image", strings.Repeat("x", 33)} {
		if _, err := c.NewDraft(ctx, kind, 1); !refusedWith(err, http.StatusBadRequest) {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	for _, id := range []string{"..", "../history", strings.Repeat("0", 31) + "/", strings.ToUpper(ids[5]), strings.Repeat("0", 32)} {
		if _, err := c.Draft(ctx, id); !refusedWith(err, http.StatusNotFound) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	// A file that is no draft hides the others as little as it is one.
	if err := os.WriteFile(filepath.Join(r.opts.State, "drafts", fmt.Sprintf("%032x.json", 1)), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := c.Drafts(ctx); err != nil || len(all) != MostDrafts || !json.Valid(all[0].Data) {
		t.Errorf("%d drafts, %v", len(all), err)
	}
}
