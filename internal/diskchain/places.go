package diskchain

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// MaxDepth is the number of files a chain may have.
const MaxDepth = 64

// Opener opens a file of a chain by its path. The path was made of that of the
// file that names it (Places).
type Opener = func(path string) (r io.ReaderAt, size int64, c io.Closer, err error)

// Places are the paths to try for the parent that a file names: relative to the
// folder of the file child, by its name alone in that folder, as after a move of
// both, and where it was on this machine. What a file names on other machines
// (\\server\...) is not tried: a file from anywhere must not make this machine
// log on there.
func Places(child, relative string, absolute ...string) []string {
	var out []string
	add := func(p string) {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	dir := filepath.Dir(child)
	if rel := slashed(relative); rel != "" && !isAbsolute(rel) {
		add(filepath.Join(dir, filepath.FromSlash(rel)))
	}
	for _, name := range append([]string{relative}, absolute...) {
		if base := baseName(name); base != "" {
			add(filepath.Join(dir, base))
		}
	}
	for _, a := range absolute {
		if isLocal(a) {
			add(trimmed(a))
		}
	}
	return out
}

// Full fills p from off. Bytes behind the end are damage, and the error for them
// wraps damage: something in the file says that they are there.
func Full(r io.ReaderAt, p []byte, off int64, damage error) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("%w: %w", damage, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read %d bytes at byte %d: %w", len(p), off, err)
}

func trimmed(p string) string { return strings.TrimRight(p, "\x00") }

func slashed(p string) string { return strings.ReplaceAll(trimmed(p), `\`, "/") }

func isAbsolute(p string) bool { return strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':' }

// baseName is the last part of a path of Windows; "" if that is no name.
func baseName(p string) string {
	p = slashed(p)
	base := p[strings.LastIndexByte(p, '/')+1:]
	if base == "." || base == ".." || strings.Contains(base, ":") {
		return ""
	}
	return base
}

// isLocal is true for C:\... and \\?\Volume{...}\..., the latter also with a
// drive letter.
func isLocal(p string) bool {
	s, device := strings.CutPrefix(strings.ToLower(slashed(p)), "//?/")
	return len(s) > 2 && s[0] >= 'a' && s[0] <= 'z' && s[1] == ':' && s[2] == '/' || device && strings.HasPrefix(s, "volume{")
}
