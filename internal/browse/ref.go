package browse

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Ref names something in an image: IMAGE[@TIME]:PARTITION/PATH.
type Ref struct {
	Image string // file, folder or device, with the time as it was written
	// Partition is a number (2), one of a disk (1.2), a label or a drive letter;
	// "" when none was named.
	Partition string
	// Path is as io/fs has it, "." for the root. Backslashes in it are as they
	// were written: only the volume knows whether they divide names.
	Path string
	// Root says that Path was not written, or only as a slash.
	Root bool
}

const timeText = `@\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?`

var (
	// drivePrefix is what a path of Windows may begin with; its colon divides
	// nothing.
	drivePrefix = regexp.MustCompile(`^([/\\]{2}[?.][/\\])?[A-Za-z]:[/\\]`)
	// timeSuffix is a time behind an image, whose colons divide nothing either.
	timeSuffix = regexp.MustCompile(timeText + `(:|$)`)
	// wholeTime is all that may stand behind the @ of an image: a time, or a
	// word such as oldest.
	wholeTime = regexp.MustCompile(`^(` + timeText + `|@[^:/\\]*)$`)
)

// ParseRef takes a reference apart. Colons may be part of names, so exists is
// asked which of the paths that the text may begin with is there; the longest
// one is the image, and when none is, the text up to the first colon that is not
// one of a drive or of a time.
func ParseRef(text string, exists func(path string) bool) (Ref, error) {
	image, rest := splitRef(text, exists)
	r := Ref{Image: image, Path: "."}
	if image == "" {
		return r, fmt.Errorf("%q names no image: write IMAGE:PARTITION/PATH", text)
	}
	at := strings.IndexAny(rest, `/\`)
	if at < 0 {
		at = len(rest)
	}
	r.Partition = rest[:at]
	if len(r.Partition) == 2 {
		r.Partition = strings.TrimSuffix(r.Partition, ":") // C:
	}
	r.Path = CleanPath(rest[at:])
	r.Root = r.Path == "."
	if strings.ContainsRune(r.Path, 0) {
		return r, fmt.Errorf("%q: a path holds no NUL", text)
	}
	return r, nil
}

// CleanPath gives a path from a root as io/fs has it.
func CleanPath(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+strings.TrimLeft(p, `/\`)), "/")
	if p == "" {
		return "."
	}
	return p
}

// splitRef divides a reference into the image and what stands behind its colon.
func splitRef(text string, exists func(string) bool) (image, rest string) {
	if there(text, exists) {
		return text, ""
	}
	for at := strings.LastIndexByte(text, ':'); at > 0; at = strings.LastIndexByte(text[:at], ':') {
		if there(text[:at], exists) && !inTime(text, at, exists) {
			return text[:at], text[at+1:]
		}
	}
	skip := len(drivePrefix.FindString(text))
	if m := timeSuffix.FindStringIndex(text); m != nil {
		skip = max(skip, m[1]-1)
		if text[m[1]-1] != ':' {
			return text, ""
		}
	}
	image, rest, _ = strings.Cut(text[skip:], ":")
	return text[:skip] + image, rest
}

// there says whether an image, with or without a time behind it, exists.
func there(image string, exists func(string) bool) bool {
	if exists(image) {
		return true
	}
	at := strings.LastIndexByte(image, '@')
	return at > 0 && wholeTime.MatchString(image[at:]) && exists(image[:at])
}

// inTime says whether the colon at this place is one of a time behind an image:
// a longer text is a time there too.
func inTime(text string, colon int, exists func(string) bool) bool {
	for _, m := range timeSuffix.FindAllStringIndex(text, -1) {
		end := m[1]
		if text[end-1] == ':' {
			end--
		}
		if m[0] < colon && colon < end && exists(text[:m[0]]) {
			return true
		}
	}
	return false
}
