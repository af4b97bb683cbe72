package block

import (
	"errors"
	"testing"
)

func TestShelf(t *testing.T) {
	s, made := NewShelf(2), 0
	get := func(key int64) {
		t.Helper()
		b, err := s.Get(key, func() ([]byte, error) { made++; return []byte{byte(key)}, nil })
		if err != nil || b[0] != byte(key) {
			t.Fatalf("key %d: %v, %v", key, b, err)
		}
	}
	for _, c := range []struct {
		key  int64
		made int // in all
	}{{1, 1}, {2, 2}, {1, 2}, {3, 3}, {1, 3}, {2, 4}, {3, 5}, {2, 5}} {
		if get(c.key); made != c.made {
			t.Fatalf("after key %d %d slices were made, not %d", c.key, made, c.made)
		}
	}
	bad := errors.New("bad")
	if _, err := s.Get(9, func() ([]byte, error) { return nil, bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
	get(9)
}
