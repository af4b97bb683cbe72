package qcow2

import "encoding/binary"

// Clusters of the file are given out in order. The first one of each stretch of
// refSpan bytes of the file (of the first stretch the second, behind the header)
// is the block of reference counts for that stretch: when the next stretch
// begins it is written, and never touched again.

// claim gives out the next cluster of the file and counts it once.
func (o *output) claim() int64 {
	at := o.claimEmpty()
	o.count(at)
	return at
}

// claimEmpty gives out the next cluster of the file, not yet counted.
func (o *output) claimEmpty() int64 {
	if o.end%refSpan == 0 && o.end > 0 {
		o.endRefs()
		o.beginRefs()
	}
	at := o.end
	o.end += writeCluster
	if at == 0 { // the header
		o.beginRefs()
	}
	return at
}

// beginRefs begins a block of reference counts in the next cluster. Compressed
// bytes do not go on in a stretch whose counts are written.
func (o *output) beginRefs() {
	o.packEnd = 0
	o.refs = make([]byte, writeCluster)
	o.refsAt = append(o.refsAt, o.end)
	o.count(o.end)
	o.end += writeCluster
}

// endRefs writes the block of reference counts under way.
func (o *output) endRefs() { o.write(o.refs, o.refsAt[len(o.refsAt)-1]) }

// count adds one to the reference count of the cluster at byte at of the file,
// which lies in the stretch under way.
func (o *output) count(at int64) {
	b := o.refs[at%refSpan>>writeBits*2:]
	binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(b)+1)
}
