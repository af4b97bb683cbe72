package vmdk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrCorrupt is wrapped by the error for a disk that contradicts itself.
	ErrCorrupt = errors.New("the VMDK disk is damaged")
	// ErrUnsupported is wrapped by the error for what is not read here.
	ErrUnsupported = errors.New("this kind of VMDK disk is not read here")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

const (
	// maxDescriptor is how long a descriptor may be in bytes.
	maxDescriptor = 64 << 10
	// maxExtents is how many extents a disk may consist of.
	maxExtents = 4096
	// noParent is the parent's content id of a disk without one.
	noParent = "ffffffff"
)

// descriptorMark is how a descriptor begins.
const descriptorMark = "# Disk DescriptorFile"

// descriptor is what the text says.
type descriptor struct {
	createType string
	cid        string
	parentCID  string
	parentHint string
	extents    []extentLine
}

// extentLine is one line of the extent description.
type extentLine struct {
	kind  string // FLAT, SPARSE, ZERO, VMFS, ...
	size  int64  // bytes of the disk
	name  string
	start int64 // of a flat extent: bytes into the file
}

// parseDescriptor reads the text, up to its first zero byte.
func parseDescriptor(b []byte) (*descriptor, error) {
	b, _, _ = bytes.Cut(b, []byte{0})
	d := &descriptor{parentCID: noParent}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if e, ok, err := parseExtent(line); err != nil {
			return nil, err
		} else if ok {
			if d.extents = append(d.extents, e); len(d.extents) > maxExtents {
				return nil, corrupt("it has more than %d extents", maxExtents)
			}
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "createtype":
			d.createType = value
		case "cid":
			d.cid = strings.ToLower(value)
		case "parentcid":
			d.parentCID = strings.ToLower(value)
		case "parentfilenamehint":
			d.parentHint = value
		}
	}
	if len(d.extents) == 0 {
		return nil, corrupt("its descriptor names no extents")
	}
	return d, nil
}

// parseExtent reads a line such as: RW 4192256 SPARSE "disk-s001.vmdk", or with
// an offset behind the name. ok says that it is one.
func parseExtent(line string) (e extentLine, ok bool, err error) {
	access, rest, _ := strings.Cut(line, " ")
	switch access {
	case "RW", "RDONLY":
	case "NOACCESS":
		return e, true, fmt.Errorf("%w: it has an extent that may not be accessed: %s", ErrUnsupported, line)
	default:
		return e, false, nil
	}
	sectors, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(sectors, 10, 64)
	if err != nil || n <= 0 || n > 1<<52 {
		return e, true, corrupt("the size of an extent is %q sectors", sectors)
	}
	e.size = n * sector
	e.kind, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	if before, after, quoted := strings.Cut(rest, `"`); quoted && strings.TrimSpace(before) == "" {
		e.name, rest, _ = strings.Cut(after, `"`)
		offset, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		start, err := strconv.ParseInt(cmp.Or(offset, "0"), 10, 64)
		if err != nil || start < 0 || start > 1<<52 {
			return e, true, corrupt("the extent %s begins at sector %q of its file", e.name, offset)
		}
		e.start = start * sector
	}
	return e, true, e.check()
}

// check refuses what cannot be opened. A name with a folder in it would lead
// away from the descriptor.
func (e *extentLine) check() error {
	switch e.kind {
	case "ZERO":
		return nil
	case "FLAT", "VMFS", "SPARSE":
	default:
		return fmt.Errorf("%w: an extent of type %s", ErrUnsupported, e.kind)
	}
	if e.name == "" || e.name == "." || e.name == ".." || strings.ContainsAny(e.name, "/\\:\x00") {
		return fmt.Errorf("%w: the extent %q does not lie beside the descriptor", ErrUnsupported, e.name)
	}
	return nil
}
