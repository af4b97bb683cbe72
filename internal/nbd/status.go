package nbd

import (
	"encoding/binary"
	"iter"

	"ingot/internal/block"
)

// segment is a range of an export that is a hole, or is none.
type segment struct {
	block.Extent
	hole bool
}

// smallHole is how large a hole is at least that is worth a chunk of its own.
const smallHole = 4096

// segments cuts n bytes, more than none, into holes and what lies between them.
// Holes shorter than least count as data, and so does all from where the map
// cannot be read.
func (t *session) segments(off, n, least int64) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		at, end := off, off+n // of the data that were found and not yet yielded
		pos := off            // behind which nothing is known yet
		data := func(to int64) bool {
			return at == to || yield(segment{block.Extent{Off: at, Len: to - at}, false})
		}
		hole := func(to int64) bool { // from pos on
			if to-pos < least {
				return true
			}
			if !data(pos) || !yield(segment{block.Extent{Off: pos, Len: to - pos}, true}) {
				return false
			}
			at = to
			return true
		}
		if t.e.Used != nil {
			for e, err := range block.In(t.e.Used, block.Extent{Off: off, Len: n}) {
				if err != nil {
					data(end)
					return
				}
				if !hole(e.Off) {
					return
				}
				pos = e.End()
			}
			if !hole(end) {
				return
			}
		}
		data(end)
	}
}

// maxStatus bounds the extents of one answer.
const maxStatus = 4096

// status answers what is a hole.
func (t *session) status(q *request) error {
	b := make([]byte, 0, 64)
	b = binary.BigEndian.AppendUint32(b, metaID)
	most := maxStatus
	if q.flags&flagReqOne != 0 {
		most = 1
	}
	for seg := range t.segments(q.off, q.len, 1) {
		state := uint32(0)
		if seg.hole {
			state = stateHole | stateZero
		}
		b = binary.BigEndian.AppendUint32(b, uint32(seg.Len))
		b = binary.BigEndian.AppendUint32(b, state)
		if most--; most == 0 {
			break
		}
	}
	return t.send(chunk(q, chunkDone, chunkStatus, len(b)), b)
}
