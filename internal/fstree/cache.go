package fstree

import "sync"

// Cache holds the pieces of metadata that were read last, Most of them at most.
// What it holds must not be changed.
type Cache[K comparable, V any] struct {
	Most int

	mu    sync.Mutex
	held  map[K]V
	order []K // in which they came
}

// Get gives what is held under a key, or what read gives, which is held then
// unless it failed.
func (c *Cache[K, V]) Get(key K, read func() (V, error)) (V, error) {
	c.mu.Lock()
	v, ok := c.held[key]
	c.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[K]V{}
	}
	if _, ok := c.held[key]; !ok {
		for len(c.order) >= max(1, c.Most) {
			delete(c.held, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, key)
		c.held[key] = v
	}
	return v, nil
}
