package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// visit is a function that says what is in an element.
type visit func(*codec)

// choice is one of several children.
type choice struct {
	name  string
	visit visit
}

// element takes the whole of an element n.
func (c *codec) element(n *node, deep int, v visit) {
	in := &codec{mode: c.mode, n: n, deep: deep, re: c.re}
	if c.mode == reading {
		in.seen = &seen{attrs: map[string]bool{}}
		for _, k := range n.kids {
			if k.kind == elementNode {
				in.seen.kids = append(in.seen.kids, k)
			}
		}
	}
	if c.mode == reading {
		in.order()
	}
	v(in)
	if c.mode == reading {
		in.leftovers()
	}
	if in.err != nil {
		c.fail(in.err)
	}
}

// describe gives the schema of an element.
func describe(v visit) *elementType {
	c := &codec{mode: describing, xsd: &elementType{}}
	v(c)
	return c.xsd
}

// text takes the text in an element that has no children.
func (c *codec) text(s *string, t simpleType) {
	switch c.mode {
	case describing:
		c.xsd.text = &t
	case writing:
		if c.n.content() != *s {
			c.n.kids = []*node{{kind: textNode, text: *s}}
		}
	case reading:
		*s = c.n.content()
		c.seen.known = nil
		c.seen.attrs["#text"] = true
		if err := t.check(*s, c.re); err != nil {
			c.fail(c.n.errorf("%s", err))
		}
	}
}

// content is the text in an element.
func (n *node) content() string {
	var b strings.Builder
	for _, k := range n.kids {
		if k.kind == textNode {
			b.WriteString(k.text)
		}
	}
	return b.String()
}

// child takes an element that may be there once. It is added when on; one that
// is there stays, for the sake of comments in it.
func (c *codec) child(name string, on bool, v visit) {
	n := 0
	if on || c.mode == writing && slices.ContainsFunc(c.n.kids, func(k *node) bool { return k.ours() && k.name() == name }) {
		n = 1
	}
	c.some([]choice{{name, v}}, 0, 1, n, func(int) choice { return choice{name, v} }, func(string) visit { return v })
}

// list takes any number of elements of one name into a slice, and at least min.
func list[T any](c *codec, name string, items *[]T, min int, v func(*codec, *T)) {
	alternatives(c, items, min, 0, func(*T) string { return name }, []string{name}, func(c *codec, _ string, item *T) { v(c, item) })
}

// alternatives takes elements of several names into a slice.
func alternatives[T any](c *codec, items *[]T, min, max int, name func(*T) string, names []string, v func(*codec, string, *T)) {
	var all []choice
	for _, n := range names {
		all = append(all, choice{n, func(c *codec) { var item T; v(c, n, &item) }})
	}
	c.some(all, min, max, len(*items), func(i int) choice {
		n := name(&(*items)[i])
		return choice{n, func(c *codec) { v(c, n, &(*items)[i]) }}
	}, func(n string) visit {
		return func(c *codec) {
			var item T
			v(c, n, &item)
			*items = append(*items, item)
		}
	})
}

// one takes exactly one of several elements.
func (c *codec) one(name string, all ...choice) {
	find := func(name string) visit {
		for _, a := range all {
			if a.name == name {
				return a.visit
			}
		}
		return nil
	}
	if c.mode == writing && find(name) == nil {
		c.fail(fmt.Errorf("write <%s>: there is no element for %q", c.n.raw, name))
		return
	}
	c.some(all, 1, 1, 1, func(int) choice { return choice{name, find(name)} }, find)
}

// some takes the children that are one of all: from min to max (0: any number)
// of them. There are n to write, and get is the one at i; add is how one of a
// name is read.
func (c *codec) some(all []choice, min, max, n int, get func(i int) choice, add func(name string) visit) {
	switch c.mode {
	case describing:
		p := part{min: min, max: max}
		for _, a := range all {
			p.options = append(p.options, option{a.name, describe(a.visit)})
		}
		c.xsd.parts = append(c.xsd.parts, p)
	case reading:
		c.readSome(all, min, max, add)
	case writing:
		c.writeSome(all, n, get)
	}
}

func (c *codec) readSome(all []choice, min, max int, add func(name string) visit) {
	var names []string
	for _, a := range all {
		names = append(names, a.name)
	}
	c.seen.known = append(c.seen.known, names...)
	count := 0
	for len(c.seen.kids) > 0 && (max == 0 || count < max) {
		k := c.seen.kids[0]
		if !k.ours() || !slices.Contains(names, k.name()) {
			break
		}
		c.seen.kids = c.seen.kids[1:]
		c.element(k, c.deep+1, add(k.name()))
		count++
	}
	if count < min {
		if len(c.seen.kids) > 0 {
			c.fail(c.misplaced(c.seen.kids[0], names))
			return
		}
		c.fail(c.n.errorf("it lacks <%s>", strings.Join(names, "> or <")))
	}
}

