package plan

import (
	"reflect"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	for _, tpl := range Templates() {
		f := File{Definition: Definition{Name: "a", Sources: []Source{{Kind: SourceAll}}, Destinations: []Destination{{Path: "/b"}}}}
		tpl.Apply(&f.Definition)
		out, err := f.Encode()
		if err != nil {
			t.Fatalf("%s: %v", tpl.Name, err)
		}
		if again := parse(t, out); !reflect.DeepEqual(again.Definition, f.Definition) {
			t.Errorf("%s comes back as\n%s", tpl.Name, out)
		}
	}
}

func TestParseTemplate(t *testing.T) {
	doc := `<template xmlns="urn:ingot:definition:1" name="mine" title="My own">
  <schedule type="full"><daily at="12:00"/></schedule>
  <retention full="3"/>
</template>`
	got, err := ParseTemplate([]byte(doc))
	want := &Template{Name: "mine", Title: "My own", Schedules: []Schedule{{Type: Full, At: 720}}, Retention: Retention{Full: Keep{3, Backups}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	if valid := xmllint(t, []string{doc}); !valid[0] {
		t.Error("the schema refuses it")
	}
	for old, want := range map[string]string{
		`"12:00"`: "line 2: <daily>: at:", `<retention full="3"/>`: "line 3: <plan>: it is unknown",
		`template`: "a template file begins <template", `<daily at="12:00"/>`: "line 2: <schedule>: every 0d: whole minutes",
	} {
		change := map[string]string{`"12:00"`: `"x"`, `<retention full="3"/>`: "<plan/>", "template": "definition", `<daily at="12:00"/>`: `<interval every="0m"/>`}[old]
		if _, err := ParseTemplate([]byte(strings.ReplaceAll(doc, old, change))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
