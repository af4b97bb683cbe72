package filesys

import (
	"fmt"
	"slices"

	"ingot/internal/block"
)

// Leave is v without the bytes of some extents, which lie anywhere and in any
// order. Those of out are no longer used: they are not stored, and a restore
// leaves there what the target holds. Those of zero stay in use and are stored
// as zeros, without being read; what is in both is zero. Bytes that v does not
// use stay unused. It fails when the map of v cannot be walked.
//
// The caller answers for what lies in the extents: that nobody needs it, and
// that nothing else lies there.
func Leave(v Volume, out, zero []block.Extent) (Volume, error) {
	zeroed := block.NewExtents(slices.Concat(v.Zeroed(), zero)...)
	used := block.Subtract(v.Used(), block.Subtract(block.NewExtents(out...), zeroed))
	unused, err := held(block.Subtract(zeroed, used))
	if err != nil {
		return nil, fmt.Errorf("read what the volume uses: %w", err)
	}
	if zeroed, err = held(block.Subtract(zeroed, unused)); err != nil {
		return nil, err
	}
	l := left{v, v.Info(), used, zeroed}
	if l.info.UsedBytes, err = block.Bytes(used); err != nil {
		return nil, fmt.Errorf("count the bytes that are left of the volume: %w", err)
	}
	l.info.ZeroedBytes, err = block.Bytes(zeroed)
	return l, err
}

// held is a map that is held in memory.
func held(m block.Map) (block.Extents, error) {
	var out []block.Extent
	for e, err := range m.Extents() {
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return block.NewExtents(out...), nil
}

// left is a volume without some of its bytes.
type left struct {
	Volume
	info   Info
	used   block.Map
	zeroed block.Extents
}

// Info implements Volume.
func (l left) Info() Info { return l.info }

// Used implements Volume.
func (l left) Used() block.Map { return l.used }

// Zeroed implements Volume.
func (l left) Zeroed() block.Extents { return l.zeroed }
