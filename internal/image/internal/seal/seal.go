package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/zeebo/blake3"
)

// Sizes in bytes.
const (
	TagSize  = 16 // of a block
	MetaSize = 32 // of the tag of a file's metadata
	HashSize = 32
	keySize  = 32
)

// Bounds on the iterations of PBKDF2: below it is too cheap to try passwords,
// above it a hostile file would hold up whoever opens it.
const (
	MinIterations = 1000
	MaxIterations = 20_000_000
)

// Root is the key made from a password; everything else comes from it.
type Root [keySize]byte

// Derive makes the key of a set. It takes a while, which is its point. Source:
// ENCRYPTION.md: PBKDF2 with HMAC-SHA-256, the SHA-256 of the image id as salt.
func Derive(password []byte, imageID [8]byte, iterations int64) (*Root, error) {
	if iterations < MinIterations || iterations > MaxIterations {
		return nil, fmt.Errorf("key_iterations is %d: between %d and %d make sense", iterations, MinIterations, MaxIterations)
	}
	for _, b := range password {
		if b == 0 {
			return nil, errors.New("the password holds a zero byte: other readers would take it to end there")
		}
	}
	salt := sha256.Sum256(imageID[:])
	key, err := pbkdf2.Key(sha256.New, string(password), salt[:], int(iterations), keySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	return (*Root)(key), nil
}

// Check is the text by which a password is known to be right: the lower-case
// hex of the HMAC of nothing under the key (ENCRYPTION.md).
func (r *Root) Check() string {
	return hex.EncodeToString(hmac.New(sha256.New, r[:]).Sum(nil))
}

// Right compares a stored check in constant time.
func (r *Root) Right(check string) bool {
	return hmac.Equal([]byte(r.Check()), []byte(check))
}

// Keys are those of a set.
type Keys struct {
	block    cipher.Block // encrypts blocks
	schedule              // the same key, for many blocks at once; nil: one by one
	iv       cipher.Block // makes initialisation vectors
	tag      []byte
	meta     []byte
	hash     []byte
}

// Keys makes the keys for AES with keys of that many bits.
func (r *Root) Keys(bits int) (*Keys, error) {
	switch bits {
	case 128, 192, 256:
	default:
		return nil, fmt.Errorf("AES with keys of %d bits does not exist", bits)
	}
	k := new(Keys)
	var err error
	if k.block, err = aes.NewCipher(r[:bits/8]); err != nil {
		return nil, err
	}
	k.schedule = newSchedule(r[:bits/8])
	ivKey := sha256.Sum256(r[:])
	if k.iv, err = aes.NewCipher(ivKey[:]); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		key  *[]byte
		info string
	}{{&k.tag, "ingot block tag"}, {&k.meta, "ingot metadata seal"}, {&k.hash, "ingot block hash"}} {
		if *d.key, err = hkdf.Key(sha256.New, r[:], nil, d.info, keySize); err != nil {
			return nil, fmt.Errorf("derive a key: %w", err)
		}
	}
	return k, nil
}

// Place is where a block belongs.
type Place struct {
	ImageID   [8]byte
	File      uint16 // number of the file it was first stored in
	Disk      uint16 // disk_number
	Partition uint16 // partition_number
	Area      uint8  // 0: reserved sectors, 1: blocks
	Index     uint32 // in its area
}

// Worker does the work of one goroutine.
type Worker struct {
	keys *Keys
	mac  hash.Hash
	hash *blake3.Hasher
	sum  []byte
	lanes
}

// Worker makes one.
func (k *Keys) Worker() *Worker {
	h, err := blake3.NewKeyed(k.hash)
	if err != nil {
		panic(err) // the key has the one length there is
	}
	return &Worker{keys: k, mac: hmac.New(sha256.New, k.tag), hash: h}
}

// vector is the initialisation vector of a place (ENCRYPTION.md): image id, disk,
// partition and index, encrypted under a key of their own. The areas of a
// partition have the same ones.
func (k *Keys) vector(p *Place) []byte {
	var b [aes.BlockSize]byte
	copy(b[:], p.ImageID[:])
	binary.LittleEndian.PutUint16(b[8:], p.Disk)
	binary.LittleEndian.PutUint16(b[10:], p.Partition)
	binary.LittleEndian.PutUint32(b[12:], p.Index)
	k.iv.Encrypt(b[:], b[:])
	return b[:]
}

// Padded is how long n bytes become: they are filled up with zeros.
func Padded(n int) int { return (n + aes.BlockSize - 1) &^ (aes.BlockSize - 1) }

// Encrypt encrypts b, whose length is a multiple of 16, in place.
func (w *Worker) Encrypt(p *Place, b []byte) {
	cipher.NewCBCEncrypter(w.keys.block, w.keys.vector(p)).CryptBlocks(b, b)
}

// ErrLength is given for stored bytes that cannot be encrypted ones.
var ErrLength = errors.New("its stored length is no multiple of 16")

// Decrypt decrypts b in place.
func (w *Worker) Decrypt(p *Place, b []byte) error {
	if len(b)%aes.BlockSize != 0 {
		return ErrLength
	}
	cipher.NewCBCDecrypter(w.keys.block, w.keys.vector(p)).CryptBlocks(b, b)
	return nil
}

// Tag authenticates what is stored of a block, and where it belongs.
func (w *Worker) Tag(p *Place, stored []byte) (tag [TagSize]byte) {
	var b [19 + 4]byte
	copy(b[:], p.ImageID[:])
	binary.LittleEndian.PutUint16(b[8:], p.File)
	binary.LittleEndian.PutUint16(b[10:], p.Disk)
	binary.LittleEndian.PutUint16(b[12:], p.Partition)
	b[14] = p.Area
	binary.LittleEndian.PutUint32(b[15:], p.Index)
	binary.LittleEndian.PutUint32(b[19:], uint32(len(stored)))
	w.mac.Reset()
	w.mac.Write(b[:])
	w.mac.Write(stored)
	w.sum = w.mac.Sum(w.sum[:0])
	copy(tag[:], w.sum)
	return tag
}

// Authentic compares a tag in constant time.
func (w *Worker) Authentic(p *Place, stored []byte, tag []byte) bool {
	want := w.Tag(p, stored)
	return hmac.Equal(want[:], tag)
}

// Hash is the keyed BLAKE3 of content.
func (w *Worker) Hash(content []byte) (sum [HashSize]byte) {
	w.hash.Reset()
	_, _ = w.hash.Write(content) // never fails
	w.sum = w.hash.Sum(w.sum[:0])
	copy(sum[:], w.sum)
	return sum
}

// Meta begins the tag of a file's metadata.
func (k *Keys) Meta() hash.Hash { return hmac.New(sha256.New, k.meta) }

// Equal compares two tags in constant time.
func Equal(a, b []byte) bool { return hmac.Equal(a, b) }
