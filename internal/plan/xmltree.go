package plan

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Bounds of a definition file.
const (
	MaxXML   = 1 << 20 // bytes
	maxDepth = 32      // elements within each other
	maxAttrs = 64      // attributes of an element
)

// Namespace is that of the elements of a definition.
const Namespace = "urn:ingot:definition:1"

// xmlNamespace is what the prefix xml always stands for.
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// schemaNamespace has attributes that change what a validator does.
const schemaNamespace = "http://www.w3.org/2001/XMLSchema-instance"

// nodeKind is what a node of a document is.
type nodeKind uint8

const (
	elementNode nodeKind = iota
	textNode
	commentNode
	instructionNode
)

// node is a node of a document, with all that is needed to write it again. The
// root is an element without a name.
type node struct {
	kind  nodeKind
	raw   string // name as it stands there, with its prefix; target of an instruction
	space string // namespace of an element
	attrs []attr
	text  string
	kids  []*node
	line  int
}

// attr is an attribute, or a declaration of a namespace, as it stands there.
type attr struct {
	raw, space, value string
	declares          bool // a namespace
}

// local is the name without its prefix.
func local(raw string) string { return raw[strings.LastIndexByte(raw, ':')+1:] }

// prefix is what stands before the name, with its colon.
func prefix(raw string) string { return raw[:strings.LastIndexByte(raw, ':')+1] }

func (n *node) name() string { return local(n.raw) }

// ours says whether it is an element of a definition.
func (n *node) ours() bool { return n.kind == elementNode && n.space == Namespace }

// SyntaxError is an error in a definition file.
type SyntaxError struct {
	Line    int    // from 1
	Element string // "" outside of all
	Msg     string
}

func (e *SyntaxError) Error() string {
	if e.Element == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
	}
	return fmt.Sprintf("line %d: <%s>: %s", e.Line, e.Element, e.Msg)
}

// errorf is an error about the element.
func (n *node) errorf(format string, args ...any) error {
	return &SyntaxError{n.line, n.raw, fmt.Sprintf(format, args...)}
}

// treeReader reads a document into nodes.
type treeReader struct {
	dec    *xml.Decoder
	open   []*node             // elements that have begun, the root first
	scopes []map[string]string // prefixes of each of them
	line   int
	top    int // elements at the top
}

// parseTree reads an XML document without a document type: no entities, no
// external references.
func parseTree(data []byte) (*node, error) {
	if len(data) > MaxXML {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), MaxXML)
	}
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	r := &treeReader{dec: xml.NewDecoder(bytes.NewReader(data))}
	r.open = []*node{{}}
	r.scopes = []map[string]string{{"xml": xmlNamespace}}
	for {
		r.line, _ = r.dec.InputPos()
		begin := r.dec.InputOffset()
		token, err := r.dec.RawToken()
		if errors.Is(err, io.EOF) {
			return r.finish()
		}
		if err != nil {
			return nil, r.bad(err)
		}
		if err := r.take(token, begin); err != nil {
			return nil, err
		}
	}
}

func (r *treeReader) bad(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return &SyntaxError{syntax.Line, r.inside().raw, syntax.Msg}
	}
	return &SyntaxError{r.line, r.inside().raw, err.Error()}
}

func (r *treeReader) inside() *node { return r.open[len(r.open)-1] }

func (r *treeReader) errorf(format string, args ...any) error {
	return &SyntaxError{r.line, r.inside().raw, fmt.Sprintf(format, args...)}
}

func (r *treeReader) finish() (*node, error) {
	if len(r.open) > 1 {
		return nil, r.inside().errorf("it is not closed")
	}
	if r.top == 0 {
		return nil, r.errorf("there is no element")
	}
	return r.open[0], nil
}

// take adds a token, which begins at byte begin, to the tree.
func (r *treeReader) take(token xml.Token, begin int64) error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		if len(r.open) == 1 || r.inside().raw != rawName(t.Name) {
			return r.errorf("</%s> closes what is not open", rawName(t.Name))
		}
		r.open, r.scopes = r.open[:len(r.open)-1], r.scopes[:len(r.scopes)-1]
	case xml.CharData:
		if len(r.open) == 1 && len(bytes.TrimSpace(t)) > 0 {
			return r.errorf("text outside of the element")
		}
		r.add(&node{kind: textNode, text: string(t)})
	case xml.Comment:
		r.add(&node{kind: commentNode, text: string(t)})
	case xml.ProcInst:
		if strings.EqualFold(t.Target, "xml") && begin != 0 {
			return r.errorf("an XML declaration stands only at the start of the file")
		}
		if begin == 0 && t.Target == "xml" && !declaration().Match(t.Inst) {
			return r.errorf("the XML declaration is not like <?xml version=\"1.0\" encoding=\"UTF-8\"?>")
		}
		r.add(&node{kind: instructionNode, raw: t.Target, text: string(t.Inst)})
	default:
		return r.errorf("a document type and entities are not allowed in a definition")
	}
	return nil
}

