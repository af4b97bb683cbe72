package desttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"ingot/internal/dest"
)

// memKept is an unfinished file of a Memory. It is as unkind as a machine may be:
// of a file that is left, all that Sync has not seen is lost.
type memKept struct {
	m      *Memory
	key    string
	name   string
	data   []byte
	synced int
	live   bool // a run has it
}

// Keep implements dest.Keeper.
func (m *Memory) Keep(_ context.Context, name string) (dest.Kept, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		return nil, fmt.Errorf("create %s: %w", name, dest.ErrExist)
	}
	m.keys++
	k := &memKept{m: m, key: fmt.Sprintf("%s~%d", name, m.keys), name: name, live: true}
	m.kept[k.key] = k
	return k, nil
}

// Left implements dest.Keeper.
func (m *Memory) Left(context.Context) ([]dest.Left, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []dest.Left
	for _, k := range m.kept {
		if !k.live {
			out = append(out, dest.Left{Key: k.key, Name: k.name, Size: int64(len(k.data)), Time: time.Unix(0, 0)})
		}
	}
	slices.SortFunc(out, func(a, b dest.Left) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// Take implements dest.Keeper.
func (m *Memory) Take(_ context.Context, key string, size int64) (dest.Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kept[key]
	if k == nil || k.live || int64(len(k.data)) < size {
		return nil, fmt.Errorf("go on with %s: %w", key, fs.ErrNotExist)
	}
	k.data, k.live, k.synced = k.data[:size:size], true, int(size)
	return k, nil
}

// Drop implements dest.Keeper.
func (m *Memory) Drop(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[key] == nil {
		return fmt.Errorf("drop %s: %w", key, fs.ErrNotExist)
	}
	delete(m.kept, key)
	return nil
}

// Spoil has what was left of each file go through change.
func (m *Memory) Spoil(change func(name string, b []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.kept)) {
		m.kept[key].data = change(m.kept[key].name, m.kept[key].data)
	}
}

func (k *memKept) Key() string { return k.key }

func (k *memKept) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(k.data[:k.synced]).ReadAt(p, off)
}

func (k *memKept) Write(b []byte) (int, error) {
	k.data = append(k.data, b...)
	return len(b), nil
}

func (k *memKept) Sync() error {
	k.synced = len(k.data)
	return nil
}

func (k *memKept) Leave() error {
	k.m.mu.Lock()
	defer k.m.mu.Unlock()
	k.data, k.live = k.data[:k.synced:k.synced], false
	return nil
}

func (k *memKept) Abort() error {
	k.m.mu.Lock()
	defer k.m.mu.Unlock()
	delete(k.m.kept, k.key)
	return nil
}

func (k *memKept) Commit(context.Context) error {
	if k.m.Get(k.name) != nil {
		return errors.Join(fmt.Errorf("finish %s: %w", k.name, dest.ErrExist), k.Leave())
	}
	k.m.Put(k.name, bytes.Clone(k.data))
	return k.Abort()
}