// writeSome makes the first n of the children with these names be those that
// get gives, and takes others of them away. What stands between is left.
func (c *codec) writeSome(all []choice, n int, get func(i int) choice) {
	i := 0
	for at := c.at; at < len(c.n.kids); at++ {
		k := c.n.kids[at]
		if !k.ours() || !slices.ContainsFunc(all, func(a choice) bool { return a.name == k.name() }) {
			continue
		}
		if i == n || get(i).name != k.name() {
			at = c.remove(at) - 1
			continue
		}
		c.element(k, c.deep+1, get(i).visit)
		c.at = at + 1
		i++
	}
	for ; i < n; i++ {
		a := get(i)
		k := &node{raw: prefix(c.n.raw) + a.name, space: Namespace}
		c.element(k, c.deep+1, a.visit)
		c.insert(k)
	}
}

// remove takes the child at place at away, with the blanks before it, and gives
// the place of what follows.
func (c *codec) remove(at int) int {
	from := at
	if at > 0 && c.n.kids[at-1].kind == textNode && strings.TrimSpace(c.n.kids[at-1].text) == "" {
		from--
	}
	c.n.kids = slices.Delete(c.n.kids, from, at+1)
	if !slices.ContainsFunc(c.n.kids, func(k *node) bool { return k.kind != textNode }) {
		c.n.kids = nil
	}
	c.at = min(c.at, len(c.n.kids))
	return from
}

// insert adds a child behind the last one, on a line of its own.
func (c *codec) insert(k *node) {
	indent := &node{kind: textNode, text: "\n" + strings.Repeat("  ", c.deep+1)}
	if len(c.n.kids) == 0 {
		c.n.kids = []*node{{kind: textNode, text: "\n" + strings.Repeat("  ", c.deep)}}
		c.at = 0
	}
	c.n.kids = slices.Insert(c.n.kids, c.at, indent, k)
	c.at += 2
}

// leftovers refuses what no function has taken. Elements and attributes of other
// namespaces may be there, the elements behind all others.
func (c *codec) leftovers() {
	for _, a := range c.n.attrs {
		switch name := local(a.raw); {
		case a.declares:
		case a.space == schemaNamespace && (name == "type" || name == "nil"):
			c.fail(c.n.errorf("the attribute %s is not allowed here", a.raw))
		case a.space == Namespace, a.space == "" && !c.seen.attrs[a.raw]:
			c.fail(c.n.errorf("the attribute %s is unknown%s", a.raw, advice(a.raw, slices.Sorted(maps.Keys(c.seen.attrs)))))
		}
	}
	simple := c.seen.attrs["#text"]
	for _, k := range c.seen.kids {
		if simple || k.space == Namespace || k.space == "" {
			c.fail(c.misplaced(k, c.seen.known))
		}
	}
	if text := strings.TrimSpace(c.n.content()); text != "" && !simple {
		c.fail(c.n.errorf("no text stands here%s", advice(c.n.name(), nil)))
	}
}

// order refuses elements of a definition behind those of others.
func (c *codec) order() {
	foreign := false
	for _, k := range c.n.kids {
		foreign = foreign || k.kind == elementNode && !k.ours() && k.space != ""
		if foreign && k.ours() {
			c.fail(k.errorf("it stands behind elements of another namespace, which come last"))
			return
		}
	}
}

// misplaced says what is wrong about a child that cannot stand where it does.
func (c *codec) misplaced(k *node, here []string) error {
	switch {
	case k.kind == elementNode && !k.ours() && k.space == "":
		return k.errorf("it is in no namespace: the definition begins <definition xmlns=%q>", Namespace)
	case slices.Contains(c.seen.known, k.name()):
		return k.errorf("it stands there twice or too late; the order in <%s> is: %s", c.n.raw, strings.Join(c.seen.known, ", "))
	case len(here) == 0:
		return k.errorf("<%s> has no elements in it", c.n.raw)
	}
	return k.errorf("it is unknown in <%s>, or out of order%s", c.n.raw, advice(k.name(), here))
}

// advice is what may have been meant by a name that is unknown.
func advice(name string, known []string) string {
	for _, secret := range []string{"pass", "secret", "token", "key"} {
		if strings.Contains(strings.ToLower(name), secret) {
			return `: a password never stands in a definition; write <password file="/etc/ingot/backup.password"/>, or <password> with <command>`
		}
	}
	if known = slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "#text" }); len(known) == 0 {
		return ""
	}
	return fmt.Sprintf("; there are: %s", strings.Join(known, ", "))
}
