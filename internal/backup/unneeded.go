package backup

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"ingot/internal/filesys"
)

// leaveUnneeded takes out of a part what its system makes anew, and says so.
// When that cannot be done, all of it is imaged.
func (p *Plan) leaveUnneeded(part *Part) {
	v, files, err := filesys.LeaveUnneeded(part.Volume)
	if err != nil {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s: nothing is left out: %v", part.Name(), err))
		return
	}
	part.Volume, part.Info = v, v.Info()
	for _, f := range files {
		text := fmt.Sprintf("%s: %s (%s) is left out", part.Name(), f.Path, humanize.IBytes(uint64(f.Bytes)))
		if f.Kept != "" {
			text = fmt.Sprintf("%s: %s is not left out: %s", part.Name(), f.Path, f.Kept)
		}
		p.Notes = append(p.Notes, text)
	}
}

// tell adds the warnings of a part. That a system is hibernated on it comes
// before all else: what follows may be its consequence.
func (p *Plan) tell(part *Part) {
	for i, w := range part.Info.Warnings {
		w = part.Name() + ": " + w
		if i == 0 && part.Info.Hibernated {
			p.first = append(p.first, w)
			continue
		}
		p.Warnings = append(p.Warnings, w)
	}
}
