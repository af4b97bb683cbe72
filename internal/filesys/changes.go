package filesys

import (
	"context"

	"ingot/internal/block"
	"ingot/internal/filesys/ntfs"
)

// StateOptions is ntfs.StateOptions.
type StateOptions = ntfs.StateOptions

// Changes gives what of a volume must be read to have all that changed since an
// earlier state of it, or says in words why that cannot be known: see
// ntfs.Changes. Both volumes are as Open gave them.
func Changes(ctx context.Context, now, was Volume, opts StateOptions) (must block.Map, reason string, err error) {
	a, b := asNTFS(now), asNTFS(was)
	switch {
	case a == nil || b == nil:
		return nil, "its file system is not NTFS", nil
	case now.Info().WholeReason != "":
		return nil, "it is not in order: " + now.Info().WholeReason, nil
	case was.Info().WholeReason != "":
		return nil, "it was not in order when the backup was made that this one is compared with: " + was.Info().WholeReason, nil
	}
	return ntfs.Changes(ctx, a, b, opts)
}

func asNTFS(v Volume) *ntfs.Volume {
	n, ok := v.(volume)
	if !ok {
		return nil
	}
	out, _ := n.files.(*ntfs.Volume)
	return out
}
