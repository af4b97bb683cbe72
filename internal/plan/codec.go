package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// codec goes through a Definition element by element, by the functions of
// elements.go, which say once what there is: names, types, order. What it does
// on the way is one of three things, so that reader, writer and schema cannot
// differ:
//
//	reading     from nodes into the Definition; refuses what the schema does
//	writing     from the Definition into nodes, leaving what is not its own
//	describing  into the XML schema
type codec struct {
	mode mode
	n    *node // the element
	seen *seen // what of it was read
	at   int   // writing: the place in n.kids behind the last own element
	deep int   // how many elements this one is in
	xsd  *elementType
	err  error // the first
	re   patterns
}

// patterns are those that were compiled for a run through a Definition.
type patterns map[string]*regexp.Regexp

func (p patterns) match(pattern, text string) bool {
	re := p[pattern]
	if re == nil {
		re = regexp.MustCompile(`\A(?:` + pattern + `)\z`)
		p[pattern] = re
	}
	return re.MatchString(text)
}

type mode uint8

const (
	reading mode = iota
	writing
	describing
)

// seen is what a reader has taken of an element.
type seen struct {
	attrs map[string]bool
	kids  []*node  // elements not taken yet
	known []string // elements that may stand here
}

// elementType is what the schema says of an element.
type elementType struct {
	attrs []attrType
	parts []part // in sequence
	text  *simpleType
}

type attrType struct {
	name     string
	typ      simpleType
	required bool
}

// part is a child, or a choice of one child, of an element.
type part struct {
	options []option
	min     int
	max     int // 0 is any number
}

type option struct {
	name string
	typ  *elementType
}

// simpleType is what a value looks like: a base type of XML Schema, and more
// that holds. The patterns are such that both Go and XML Schema read them.
type simpleType struct {
	base     string
	pattern  string
	enum     []string
	min, max int64 // for xs:integer and, as maxLength, for xs:string
	parse    func(string) error
}

// fail notes the first error.
func (c *codec) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// check says whether text is of the type.
func (t *simpleType) check(text string, re patterns) error {
	switch {
	case t.enum != nil:
		if !slices.Contains(t.enum, text) {
			return fmt.Errorf("%q is none of %s", text, strings.Join(t.enum, ", "))
		}
	case t.base == "xs:string":
		if n := int64(len([]rune(text))); n < t.min || n > t.max {
			return fmt.Errorf("a text of %d characters; it has %d to %d", n, t.min, t.max)
		}
	case t.base == "xs:integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < t.min || n > t.max || !plainNumber(text) {
			return fmt.Errorf("%q is no number from %d to %d", text, t.min, t.max)
		}
	}
	if t.pattern != "" && !re.match(t.pattern, text) {
		if t.parse != nil {
			if err := t.parse(text); err != nil {
				return err
			}
		}
		return fmt.Errorf("%q does not have the form %s", text, t.pattern)
	}
	if t.parse != nil {
		return t.parse(text)
	}
	return nil
}

// plainNumber has no sign and no zeros in front.
func plainNumber(s string) bool {
	return s == "0" || s != "" && s[0] >= '1' && s[0] <= '9'
}

// value is an attribute in the file and in memory.
type value struct {
	name     string
	typ      simpleType
	required bool
	get      func() string // "" is the default, which is not written
	set      func(string) error
	same     func(old string) bool // whether old says the same; nil compares with get
}

// attr takes an attribute.
func (c *codec) attr(v value) {
	switch c.mode {
	case describing:
		c.xsd.attrs = append(c.xsd.attrs, attrType{v.name, v.typ, v.required})
	case writing:
		c.n.setAttr(v)
	case reading:
		c.seen.attrs[v.name] = true
		i := c.n.attrIndex(v.name)
		if i < 0 {
			if v.required {
				c.fail(c.n.errorf("the attribute %s is missing", v.name))
			}
			return
		}
		text := c.n.attrs[i].value
		if v.typ.base != "xs:string" {
			text = strings.Trim(text, " ") // as XML Schema does
		}
		err := v.typ.check(text, c.re)
		if err == nil {
			err = v.set(text)
		}
		if err != nil {
			c.fail(c.n.errorf("%s: %s", v.name, err))
		}
	}
}

// attrIndex finds an attribute without a prefix; -1 when there is none.
func (n *node) attrIndex(name string) int {
	return slices.IndexFunc(n.attrs, func(a attr) bool { return a.raw == name })
}

// setAttr writes an attribute, unless it says the same already in other words.
func (n *node) setAttr(v value) {
	i, text := n.attrIndex(v.name), v.get()
	switch {
	case i >= 0 && v.same != nil && v.same(n.attrs[i].value):
	case text == "" && !v.required:
		if i >= 0 {
			n.attrs = slices.Delete(n.attrs, i, i+1)
		}
	case i >= 0:
		n.attrs[i].value = text
	default:
		n.attrs = append(n.attrs, attr{raw: v.name, value: text})
	}
}

