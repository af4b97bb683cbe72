package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

//go:generate env INGOT_WRITE_XSD=1 go test -run TestSchemaFile .

// Schema is the XML Schema of definition files. docs/format/definition.xsd is
// this text.
func Schema() []byte {
	w := &schemaWriter{named: map[string]simpleType{}}
	w.line(0, `<?xml version="1.0" encoding="UTF-8"?>`)
	w.line(0, `<!-- Backup definitions of Ingot. Made from the code that reads them: go generate ./internal/plan.`)
	w.line(0, `     Elements and attributes of other namespaces may stand in every element, elements behind all others;`)
	w.line(0, `     they are kept. What this schema cannot say, 'ingot definition validate' does. -->`)
	w.line(0, `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="%s" targetNamespace="%s" elementFormDefault="qualified">`, Namespace, Namespace)
	w.element(1, "definition", describe((&Definition{}).visit), 1, 1, true)
	w.element(1, "template", describe((&Template{}).visit), 1, 1, true)
	w.texts()
	w.line(0, `</xs:schema>`)
	return w.b.Bytes()
}

type schemaWriter struct {
	b     bytes.Buffer
	named map[string]simpleType // of texts
}

func (w *schemaWriter) line(deep int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", deep))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

// bounds are the attributes for how often a particle occurs; max 0 is any
// number.
func bounds(min, max int) string {
	text := ""
	if min != 1 {
		text = fmt.Sprintf(` minOccurs="%d"`, min)
	}
	switch {
	case max == 0:
		text += ` maxOccurs="unbounded"`
	case max != 1:
		text += fmt.Sprintf(` maxOccurs="%d"`, max)
	}
	return text
}

func (w *schemaWriter) element(deep int, name string, t *elementType, min, max int, top bool) {
	occurs := bounds(min, max)
	if top {
		occurs = ""
	}
	w.line(deep, `<xs:element name="%s"%s>`, name, occurs)
	w.line(deep+1, `<xs:complexType>`)
	if t.text != nil {
		w.textContent(deep+2, t)
	} else {
		w.sequence(deep+2, t)
		w.attributes(deep+2, t)
	}
	w.line(deep+1, `</xs:complexType>`)
	w.line(deep, `</xs:element>`)
}

func (w *schemaWriter) textContent(deep int, t *elementType) {
	name := fmt.Sprintf("text-%d-%d", t.text.min, t.text.max)
	w.named[name] = *t.text
	w.line(deep, `<xs:simpleContent>`)
	w.line(deep+1, `<xs:extension base="%s">`, name)
	w.attributes(deep+2, t)
	w.line(deep+1, `</xs:extension>`)
	w.line(deep, `</xs:simpleContent>`)
}

func (w *schemaWriter) sequence(deep int, t *elementType) {
	w.line(deep, `<xs:sequence>`)
	for _, p := range t.parts {
		if len(p.options) == 1 {
			w.element(deep+1, p.options[0].name, p.options[0].typ, p.min, p.max, false)
			continue
		}
		w.line(deep+1, `<xs:choice%s>`, bounds(p.min, p.max))
		for _, o := range p.options {
			w.element(deep+2, o.name, o.typ, 1, 1, false)
		}
		w.line(deep+1, `</xs:choice>`)
	}
	w.line(deep+1, `<xs:any namespace="##other" processContents="skip" minOccurs="0" maxOccurs="unbounded"/>`)
	w.line(deep, `</xs:sequence>`)
}

func (w *schemaWriter) attributes(deep int, t *elementType) {
	for _, a := range t.attrs {
		use := ""
		if a.required {
			use = ` use="required"`
		}
		w.line(deep, `<xs:attribute name="%s"%s>`, a.name, use)
		w.simple(deep+1, "", a.typ)
		w.line(deep, `</xs:attribute>`)
	}
	w.line(deep, `<xs:anyAttribute namespace="##other" processContents="skip"/>`)
}

// simple writes a type; name is "" for one without.
func (w *schemaWriter) simple(deep int, name string, t simpleType) {
	if name != "" {
		name = fmt.Sprintf(` name="%s"`, name)
	}
	w.line(deep, `<xs:simpleType%s>`, name)
	w.line(deep+1, `<xs:restriction base="%s">`, t.base)
	facet := func(kind string, v any) {
		var b bytes.Buffer
		escape(&b, fmt.Sprint(v), true)
		w.line(deep+2, `<xs:%s value="%s"/>`, kind, b.String())
	}
	for _, word := range t.enum {
		facet("enumeration", word)
	}
	if t.base == "xs:integer" {
		facet("pattern", "0|[1-9][0-9]*")
		facet("minInclusive", t.min)
		facet("maxInclusive", t.max)
	}
	if t.base == "xs:string" && t.enum == nil {
		facet("minLength", t.min)
		facet("maxLength", t.max)
	}
	if t.pattern != "" {
		for _, p := range alternativesOf(t.pattern) {
			facet("pattern", p)
		}
	}
	w.line(deep+1, `</xs:restriction>`)
	w.line(deep, `</xs:simpleType>`)
}

// alternativesOf cuts a pattern at the bars that are in no group. A value needs
// to match one facet; libxml2 mixes up the counts of alternatives in one.
func alternativesOf(pattern string) []string {
	var out []string
	deep, from := 0, 0
	for i, r := range pattern {
		switch r {
		case '(':
			deep++
		case ')':
			deep--
		case '|':
			if deep == 0 {
				out = append(out, pattern[from:i])
				from = i + 1
			}
		}
	}
	return append(out, pattern[from:])
}

// texts writes the types of the texts in elements.
func (w *schemaWriter) texts() {
	var names []string
	for name := range w.named {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.simple(1, name, w.named[name])
	}
}
