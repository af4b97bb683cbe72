package vhdx

import "ingot/internal/block"

// Room is how many bytes a file may come to have that Write makes of a disk of
// size bytes, of which used holds something: every block that is touched, whole.
func Room(size int64, used block.Map, o Options) (int64, error) {
	if err := o.complete(size); err != nil {
		return 0, err
	}
	k := newWriter(nil, o, size)
	room, next := k.next, int64(0) // next is the first block that is not counted yet
	for e, err := range used.Extents() {
		if err != nil {
			return 0, err
		}
		first, end := max(e.Off/o.BlockSize, next), (e.End()+o.BlockSize-1)/o.BlockSize
		if end > first {
			room += (end - first) * o.BlockSize
			next = end
		}
	}
	return room, nil
}