// maxText is how long a text may be, in characters.
const maxText = 4096

// str takes an attribute of any text on one line.
func (c *codec) str(name string, s *string, required bool) {
	t := simpleType{base: "xs:string", max: maxText}
	if required {
		t.min = 1
	}
	c.attr(value{name, t, required, func() string { return *s }, func(text string) error { *s = text; return nil }, nil})
}

// like takes an attribute of a pattern.
func (c *codec) like(name string, s *string, pattern string, required bool) {
	c.attr(value{name, simpleType{base: "xs:string", pattern: pattern, max: maxText}, required, func() string { return *s },
		func(text string) error { *s = text; return nil }, nil})
}

// guid takes an attribute of hexadecimal digits, whose case does not matter.
func (c *codec) guid(name string, s *string, pattern string) {
	c.attr(value{name, simpleType{base: "xs:string", pattern: pattern, max: maxText}, false, func() string { return *s },
		func(text string) error { *s = strings.ToUpper(text); return nil }, func(old string) bool { return strings.ToUpper(old) == *s }})
}

// enum takes an attribute of one of the words, of which the first stands for "".
func enum[T ~string](c *codec, name string, v *T, words ...string) {
	c.attr(value{name, simpleType{base: "xs:string", enum: words}, false, func() string {
		if string(*v) == words[0] {
			return ""
		}
		return string(*v)
	}, func(text string) error {
		if *v = T(text); text == words[0] {
			*v = ""
		}
		return nil
	}, func(old string) bool { return old == string(cmp.Or(*v, T(words[0]))) }})
}

// flag takes an attribute that is yes or no, no when it is not there.
func (c *codec) flag(name string, b *bool) {
	get := func() string {
		if *b {
			return "yes"
		}
		return ""
	}
	c.attr(value{name, simpleType{base: "xs:string", enum: []string{"no", "yes"}}, false, get, func(text string) error { *b = text == "yes"; return nil }, func(old string) bool { return *b == (old == "yes") }})
}

// num takes a number; 0 is the default.
func (c *codec) num(name string, n *int, low, high int64) {
	c.attr(value{name, simpleType{base: "xs:integer", min: low, max: high}, false, func() string {
		if *n == 0 {
			return ""
		}
		return strconv.Itoa(*n)
	}, func(text string) (err error) { *n, err = strconv.Atoi(text); return err }, func(old string) bool { return old == strconv.Itoa(*n) }})
}

const (
	spanPattern  = `[0-9]{1,8}s|[0-9]{1,7}m|[0-9]{1,5}h|[0-9]{1,4}d`
	sizePattern  = `[0-9]{1,15}|[0-9]{1,12}K|[0-9]{1,9}M|[0-9]{1,6}G|[0-9]{1,3}T`
	clockPattern = `([01]?[0-9]|2[0-3]):[0-5][0-9]`
	datePattern  = `(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}`
	dayPattern   = `(sun|mon|tue|wed|thu|fri|sat)`
	daysPattern  = dayPattern + `( ` + dayPattern + `)*`
	monthPattern = `(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`
	keepPattern  = `off|[1-9][0-9]{0,4}( (backups?|days?|weeks?|months?)|[dwm])?`
)

// scalar takes an attribute with a text form of its own. Its zero value is the
// default.
func scalar[T comparable](c *codec, name string, v *T, required bool, pattern string, format func(T) string, parse func(string) (T, error)) {
	base := "xs:string"
	if pattern == datePattern {
		base = "xs:date"
	}
	var zero T
	probe := func(text string) error { _, err := parse(text); return err }
	c.attr(value{name, simpleType{base: base, pattern: pattern, max: maxText, parse: probe}, required, func() string {
		if *v == zero && !required {
			return ""
		}
		return format(*v)
	}, func(text string) (err error) { *v, err = parse(text); return err }, func(old string) bool {
		x, err := parse(old)
		return err == nil && x == *v
	}})
}

func (c *codec) span(name string, d *time.Duration) {
	scalar(c, name, d, false, spanPattern, FormatSpan, ParseSpan)
}

func (c *codec) size(name string, n *int64) {
	scalar(c, name, n, false, sizePattern, FormatSize, ParseSize)
}

func (c *codec) keep(name string, k *Keep) {
	scalar(c, name, k, false, keepPattern, Keep.String, ParseKeep)
}

func (c *codec) clock(name string, at *Clock, required bool) {
	scalar(c, name, at, required, clockPattern, Clock.String, ParseClock)
}

func (c *codec) days(name string, w *Weekdays) {
	scalar(c, name, w, false, daysPattern, Weekdays.String, ParseWeekdays)
}
