package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"ingot/internal/image/internal/seal"
)

// What callers branch on.
var (
	// ErrLocked: the image is encrypted, and no password was given.
	ErrLocked = errors.New("the image is encrypted: its password is needed")
	// ErrPassword: the password is not that of the image.
	ErrPassword = errors.New("the password is wrong")
	// ErrForged: something is not what the owner of the password has written.
	ErrForged = errors.New("the image was tampered with")
)

func forged(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", ErrDamaged, ErrForged, fmt.Sprintf(format, args...))
}

// Iterations of PBKDF2 for sets that are made here. The last three digits say
// that every file of the set is sealed: as the key depends on the number, nobody
// can take the seals away and make the set look like one that never had any.
// Source: docs/format/ingot-extensions.md, section 4.
const (
	sealedMark     = 613
	markBase       = 1000
	iterations     = 600_000 + sealedMark
	aesNone        = "none"
	keyDerivation  = "pbkdf2"
	defaultAES     = "aes-256"
	keyBitsAtLeast = 128
)

// Access opens encrypted images. A nil Access opens none. It may be used by
// several goroutines and remembers the keys it has made: making one takes a
// while.
type Access struct {
	ask func() ([]byte, error)

	mu   sync.Mutex
	keys map[string]*seal.Keys
}

// NewAccess makes an Access. password is asked for when it is needed, UTF-8 text;
// what it gives is wiped afterwards. It returns ErrLocked when there is none.
func NewAccess(password func() ([]byte, error)) *Access {
	return &Access{ask: password, keys: make(map[string]*seal.Keys)}
}

// root makes the key of a set.
func (a *Access) root(id [8]byte, iterations int64) (*seal.Root, error) {
	if a == nil {
		return nil, ErrLocked
	}
	password, err := a.ask()
	if err != nil {
		return nil, err
	}
	defer clear(password)
	if len(password) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrPassword)
	}
	return seal.Derive(password, id, iterations)
}

// bits is the length of the AES key that a document asks for, 0 for none.
func (e *Encryption) bits() (int, error) {
	switch e.AESType {
	case "", aesNone:
		if e.Enable {
			return 0, damaged("JSON: encryption is on and aes_type is %q", e.AESType)
		}
		return 0, nil
	case "aes-128":
		return 128, nil
	case "aes-192":
		return 192, nil
	case "aes-256":
		return 256, nil
	}
	return 0, fmt.Errorf("%w: aes_type is %q", ErrUnsupported, e.AESType)
}

// Encrypted says whether the blocks are encrypted.
func (e *Encryption) Encrypted() bool { return e.AESType != "" && e.AESType != aesNone }

// Sealed says whether every file of the set must be sealed.
func (e *Encryption) Sealed() bool { return e.Encrypted() && e.KeyIterations%markBase == sealedMark }

// imageID gives the 8 bytes of the image id, in the order of its text.
func (h *Header) imageID() (id [8]byte, err error) {
	b, err := hex.DecodeString(h.ImageID)
	if err != nil || len(b) != len(id) {
		return id, damaged("JSON field _header.imageid is %q, not 16 hex digits", h.ImageID)
	}
	return [8]byte(b), nil
}

// of gives the keys of a document, nil when it is not encrypted.
func (a *Access) of(d *Document) (*seal.Keys, error) {
	bits, err := d.Encryption.bits()
	if err != nil || bits == 0 {
		return nil, err
	}
	if a == nil {
		return nil, ErrLocked
	}
	if n := d.Encryption.KeyIterations; n < seal.MinIterations || n > seal.MaxIterations {
		return nil, damaged("JSON field _encryption.key_iterations is %d", n)
	}
	id, err := d.Header.imageID()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	name := keyName(id, d)
	if k := a.keys[name]; k != nil {
		return k, nil
	}
	root, err := a.root(id, d.Encryption.KeyIterations)
	if err != nil {
		return nil, err
	}
	if !root.Right(d.Encryption.HMAC) {
		return nil, ErrPassword
	}
	k, err := root.Keys(bits)
	if err == nil {
		a.keys[name] = k
	}
	return k, err
}

// keyName is the same for documents that have the same keys.
func keyName(id [8]byte, d *Document) string {
	e := &d.Encryption
	return fmt.Sprintf("%x %d %s %s", id, e.KeyIterations, e.AESType, e.HMAC)
}

// Encrypt has a document of a new set say how its blocks are encrypted: aesType
// is aes-128, aes-192 or aes-256; "" is the last one.
func (a *Access) Encrypt(d *Document, aesType string) error {
	if aesType == "" {
		aesType = defaultAES
	}
	d.Encryption = Encryption{
		AESType: aesType, Enable: true, KeyDerivation: keyDerivation, KeyIterations: iterations, Conceal: d.Encryption.Conceal,
	}
	bits, err := d.Encryption.bits()
	if err != nil || bits < keyBitsAtLeast {
		return fmt.Errorf("encryption is %q: choose aes-128, aes-192 or aes-256", aesType)
	}
	id, err := d.Header.imageID()
	if err != nil {
		return err
	}
	root, err := a.root(id, iterations)
	if err != nil {
		return err
	}
	d.Encryption.HMAC = root.Check()
	keys, err := root.Keys(bits)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[keyName(id, d)] = keys
	return nil
}
