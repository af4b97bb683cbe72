package desttest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"ingot/internal/dest"
)

// Memory is a Store in memory, for tests of what lies above a Store.
type Memory struct {
	mu    sync.Mutex
	files map[string][]byte
	kept  map[string]*memKept
	keys  int // that were given so far
}

// NewMemory makes an empty Store.
func NewMemory() *Memory {
	return &Memory{files: make(map[string][]byte), kept: make(map[string]*memKept)}
}

// Put makes a finished file of the given bytes, replacing one that is there.
func (m *Memory) Put(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = data
}

// Get gives the bytes of a finished file, nil when there is none.
func (m *Memory) Get(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[name]
}

// Create implements dest.Store.
func (m *Memory) Create(_ context.Context, name string) (dest.Pending, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if m.Get(name) != nil {
		return nil, fmt.Errorf("create %s: %w", name, dest.ErrExist)
	}
	return &memPending{m: m, name: name}, nil
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("%q cannot be a name", name)
	}
	return nil
}

// Open implements dest.Store.
func (m *Memory) Open(_ context.Context, name string) (dest.Blob, error) {
	data := m.Get(name)
	if data == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return memBlob{bytes.NewReader(data)}, nil
}

// List implements dest.Store.
func (m *Memory) List(context.Context) ([]dest.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []dest.Entry
	for name, data := range m.files {
		out = append(out, dest.Entry{Name: name, Size: int64(len(data))})
	}
	slices.SortFunc(out, func(a, b dest.Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Remove implements dest.Store.
func (m *Memory) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.files[name]; !ok {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	delete(m.files, name)
	return nil
}

// Rename implements dest.Store.
func (m *Memory) Rename(_ context.Context, from, to string) error {
	if err := checkName(to); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[from]
	if !ok {
		return fmt.Errorf("rename %s: %w", from, fs.ErrNotExist)
	}
	delete(m.files, from)
	m.files[to] = data
	return nil
}

// Free implements dest.Store: memory does not say.
func (m *Memory) Free(context.Context) (int64, error) { return -1, nil }

type memBlob struct{ *bytes.Reader }

func (memBlob) Close() error { return nil }

type memPending struct {
	m    *Memory
	name string
	data []byte
	done bool
}

func (p *memPending) Write(b []byte) (int, error) {
	p.data = append(p.data, b...)
	return len(b), nil
}

func (p *memPending) Commit(context.Context) error {
	if p.m.Get(p.name) != nil {
		return fmt.Errorf("finish %s: %w", p.name, dest.ErrExist)
	}
	if !p.done {
		p.done = true
		p.m.Put(p.name, append([]byte{}, p.data...))
	}
	return nil
}

func (p *memPending) Abort() error {
	p.done = true
	return nil
}
