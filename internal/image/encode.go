package image

import (
	"crypto/md5"
	"fmt"
	"slices"

	"github.com/zeebo/blake3"

	"ingot/internal/image/internal/frame"
	"ingot/internal/image/internal/seal"
)

// Same is the length in a Batch of a block that is as in the parent.
const Same = -1

// Batch is a row of neighbouring blocks in stored form.
type Batch struct {
	First  int64              // number of the first block in its partition
	Lens   []int              // stored length of each, or Same
	Sums   [][md5.Size]byte   // MD5 of the raw bytes of each that is not Same
	Strong [][strongSize]byte // BLAKE3 of the raw bytes of each, keyed in an encrypted image
	Marks  []mark             // what authenticates each, in an encrypted image
	Data   []byte             // what is stored, one behind the other

	// Prior is what an unfinished image holds of each block; nil: there is none.
	Prior []Prior

	moved bool   // Prior holds something else
	raw   places // what is hashed with MD5
}

// Known is what a parent holds of a block.
type Known struct {
	Stored    bool
	Sum       [md5.Size]byte
	Strong    [strongSize]byte
	HasStrong bool
}

// Encoder brings blocks into stored form. It is not for concurrent use: each
// worker has one.
type Encoder struct {
	frames  *frame.Encoder
	seal    *seal.Worker // nil: not encrypted
	place   seal.Place   // of block 0
	conceal bool

	places []seal.Place // of the blocks that are encrypted
	blocks [][]byte
}

// NewEncoder makes an Encoder for one of the layout's compression levels.
func NewEncoder(level string) (*Encoder, error) {
	l, err := frameLevel(level)
	if err != nil {
		return nil, err
	}
	return &Encoder{frames: frame.NewEncoder(l)}, nil
}

func frameLevel(level string) (frame.Level, error) {
	switch level {
	case CompressionNone:
		return frame.None, nil
	case CompressionMedium:
		return frame.Medium, nil
	case CompressionHigh:
		return frame.High, nil
	}
	return 0, fmt.Errorf("compression is %q: choose none, medium or high", level)
}

// Encode fills b with the blocks of blockSize bytes that raw holds, the last
// of which may be shorter. known says what the parent holds of each of them, nil
// that there is none: a block of the same content costs its hash alone. The
// buffers of b are used again.
func (e *Encoder) Encode(b *Batch, first int64, raw []byte, blockSize int, known []Known) {
	n := (len(raw) + blockSize - 1) / blockSize
	b.First, b.Data, b.Lens = first, slices.Grow(b.Data[:0], n*seal.Padded(frame.MaxStored(min(blockSize, len(raw))))), b.Lens[:0]
	b.Sums, b.Strong = slices.Grow(b.Sums[:0], n)[:n], slices.Grow(b.Strong[:0], n)[:n]
	b.Marks = slices.Grow(b.Marks[:0], n)[:n]
	b.moved = false
	e.compare(b, raw, blockSize, known)
	for i := range n {
		if known != nil && b.same(i, &known[i]) {
			b.moved = b.moved || b.prior(i)
			b.Lens = append(b.Lens, Same)
			continue
		}
		if b.prior(i) {
			b.take(i)
			continue
		}
		before := len(b.Data)
		b.Data = e.frames.Encode(b.Data, piece(raw, i, blockSize))
		if n := len(b.Data) - before; e.seal != nil {
			b.Data = append(b.Data, make([]byte, seal.Padded(n)-n)...)
		}
		b.Lens = append(b.Lens, len(b.Data)-before)
	}
	if e.seal != nil {
		e.encrypt(b)
	}
}

// prior says whether an unfinished image holds something of block i.
func (b *Batch) prior(i int) bool { return b.Prior != nil && b.Prior[i].Stored }

// take takes block i as an unfinished image holds it, if that is the same.
func (b *Batch) take(i int) {
	r := &b.Prior[i].record
	b.moved = b.moved || r.strong != b.Strong[i]
	b.Lens, b.Sums[i], b.Marks[i] = append(b.Lens, int(r.size)), r.sum, r.mark
}

// Keep makes the batch of n blocks that are as in the parent.
func (b *Batch) Keep(first, n int64) {
	b.First, b.Lens, b.Data, b.moved = first, b.Lens[:0], b.Data[:0], false
	for i := range n {
		b.Lens = append(b.Lens, Same)
		b.moved = b.moved || b.prior(int(i))
	}
}

// encrypt encrypts the new blocks of b, side by side, and makes their tags.
func (e *Encoder) encrypt(b *Batch) {
	e.places, e.blocks = e.places[:0], e.blocks[:0]
	rest := b.Data
	for i, n := range b.Lens {
		if n == Same || b.prior(i) {
			continue
		}
		place := e.place
		place.Index = uint32(b.First + int64(i))
		e.places, e.blocks = append(e.places, place), append(e.blocks, rest[:n])
		rest = rest[n:]
	}
	e.seal.EncryptAll(e.places, e.blocks)
	for k := range e.places {
		p := &e.places[k]
		b.Marks[int64(p.Index)-b.First] = newMark(p.File, e.seal.Tag(p, e.blocks[k]))
	}
}

// Changed is how many of the raw bytes that b was made of are in blocks that
// are stored.
func (b *Batch) Changed(raw, blockSize int) (n int64) {
	for i, l := range b.Lens {
		if l != Same {
			n += int64(min((i+1)*blockSize, raw) - i*blockSize)
		}
	}
	return n
}

func piece(raw []byte, i, size int) []byte { return raw[i*size : min((i+1)*size, len(raw))] }

// compare makes the hashes: BLAKE3 of every block, MD5 of those it does not show
// to be the same as the parent's.
func (e *Encoder) compare(b *Batch, raw []byte, size int, known []Known) {
	toHash := b.raw.reset()
	for i := range b.Strong {
		p := piece(raw, i, size)
		if e.seal != nil {
			b.Strong[i] = e.seal.Hash(p)
		} else {
			b.Strong[i] = blake3.Sum256(p)
		}
		if e.conceal {
			b.Sums[i] = concealedSum(b.Strong[i])
			continue
		}
		if known != nil && known[i].Stored && known[i].HasStrong && known[i].Strong == b.Strong[i] {
			continue
		}
		if b.prior(i) && b.Prior[i].record.strong == b.Strong[i] && (known == nil || !known[i].Stored) {
			continue
		}
		toHash.add(i, i*size, len(p))
	}
	toHash.hash(b.Sums, raw, size)
}

// same says whether block i is what the parent holds. Where it has a strong
// hash, MD5 has no say: collisions can be made on purpose.
func (b *Batch) same(i int, k *Known) bool {
	switch {
	case !k.Stored:
		return false
	case k.HasStrong:
		return k.Strong == b.Strong[i]
	}
	return k.Sum == b.Sums[i]
}
