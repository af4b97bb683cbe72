package image

import (
	"crypto/md5"
	"errors"
	"fmt"

	"github.com/zeebo/blake3"

	"ingot/internal/image/internal/frame"
	"ingot/internal/image/internal/md5lanes"
	"ingot/internal/image/internal/seal"
)

// tools is what one reading goroutine needs.
type tools struct {
	dec    *frame.Decoder
	seal   *seal.Worker // nil: not encrypted
	elems  []element
	marks  []mark
	raw    []byte // encoded elements
	stored []byte
	piece  []byte
	sums   [][md5.Size]byte
	places [2]places // in the buffer that is read into, and in stored
}

// decode brings the pieces of stored into dst and hashes them into sums. With
// keep unset, content that lies in stored as it is is hashed there. It returns
// the errors by their place; a strong hash that is wrong is one.
func (t *tools) decode(v *Volume, r *row, es []element, stored, dst []byte, keep bool) map[int]error {
	failed := make(map[int]error)
	inDst, inStored := t.places[0].reset(), t.places[1].reset()
	at := 0
	for i := range es {
		lo := int64(i) * r.space.piece
		raw := dst[lo:min(lo+r.space.piece, int64(len(dst)))]
		begin := at
		at += int(es[i].size)
		one, err := t.unseal(v, r, i, stored[begin:at], len(raw))
		if err != nil {
			failed[i] = err
			clear(raw)
			continue
		}
		content, ok := t.dec.Raw(one)
		if ok = ok && !keep && len(content) == len(raw); ok {
			inStored.add(i, begin+cap(one)-cap(content), len(raw))
		} else if n, err := t.dec.Decode(raw, one); err != nil || n != len(raw) {
			if err == nil {
				err = fmt.Errorf("it holds %d bytes, not %d", n, len(raw))
			}
			failed[i] = err
			clear(raw)
			continue
		} else {
			inDst.add(i, int(lo), n)
			content = raw
		}
		if r.strong != nil && r.strong[i] != nil && t.strong(content) != *r.strong[i] {
			failed[i] = errors.New("its BLAKE3 is wrong")
		}
	}
	if v.chain.Doc.Encryption.Conceal {
		t.concealed(inDst, dst)
		t.concealed(inStored, stored)
		return failed
	}
	inDst.hash(t.sums, dst, int(r.space.piece))
	inStored.hash(t.sums, stored, int(r.space.piece))
	return failed
}

// strong is the strong hash of content: keyed in encrypted images.
func (t *tools) strong(content []byte) [strongSize]byte {
	if t.seal != nil {
		return t.seal.Hash(content)
	}
	return blake3.Sum256(content)
}

// concealed makes what stands in the place of the MD5s of an index that shows
// none.
func (t *tools) concealed(p *places, data []byte) {
	for k, i := range p.which {
		t.sums[i] = concealedSum(t.strong(data[p.offs[k] : p.offs[k]+p.lens[k]]))
	}
}

// unseal checks the tag of piece i of a row and decrypts it, in place; length is
// that of its content.
func (t *tools) unseal(v *Volume, r *row, i int, one []byte, length int) ([]byte, error) {
	if t.seal == nil {
		return one, nil
	}
	place := v.place(r.space, r.first+int64(i))
	if v.tables[0].file.seal != nil {
		place.File = r.marks[i].file()
		if !t.seal.Authentic(&place, one, r.marks[i].tag()) {
			return nil, fmt.Errorf("%w: its tag is wrong", ErrForged)
		}
	}
	if err := t.seal.Decrypt(&place, one); err != nil {
		return nil, err
	}
	if v.level == frame.None && len(one) > length {
		one = one[:length] // what is behind it fills up a block of the cipher
	}
	return one, nil
}

// places are pieces within one buffer.
type places struct {
	which, offs, lens []int
	sums              [][md5.Size]byte
}

func (p *places) reset() *places {
	p.which, p.offs, p.lens = p.which[:0], p.offs[:0], p.lens[:0]
	return p
}

// add notes that piece i is the n bytes at off.
func (p *places) add(i, off, n int) {
	p.which, p.offs, p.lens = append(p.which, i), append(p.offs, off), append(p.lens, n)
}

// hash writes the MD5 of each piece to its place in sums. Only the last one
// may be shorter than size.
func (p *places) hash(sums [][md5.Size]byte, data []byte, size int) {
	n := len(p.which)
	if n > 0 && p.lens[n-1] < size {
		n--
		sums[p.which[n]] = md5.Sum(data[p.offs[n] : p.offs[n]+p.lens[n]])
	}
	p.sums = append(p.sums[:0], make([][md5.Size]byte, n)...)
	md5lanes.SumsAt(p.sums, data, p.offs[:n], size)
	for k, i := range p.which[:n] {
		sums[i] = p.sums[k]
	}
}
