package overlay

import (
	"crypto/aes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/crypto/xts"
)

// atOnce is how many bytes go to the file or come from it in one call.
const atOnce = 1 << 20

// scratch is the temporary file, encrypted: granule n lies at n*granule, and n is
// the sector number of its XTS (IEEE 1619).
type scratch struct {
	file   *os.File
	path   string // where the name could not go at once
	cipher *xts.Cipher
	room   sync.Pool // of *[]byte, atOnce long
}

func newScratch(dir string) (*scratch, error) {
	key := make([]byte, 64)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a key for the overlay: %w", err)
	}
	c, err := xts.NewCipher(aes.NewCipher, key)
	clear(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher for the overlay: %w", err)
	}
	f, err := os.CreateTemp(dir, "ingot-overlay-*") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("create a temporary file for what is written: %w", err)
	}
	s := &scratch{file: f, cipher: c, room: sync.Pool{New: func() any { return new(make([]byte, atOnce)) }}}
	if os.Remove(f.Name()) != nil { // Windows keeps the name of an open file
		s.path = f.Name()
	}
	return s, nil
}

func (s *scratch) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.path != "" {
		err = errors.Join(err, os.Remove(s.path))
	}
	s.file = nil
	return err
}

// write encrypts whole granules, at most atOnce bytes, into the file.
func (s *scratch) write(p []byte, off int64) error {
	if s.file == nil {
		return errClosed
	}
	room := s.room.Get().(*[]byte)
	defer s.room.Put(room)
	b := (*room)[:len(p)]
	for i := 0; i < len(p); i += granule {
		s.cipher.Encrypt(b[i:i+granule], p[i:i+granule], uint64(off+int64(i))/granule)
	}
	if _, err := s.file.WriteAt(b, off); err != nil {
		return fmt.Errorf("write to the temporary file of the overlay: %w", err)
	}
	return nil
}

// read fills p, or the front of it, from granules that were written.
func (s *scratch) read(p []byte, off int64) (int, error) {
	if s.file == nil {
		return 0, errClosed
	}
	room := s.room.Get().(*[]byte)
	defer s.room.Put(room)
	skip := off % granule
	p = p[:min(int64(len(p)), atOnce-skip)]
	b := (*room)[:(skip+int64(len(p))+granule-1)/granule*granule]
	if _, err := s.file.ReadAt(b, off-skip); err != nil {
		return 0, fmt.Errorf("read the temporary file of the overlay: %w", err)
	}
	for i := 0; i < len(b); i += granule {
		s.cipher.Decrypt(b[i:i+granule], b[i:i+granule], uint64(off-skip+int64(i))/granule)
	}
	return copy(p, b[skip:]), nil
}