// declaration matches what stands in an XML declaration (XML 1.0, production
// 23). What encoding it is the decoder has seen to.
func declaration() *regexp.Regexp {
	return regexp.MustCompile(`^version\s*=\s*("1\.0"|'1\.0')(\s+encoding\s*=\s*("[A-Za-z][\w.\-]*"|'[A-Za-z][\w.\-]*'))?(\s+standalone\s*=\s*("(yes|no)"|'(yes|no)'))?\s*$`)
}

func (r *treeReader) add(n *node) {
	n.line = r.line
	in := r.inside()
	in.kids = append(in.kids, n)
}

// rawName is a name as it stands there: RawToken puts the prefix into Space.
func rawName(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

func (r *treeReader) start(t xml.StartElement) error {
	if len(r.open) > maxDepth {
		return r.errorf("more than %d elements within each other", maxDepth)
	}
	if len(t.Attr) > maxAttrs {
		return r.errorf("an element <%s> with more than %d attributes", rawName(t.Name), maxAttrs)
	}
	if len(r.open) == 1 {
		if r.top++; r.top > 1 {
			return r.errorf("a second element <%s> beside the definition", rawName(t.Name))
		}
	}
	n := &node{raw: rawName(t.Name)}
	r.add(n)
	r.open = append(r.open, n)
	scope, err := r.scope(t.Attr)
	if err != nil {
		return err
	}
	r.scopes = append(r.scopes, scope)
	if n.space, err = r.resolve(n.raw, true); err != nil {
		return err
	}
	return r.attributes(n, t.Attr)
}

// declared is the prefix that an attribute declares a namespace for.
func declared(raw string) (string, bool) {
	if raw == "xmlns" {
		return "", true
	}
	return strings.CutPrefix(raw, "xmlns:")
}

// scope are the prefixes that are known within an element.
func (r *treeReader) scope(attrs []xml.Attr) (map[string]string, error) {
	scope := r.scopes[len(r.scopes)-1]
	copied := false
	for _, a := range attrs {
		p, ok := declared(rawName(a.Name))
		if !ok {
			continue
		}
		if p != "" && a.Value == "" || p == "xmlns" || (p == "xml") != (a.Value == xmlNamespace) {
			return nil, r.errorf("the prefix %q cannot stand for %q", p, a.Value)
		}
		if !copied {
			old := scope
			scope, copied = make(map[string]string, len(old)+1), true
			for k, v := range old {
				scope[k] = v
			}
		}
		scope[p] = a.Value
	}
	return scope, nil
}

// resolve is the namespace of a name. Attributes without a prefix have none.
func (r *treeReader) resolve(raw string, element bool) (string, error) {
	p, name, prefixed := strings.Cut(raw, ":")
	if !prefixed {
		if !element {
			return "", nil
		}
		return r.scopes[len(r.scopes)-1][""], nil
	}
	space, ok := r.scopes[len(r.scopes)-1][p]
	if !ok || name == "" || strings.Contains(name, ":") {
		return "", r.errorf("the prefix of %q is not declared", raw)
	}
	return space, nil
}

func (r *treeReader) attributes(n *node, attrs []xml.Attr) (err error) {
	seen := map[[2]string]bool{}
	for _, a := range attrs {
		out := attr{raw: rawName(a.Name), value: plainSpaces(a.Value)}
		if _, out.declares = declared(out.raw); out.declares {
			out.space = "xmlns"
		} else if out.space, err = r.resolve(out.raw, false); err != nil {
			return err
		}
		key := [2]string{out.space, local(out.raw)}
		if seen[key] {
			return r.errorf("the attribute %s stands there twice", out.raw)
		}
		seen[key] = true
		n.attrs = append(n.attrs, out)
	}
	return nil
}

// plainSpaces does what XML 1.0, 3.3.3 asks for in values of attributes.
func plainSpaces(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, s)
}

// write appends the node as XML.
func (n *node) write(b *bytes.Buffer) {
	switch n.kind {
	case textNode:
		escape(b, n.text, false)
	case commentNode:
		fmt.Fprintf(b, "<!--%s-->", n.text)
	case instructionNode:
		fmt.Fprintf(b, "<?%s?>", strings.TrimSpace(n.raw+" "+n.text))
	default:
		n.writeElement(b)
	}
}

func (n *node) writeElement(b *bytes.Buffer) {
	if n.raw != "" {
		b.WriteString("<" + n.raw)
		for _, a := range n.attrs {
			b.WriteString(" " + a.raw + `="`)
			escape(b, a.value, true)
			b.WriteByte('"')
		}
		if len(n.kids) == 0 {
			b.WriteString("/>")
			return
		}
		b.WriteByte('>')
	}
	for _, k := range n.kids {
		k.write(b)
	}
	if n.raw != "" {
		b.WriteString("</" + n.raw + ">")
	}
}

// escape writes a text, or the value of an attribute. What is no UTF-8 is
// written as it is, so that it is found out.
func escape(b *bytes.Buffer, s string, value bool) {
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"' && value:
			b.WriteString("&quot;")
		case r == '\r' || value && (r == '\n' || r == '\t'):
			fmt.Fprintf(b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
}
