package ntfs

import (
	"errors"
	"fmt"
	"sort"

	"ingot/internal/block"
)

// maxRuns bounds the memory of one run list. Worn-out volumes have an $MFT of
// some ten thousand runs; a volume with more than this is copied whole.
const maxRuns = 1 << 18

// sparse is the LCN of a run without clusters.
const sparse = -1

// run is a row of clusters of an attribute: n clusters from vcn on are on the
// volume from lcn on.
type run struct{ vcn, lcn, n int64 }

// decodeRuns appends the runs of mapping pairs to runs. The pairs must begin
// where the runs end; all clusters must lie below total. A pair is a byte with
// the sizes of two numbers, the length and the signed step of the LCN; a zero
// byte ends the list.
func decodeRuns(runs []run, pairs []byte, total int64) ([]run, error) {
	vcn, lcn := endVCN(runs), int64(0)
	for i := 0; ; {
		if i >= len(pairs) {
			return runs, errors.New("mapping pairs: no end mark")
		}
		head := pairs[i]
		if head == 0 {
			return runs, nil
		}
		nlen, nlcn := int(head&15), int(head>>4)
		if nlen == 0 || nlen > 8 || nlcn > 8 || i+1+nlen+nlcn > len(pairs) {
			return runs, fmt.Errorf("mapping pairs: sizes %#x at offset %d of %d", head, i, len(pairs))
		}
		r := run{vcn, sparse, signed(pairs[i+1 : i+1+nlen])}
		// 2^40 clusters are more than any volume can have (2^32-1).
		if r.n <= 0 || r.n > 1<<40 || vcn > 1<<40 {
			return runs, fmt.Errorf("mapping pairs: length %d at offset %d", r.n, i)
		}
		if nlcn > 0 {
			// The sum may wrap around; the check catches what it wraps to.
			lcn += signed(pairs[i+1+nlen : i+1+nlen+nlcn])
			if lcn < 0 || lcn > total || r.n > total-lcn {
				return runs, fmt.Errorf("mapping pairs: run of %d clusters at %d, offset %d, on a volume of %d clusters", r.n, lcn, i, total)
			}
			r.lcn = lcn
		}
		if len(runs) == maxRuns {
			return runs, fmt.Errorf("more than %d runs", maxRuns)
		}
		runs = append(runs, r)
		vcn += r.n
		i += 1 + nlen + nlcn
	}
}

// signed reads a little-endian two's complement number of 0 to 8 bytes.
func signed(b []byte) int64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(v<<shift) >> shift
}

// endVCN is the VCN behind the last run.
func endVCN(runs []run) int64 {
	if len(runs) == 0 {
		return 0
	}
	last := runs[len(runs)-1]
	return last.vcn + last.n
}

// stream is the contents of an attribute, readable at any offset.
type stream struct {
	r           block.Reader
	clusterSize int64
	resident    []byte
	runs        []run
	size, valid int64 // bytes
	flags       uint16
	unit        uint8
}

// ReadAt fills p from offset off or gives an error; it never reads past the
// end. Holes and what lies behind the valid bytes are zeros.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size || int64(len(p)) > s.size-off {
		return 0, fmt.Errorf("[%d,+%d) lies outside of the %d bytes of the attribute", off, len(p), s.size)
	}
	if s.resident != nil {
		return copy(p, s.resident[off:]), nil
	}
	for done := 0; done < len(p); {
		n, err := s.piece(p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

// piece fills the front of p from the run that holds off.
func (s *stream) piece(p []byte, off int64) (int, error) {
	if off >= s.valid {
		clear(p)
		return len(p), nil
	}
	p = p[:min(int64(len(p)), s.valid-off)]
	i := s.runAt(off / s.clusterSize)
	if i == len(s.runs) {
		return 0, fmt.Errorf("no run for byte %d of the attribute", off)
	}
	r := s.runs[i]
	in := off - r.vcn*s.clusterSize
	p = p[:min(int64(len(p)), r.n*s.clusterSize-in)]
	if r.lcn == sparse {
		clear(p)
		return len(p), nil
	}
	at := r.lcn*s.clusterSize + in
	n, err := s.r.ReadAt(p, at)
	if n == len(p) {
		return n, nil
	}
	if err == nil {
		err = errors.New("short read")
	}
	return n, fmt.Errorf("read %d bytes at byte %d: %w", len(p), at, err)
}

// runAt is the number of the run that holds a VCN, or that of the runs.
func (s *stream) runAt(vcn int64) int {
	return sort.Search(len(s.runs), func(i int) bool { return s.runs[i].vcn+s.runs[i].n > vcn })
}

// plain fails when the stream's bytes are not simply those of its clusters,
// all of them: the system files are made so.
func (s *stream) plain() error {
	if s.flags&(flagCompressed|flagEncrypted) != 0 {
		return fmt.Errorf("contents are compressed or encrypted (flags %#x)", s.flags)
	}
	if s.resident != nil {
		return nil
	}
	for _, r := range s.runs {
		if r.lcn == sparse {
			return fmt.Errorf("a hole at VCN %d", r.vcn)
		}
	}
	if have := endVCN(s.runs); have < (s.size+s.clusterSize-1)/s.clusterSize {
		return fmt.Errorf("runs of %d clusters for %d bytes", have, s.size)
	}
	return nil
}

// extents are the places of the stream on the volume, in bytes.
func (s *stream) extents() []block.Extent {
	var out []block.Extent
	for _, r := range s.runs {
		if r.lcn != sparse {
			out = append(out, block.Extent{Off: r.lcn * s.clusterSize, Len: r.n * s.clusterSize})
		}
	}
	return out
}
