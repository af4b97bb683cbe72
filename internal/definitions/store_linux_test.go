package definitions

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ingot/internal/plan"
	"ingot/internal/trust"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func definition(name string) *plan.File {
	return &plan.File{Definition: plan.Definition{Name: name, Sources: []plan.Source{{Kind: plan.SourceAll}}, Destinations: []plan.Destination{{Path: "/b"}}}}
}

func TestCreateAndLoad(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "ingot", "definitions")}
	if list, err := s.List(); err != nil || list != nil {
		t.Fatalf("a folder that is not there: %v, %v", list, err)
	}
	path, err := s.Create(definition("one"))
	must(t, err)
	st, err := os.Stat(path)
	must(t, err)
	dir, err := os.Stat(s.Dir)
	must(t, err)
	if st.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("modes %v, %v", st.Mode(), dir.Mode())
	}
	for _, name := range []string{"one", path} {
		e, err := s.Load(name)
		if err != nil || e.Name != "one" || e.Path != path || !reflect.DeepEqual(e.File.Definition, definition("one").Definition) {
			t.Fatalf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := s.Create(definition("one")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := s.Create(definition("../two")); err == nil {
		t.Error("a definition outside of the folder")
	}
	must(t, Write(path, []byte("<broken/>"), true))
	if _, err := s.Create(definition("two")); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(filepath.Join(s.Dir, ".hidden.xml"), nil, 0o600))
	must(t, os.Rename(filepath.Join(s.Dir, "two.xml"), filepath.Join(s.Dir, "three.xml")))
	list, err := s.List()
	must(t, err)
	if len(list) != 2 || list[0].Name != "one" || !strings.Contains(list[0].Err.Error(), "line 1: <broken>") || !strings.Contains(list[1].Err.Error(), `its name is "two"`) {
		t.Errorf("%+v", list)
	}
}

func TestUntrusted(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "definitions")}
	path, err := s.Create(definition("one"))
	must(t, err)
	must(t, os.Chmod(path, 0o622))
	if _, err := s.Load("one"); !errors.Is(err, trust.ErrUntrusted) || !strings.Contains(err.Error(), "chmod go-w "+path) {
		t.Errorf("a file for all: %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.Chmod(s.Dir, 0o777|os.ModeSticky))
	if _, err := s.Load("one"); err != nil {
		t.Errorf("one file in a sticky folder: %v", err)
	}
	if _, err := s.List(); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a list of a folder for all: %v", err)
	}
	if _, err := s.Create(definition("two")); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a file in a folder for all: %v", err)
	}
}

func TestCheckNamed(t *testing.T) {
	dir := t.TempDir()
	bad, readable := filepath.Join(dir, "bad"), filepath.Join(dir, "readable")
	must(t, errors.Join(os.WriteFile(bad, nil, 0o755), os.Chmod(bad, 0o777), os.WriteFile(readable, nil, 0o644)))
	d := definition("one").Definition
	d.Hooks = []plan.Hook{{At: plan.AfterSuccess, Command: []string{"/bin/true"}}}
	must(t, CheckNamed(&d))
	for want, change := range map[string]func(d *plan.Definition){
		"hook 1: " + bad:             func(d *plan.Definition) { d.Hooks[0].Command = []string{bad} },
		"hook 1: its folder":         func(d *plan.Definition) { d.Hooks[0].Dir = bad },
		"password file: " + readable: func(d *plan.Definition) { d.Options.Password.File = readable },
		"password command: " + bad: func(d *plan.Definition) {
			d.Notify.Mail = []plan.Mail{{Password: plan.PasswordRef{Command: []string{"/bin/sh", bad}}}}
		},
		"can be read by others": func(d *plan.Definition) {
			d.Notify.Webhooks = []plan.Webhook{{Token: plan.PasswordRef{File: readable}}}
		},
	} {
		d := definition("one").Definition
		d.Hooks = []plan.Hook{{At: plan.AfterSuccess, Command: []string{"/bin/true"}}}
		change(&d)
		if err := CheckNamed(&d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestUserTemplates(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "definitions")}
	all, err := s.Templates()
	if err != nil || len(all) != len(plan.Templates()) {
		t.Fatalf("%d, %v", len(all), err)
	}
	must(t, os.Mkdir(s.TemplateFolder(), 0o700))
	own := filepath.Join(s.TemplateFolder(), "own.xml")
	must(t, os.WriteFile(own, []byte(`<template xmlns="urn:ingot:definition:1" name="gfs"><schedule><plugged/></schedule></template>`), 0o600))
	all, err = s.Templates()
	if err != nil || len(all) != len(plan.Templates()) || all[len(all)-1].Schedules[0].Kind != plan.OnPlugged {
		t.Errorf("%+v, %v", all, err)
	}
	must(t, os.Chmod(own, 0o666))
	if _, err := s.Templates(); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a template for all: %v", err)
	}
}
