package plan

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumented parses what docs/definitions.md shows.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	var docs []string
	for _, m := range regexp.MustCompile("(?s)```xml\n(.*?)```").FindAllSubmatch(text, -1) {
		docs = append(docs, string(m[1]))
	}
	if len(docs) != 2 {
		t.Fatalf("%d examples", len(docs))
	}
	f := parse(t, []byte(docs[0]))
	if len(f.Definition.Schedules) != 9 {
		t.Errorf("%d schedules", len(f.Definition.Schedules))
	}
	if out, err := f.Encode(); err != nil || strings.Count(string(out), "<!--") != strings.Count(docs[0], "<!--") {
		t.Errorf("%v: comments are lost in\n%s", err, out)
	}
	if _, err := ParseTemplate([]byte(docs[1])); err != nil {
		t.Error(err)
	}
	for i, valid := range xmllint(t, docs) {
		if !valid {
			t.Errorf("the schema refuses example %d", i+1)
		}
	}
	for _, tpl := range Templates() {
		if !strings.Contains(string(text), "| `"+tpl.Name+"` |") {
			t.Errorf("the template %s is not described", tpl.Name)
		}
	}
}
