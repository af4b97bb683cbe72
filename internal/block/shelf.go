package block

import (
	"slices"
	"sync"
)

// Shelf holds the few byte slices that were asked for last, by a number of their
// own, such as their offset: pieces of tables, blocks that were unpacked. What
// is held is not to be changed. It may be used by several goroutines.
type Shelf struct {
	mu    sync.Mutex
	limit int
	held  []held // the one used last at the end
}

type held struct {
	key  int64
	data []byte
}

// NewShelf makes a shelf for limit slices.
func NewShelf(limit int) *Shelf { return &Shelf{limit: max(limit, 1)} }

// Get returns the slice of a key, or makes it, and holds it then. Two that ask
// for one at the same time may both make it.
func (s *Shelf) Get(key int64, make func() ([]byte, error)) ([]byte, error) {
	if b := s.find(key); b != nil {
		return b, nil
	}
	b, err := make()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= s.limit {
		s.held = slices.Delete(s.held, 0, 1)
	}
	s.held = append(s.held, held{key, b})
	return b, nil
}

// find looks from the one used last on.
func (s *Shelf) find(key int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.held) - 1; i >= 0; i-- {
		if h := s.held[i]; h.key == key {
			copy(s.held[i:], s.held[i+1:])
			s.held[len(s.held)-1] = h
			return h.data
		}
	}
	return nil
}
