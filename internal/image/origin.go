package image

// BlockOrigin is where in the partition the first of the blocks begins, in
// bytes: what lies before it, the reserved area of a FAT volume, is stored in
// pieces of its own.
func (v *Volume) BlockOrigin() int64 { return v.spaces[len(v.spaces)-1].base }
