package backup

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"ingot/internal/filesys"
)

// checkExclude fails when the patterns of files to be left out are none, or go
// against another option.
func checkExclude(opts Options) error {
	if len(opts.Exclude) > 0 && opts.AllSectors {
		return fmt.Errorf("%w: all sectors are to be copied, and files to be left out", ErrOptions)
	}
	if err := filesys.CheckPatterns(opts.Exclude); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// exclude leaves out of a part what Options.Exclude says.
func (p *Plan) exclude(part *Part) {
	if len(p.opts.Exclude) == 0 {
		return
	}
	v, x, err := filesys.Exclude(part.Volume, p.opts.Exclude)
	if err != nil {
		x.Reason = err.Error()
	}
	if x.Reason != "" {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: nothing is left out by --exclude: %s", part.Name(), x.Reason))
		return
	}
	part.Volume, part.Info = v, v.Info()
	p.searched = true
	p.leftOut += x.Files + x.Kept
	if x.Files > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %s, %s left out by --exclude: %s", part.Name(),
			files(x.Files), humanize.Bytes(uint64(x.Bytes)), names(x)))
	}
	if x.Kept > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %s kept though --exclude matches: with another name that does not match, encrypted, or stored by a filter of Windows",
			part.Name(), files(x.Kept)))
	}
}

// files is how many there are.
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return humanize.Comma(int64(n)) + " files"
}

// names are the first files that were left out.
func names(x filesys.Excluded) string {
	out := strings.Join(x.Names, ", ")
	if more := x.Files - len(x.Names); more > 0 {
		out += fmt.Sprintf(" and %s more", humanize.Comma(int64(more)))
	}
	return out
}

// excluded warns of patterns that have no effect: they may be mistyped.
func (p *Plan) excluded() {
	if len(p.opts.Exclude) > 0 && p.searched && p.leftOut == 0 {
		p.Warnings = append(p.Warnings, "no file with contents matches --exclude "+strings.Join(p.opts.Exclude, " or "))
	}
}
