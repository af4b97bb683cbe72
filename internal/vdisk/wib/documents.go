package wib

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	specsName = "BackupSpecs.xml"
	// maxDocument is the size of the largest document that is read. That of the
	// components has less than ten kilobytes, of the writers up to 2.3 MB.
	maxDocument = 16 << 20
	maxDepth    = 64
	// asrWriter is the VSS writer that knows the disks.
	asrWriter = "be000cbe-11fe-4426-9c58-531aa6355fc4"
)

// readSmall reads a file that must be no larger than limit.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return b, err
}

// decode turns a document into UTF-8. They are UTF-16LE without a mark, with a
// zero at the end; others are known by their mark or by how "<" lies in them.
func decode(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return fromUTF16(b[2:], binary.BigEndian)
	case bytes.HasPrefix(b, []byte{'<', 0}):
		return fromUTF16(b, binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0, '<'}):
		return fromUTF16(b, binary.BigEndian)
	}
	b = bytes.TrimRight(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), "\x00")
	if !utf8.Valid(b) {
		return nil, errors.New("the text is neither UTF-8 nor UTF-16")
	}
	return b, nil
}

func fromUTF16(b []byte, order binary.ByteOrder) ([]byte, error) {
	if len(b)%2 != 0 {
		return nil, errors.New("half a character at the end of UTF-16 text")
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	for len(u) > 0 && u[len(u)-1] == 0 {
		u = u[:len(u)-1]
	}
	return []byte(string(utf16.Decode(u))), nil
}

// element is the start of an element, with its attributes by name.
type element struct {
	name  string
	depth int // 0 for the root
	attrs map[string]string
}

func (e *element) attr(name string) string { return e.attrs[name] }

// walk gives each element of a document to visit, from the start on. Names are
// without their namespaces. Entities that a document declares are not known: a
// document that uses one is an error.
func walk(b []byte, visit func(element)) error {
	text, err := decode(b)
	if err != nil {
		return err
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(charset), "utf-16") { // it was decoded
			return in, nil
		}
		return nil, fmt.Errorf("encoding %q", charset)
	}
	depth, any := 0, false
	for {
		t, err := d.Token()
		if err == io.EOF && any && depth == 0 {
			return nil
		}
		if err == io.EOF {
			return errors.New("the document has no end")
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := element{t.Name.Local, depth, map[string]string{}}
			for _, a := range t.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			if depth == 0 && any {
				return errors.New("the document has two roots")
			}
			visit(e)
			any = true
			if depth++; depth > maxDepth {
				return fmt.Errorf("elements lie more than %d deep", maxDepth)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// readSpecs takes letters and labels of volumes from BackupSpecs.xml: elements
// Volume with Name, AccessPath and Label; AllCritical and SystemState with
// IsPresent.
func (b *Backup) readSpecs(path string) error {
	text, err := readSmall(path, maxDocument)
	if err != nil {
		return err
	}
	return walk(text, func(e element) {
		switch e.name {
		case "Volume":
			b.nameVolume(e.attr("Name"), either(e.attr("OriginalAccessPath"), e.attr("AccessPath")), either(e.attr("OriginalLabel"), e.attr("Label")))
		case "AllCritical":
			b.Whole = b.Whole || truth(e.attr("IsPresent"))
		}
	})
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func truth(s string) bool { return strings.EqualFold(s, "true") || s == "1" }

// nameVolume gives the disk of a volume its letter and label.
func (b *Backup) nameVolume(name, access, label string) {
	id := strings.ToLower(volumeName.FindString(name))
	for i := range b.Disks {
		if d := &b.Disks[i]; id != "" && d.Volume == id {
			d.Letter, d.Label = strings.TrimRight(clean(access), `\`), clean(label)
		}
	}
}

// clean leaves out of a text what a terminal would obey, and more than a name
// has.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 256 {
		s = string(r[:256])
	}
	return s
}

// readComponents counts the disks that the ASR writer has a component of, in the
// VSS document of the components that were backed up: WRITER_COMPONENTS with
// writerId, in it COMPONENT with logicalPath and componentName.
func (b *Backup) readComponents(path string) error {
	text, err := readSmall(path, maxDocument)
	if err != nil {
		return err
	}
	asr, disks := false, map[string]bool{}
	err = walk(text, func(e element) {
		switch e.name {
		case "WRITER_COMPONENTS":
			asr = strings.Contains(strings.ToLower(e.attr("writerId")), asrWriter)
		case "COMPONENT":
			if name := strings.ToLower(e.attr("componentName")); asr && strings.EqualFold(e.attr("logicalPath"), "Disks") && strings.HasPrefix(name, "harddisk") {
				disks[name] = true
			}
		}
	})
	b.SourceDisks = len(disks)
	return err
}
