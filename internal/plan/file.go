package plan

import (
	"bytes"
	"errors"
	"fmt"
)

// File is a definition file: a Definition, and everything else in the file,
// which is kept when it is written again: comments, the order of lists, blank
// lines, and elements and attributes of other namespaces.
type File struct {
	Definition Definition
	root       *node // the document
}

// ParseXML reads a definition file of at most MaxXML bytes. It refuses what the
// schema refuses (see Schema) and then what Check does; both errors name line
// and element.
func ParseXML(data []byte) (*File, error) {
	f, err := parseXML(data)
	if err != nil {
		return nil, err
	}
	if err := f.locate(f.Definition.Check()); err != nil {
		return nil, err
	}
	return f, nil
}

// parseXML reads a file as the schema has it.
func parseXML(data []byte) (*File, error) {
	f := &File{}
	return f, f.read(data, "definition", f.Definition.visit)
}

// ParseTemplate reads the file of a template: an element <template> with what
// stands in the <plan> of a definition.
func ParseTemplate(data []byte) (*Template, error) {
	t, f := &Template{}, &File{}
	if err := f.read(data, "template", t.visit); err != nil {
		return nil, err
	}
	c := &checker{}
	t.check(c)
	return t, f.locate(errors.Join(c.errs...))
}

// read reads a document whose element has this name.
func (f *File) read(data []byte, name string, v visit) (err error) {
	if f.root, err = parseTree(data); err != nil {
		return err
	}
	n := f.element()
	if !n.ours() || n.name() != name {
		return n.errorf("a %s file begins <%s xmlns=%q name=\"...\">", name, name, Namespace)
	}
	c := &codec{mode: reading, re: patterns{}}
	c.element(n, 0, v)
	return c.err
}

// element is the element of the definition.
func (f *File) element() *node {
	for _, k := range f.root.kids {
		if k.kind == elementNode {
			return k
		}
	}
	return nil
}

// Encode writes the Definition into what was read of the file, or into a new
// one for a File that was not read.
func (f *File) Encode() ([]byte, error) {
	if err := f.Definition.Check(); err != nil {
		return nil, err
	}
	if f.root == nil {
		f.root = newDocument()
	}
	data, err := encode(f.root, &f.Definition)
	if err != nil {
		return nil, err
	}
	return data, f.Definition.readsBack(data)
}

// encode writes a definition into a document.
func encode(root *node, d *Definition) ([]byte, error) {
	f := File{root: root}
	c := &codec{mode: writing}
	c.element(f.element(), 0, d.visit)
	if c.err != nil {
		return nil, c.err
	}
	var b bytes.Buffer
	root.write(&b)
	if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// readsBack makes sure that nothing was lost in writing: by a text that XML
// cannot hold, for example.
func (d *Definition) readsBack(data []byte) error {
	back, err := parseXML(data)
	if err != nil {
		return fmt.Errorf("the definition cannot be written as XML: %w", err)
	}
	want, err := encode(newDocument(), d)
	if err != nil {
		return err
	}
	got, err := encode(newDocument(), &back.Definition)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("the definition cannot be written as XML: it reads back as another")
	}
	return err
}

// newDocument is an empty definition file.
func newDocument() *node {
	return &node{kids: []*node{
		{kind: instructionNode, raw: "xml", text: `version="1.0" encoding="UTF-8"`},
		{kind: textNode, text: "\n"},
		{raw: "definition", space: Namespace, attrs: []attr{{raw: "xmlns", space: "xmlns", value: Namespace, declares: true}}},
		{kind: textNode, text: "\n"},
	}}
}

// locate gives errors of Check the lines they are about.
func (f *File) locate(err error) error {
	if err == nil {
		return nil
	}
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		return err
	}
	var out []error
	for _, e := range all.Unwrap() {
		var field *FieldError
		if errors.As(e, &field) {
			n := f.element().find(field.at)
			e = &SyntaxError{n.line, n.raw, field.Msg}
		}
		out = append(out, e)
	}
	return errors.Join(out...)
}

// find is the element at the end of a path, or the last on the way to it that
// is there.
func (n *node) find(path []step) *node {
	for _, s := range path {
		next := n.nth(s)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

func (n *node) nth(s step) *node {
	i := 0
	for _, k := range n.kids {
		if !k.ours() || s.name != "*" && k.name() != s.name {
			continue
		}
		if i == s.index {
			return k
		}
		i++
	}
	return nil
}
