package filesys

import (
	"fmt"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs"
)

// Unneeded is a file whose contents its system makes anew: for paging,
// hibernation, shadow copies.
type Unneeded struct {
	Path  string
	Bytes int64  // in its clusters
	Kept  string // why the contents are stored nevertheless; "" when they are left out
}

// LeaveUnneeded is v without the contents of such files: they keep their names
// and sizes. Their first bytes are stored as zeros, lest a system takes what a
// restore finds on its target for its own. It gives v itself when there are no
// such files, or when everything is to be copied whole.
func LeaveUnneeded(v Volume) (Volume, []Unneeded, error) {
	known, ok := v.(volume)
	if !ok || known.info.WholeReason != "" || known.used == nil {
		return v, nil, nil
	}
	n, ok := known.files.(*ntfs.Volume)
	if !ok {
		return v, nil, nil
	}
	var out, zero []block.Extent
	var files []Unneeded
	for _, u := range n.Unneeded() {
		files = append(files, Unneeded{u.Path, u.Bytes, u.Kept})
		if u.Kept == "" {
			out, zero = append(out, u.Out...), append(zero, u.Zero...)
		}
	}
	if len(out) == 0 {
		return v, files, nil
	}
	left, err := Leave(v, out, zero)
	if err != nil {
		return nil, nil, fmt.Errorf("leave out files that the system makes anew: %w", err)
	}
	return left, files, nil
}
