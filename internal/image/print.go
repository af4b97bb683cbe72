package image

import (
	"crypto/md5"
	"encoding/binary"
	"iter"

	"github.com/zeebo/blake3"

	"ingot/internal/block"
)

// Print is a hash of what the index says of extents of the partition: where they
// lie, and of each block that holds a part of them its hash. Where two points in
// time have the same Print of the same extents, the bytes are the same; where
// they have not, the bytes may be the same nevertheless, since a block holds
// more than the extents, and other sets may cut it, or hide its hash, in another
// way. No block is read.
func (v *Volume) Print(extents iter.Seq2[block.Extent, error]) (sum [32]byte, err error) {
	h := blake3.New()
	number := func(n int64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	number(v.BlockSize())
	t := v.tools()
	defer v.pool.Put(t)
	for e, err := range extents {
		if err != nil {
			return sum, err
		}
		number(e.Off)
		number(e.Len)
		for i := range v.spaces {
			s := &v.spaces[i]
			lo, hi := max(e.Off, s.base), min(e.End(), s.end())
			for piece := (lo - s.base) / s.piece; lo < hi && piece <= (hi-1-s.base)/s.piece; {
				n := min(readElements, (hi-1-s.base)/s.piece-piece+1)
				if err := v.readElements(t, s, piece, n); err != nil {
					return sum, err
				}
				for k := range t.elems {
					if t.elems[k].size == 0 {
						t.elems[k].sum = [md5.Size]byte{} // not stored
					}
					_, _ = h.Write(t.elems[k].sum[:])
				}
				piece += n
			}
		}
	}
	copy(sum[:], h.Sum(nil))
	return sum, nil
}
