package raw

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"ingot/internal/block"
)

// maxParts is how many files a disk may be cut into.
const maxParts = 10000

// Parts are the files of a disk that is cut into several, in order, when path
// is the first of them: it ends with a dot and the first of a row of numbers
// (000, 001, 00, 01) or letters (aa, aaa), and a file with the next one lies
// beside it. It is nil for any other file.
func Parts(path string) ([]string, error) {
	dot := -1
	for i := len(path) - 1; i >= 0 && path[i] != '/' && path[i] != os.PathSeparator; i-- {
		if path[i] == '.' {
			dot = i
			break
		}
	}
	if dot < 0 || !first(path[dot+1:]) {
		return nil, nil
	}
	out := []string{path}
	for suffix := path[dot+1:]; len(out) < maxParts; {
		suffix = next(suffix)
		if suffix == "" {
			break
		}
		fi, err := os.Stat(path[:dot+1] + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("look for the parts of %s: %w", path, err)
		}
		if !fi.Mode().IsRegular() {
			return nil, fmt.Errorf("%s%s, a part of %s, is no file", path[:dot+1], suffix, path)
		}
		out = append(out, path[:dot+1]+suffix)
	}
	if len(out) == 1 {
		return nil, nil
	}
	return out, nil
}

// first says whether a suffix is the first one of a row.
func first(s string) bool {
	return slices.Contains([]string{"000", "001", "0000", "0001", "00", "01", "aa", "aaa"}, s)
}

// next is the suffix that follows s, "" behind the last one of its length.
func next(s string) string {
	b := []byte(s)
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] >= '0' && b[i] < '9', b[i] >= 'a' && b[i] < 'z':
			b[i]++
			return string(b)
		case b[i] == '9':
			b[i] = '0'
		default:
			b[i] = 'a'
		}
	}
	return ""
}

// Part is one file of a disk.
type Part struct {
	Reader block.Reader
	Used   block.Map // relative to it; nil: all
}

// Joined is a disk in several files: a block.Reader.
type Joined struct {
	parts []Part
	ends  []int64
}

// Join makes one disk of parts, which follow each other.
func Join(parts []Part) *Joined {
	j := &Joined{parts: parts}
	var end int64
	for _, p := range parts {
		end += p.Reader.Size()
		j.ends = append(j.ends, end)
	}
	return j
}

// Size implements block.Reader.
func (j *Joined) Size() int64 {
	if len(j.ends) == 0 {
		return 0
	}
	return j.ends[len(j.ends)-1]
}

// start is where part i begins.
func (j *Joined) start(i int) int64 { return j.ends[i] - j.parts[i].Reader.Size() }

// ReadAt implements block.Reader.
func (j *Joined) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read byte %d", off)
	}
	i, _ := slices.BinarySearchFunc(j.ends, off, func(end, at int64) int { return cmp.Compare(end, at+1) })
	done := 0
	for ; done < len(p) && i < len(j.parts); i++ {
		at := off + int64(done)
		part := p[done:][:min(int64(len(p)-done), j.ends[i]-at)]
		n, err := j.parts[i].Reader.ReadAt(part, at-j.start(i))
		done += n
		if n < len(part) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return done, fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Used is the map of what the parts have.
func (j *Joined) Used() block.Map { return joinedMap{j} }

type joinedMap struct{ j *Joined }

// Extents implements block.Map.
func (m joinedMap) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for i, p := range m.j.parts {
			used := p.Used
			if used == nil {
				used = block.Whole(p.Reader.Size())
			}
			for e, err := range block.Shift(used, m.j.start(i)).Extents() {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
