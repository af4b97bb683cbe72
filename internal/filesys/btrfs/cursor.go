package btrfs

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"ingot/internal/block"
	"ingot/internal/fstree"
)

// forest is what is needed to read the blocks of any tree.
type forest struct {
	r      block.Reader
	super  *Super
	chunks chunks
	second *atomic.Int64 // blocks that were read from their second copy
	// cache is nil where blocks are read for one walk only.
	cache *fstree.Cache[root, *node]
	space *space // nil: chunks tell where blocks are
}

// copies are the places of a tree block on the device.
func (f *forest) copies(want root) (at []int64, kind uint64, err error) {
	if f.space != nil {
		return f.space.all(want.at, f.super.NodeSize)
	}
	c := f.chunks.find(want.at, f.super.NodeSize)
	if c == nil {
		return nil, 0, errNoChunk
	}
	at = slices.Clone(c.at[:c.copies])
	for i := range at {
		at[i] += int64(want.at) - c.logical
	}
	return at, c.kind, nil
}

// errNoChunk is given of addresses that are nowhere.
var errNoChunk = errors.New("it lies in no chunk")

// read reads a tree block into buf, from its second copy if the first is
// damaged.
func (f *forest) read(buf []byte, want root) (*node, error) {
	places, kind, err := f.copies(want)
	if err == nil && want.at%uint64(f.super.SectorSize) != 0 {
		err = errNoChunk
	}
	if err != nil {
		return nil, fmt.Errorf("block %d of tree %d: %w", want.at, want.owner, err)
	}
	if kind&(typeSystem|typeMetadata) == 0 {
		return nil, fmt.Errorf("block %d of tree %d lies in a chunk of data", want.at, want.owner)
	}
	var first error
	for i, at := range places {
		got, err := f.r.ReadAt(buf, at)
		var n *node
		if got == len(buf) {
			n, err = parseNode(buf, want, f.super)
		}
		if err == nil {
			f.second.Add(int64(i))
			return n, nil
		}
		if first == nil {
			first = fmt.Errorf("block %d of tree %d at byte %d: %w", want.at, want.owner, at, err)
		}
	}
	return nil, first
}

// cursor is a place in a tree: the path from its root to an item. It holds one
// block for each level.
type cursor struct {
	f    *forest
	root root
	bufs [maxLevel + 1][]byte
	path [maxLevel + 1]*node
	slot [maxLevel + 1]int
	last key // that seek or next gave
	any  bool
}

// item is one of a leaf; its contents are good until the cursor moves.
type item struct {
	key
	data []byte
}

func (f *forest) cursor(r root) *cursor { return &cursor{f: f, root: r} }

// load reads the block want into the path. Its first key must be what the node
// above says; that keeps a path from coming to the same block twice.
func (c *cursor) load(want root, first *key) error {
	n, err := c.node(want)
	if err != nil {
		c.path[want.level] = nil
		return err
	}
	if first != nil && (n.count == 0 || n.key(0) != *first) {
		return fmt.Errorf("block %d of tree %d does not begin with the key %v", want.at, want.owner, *first)
	}
	c.path[want.level] = n
	return nil
}

// node reads a block, or takes it from the cache.
func (c *cursor) node(want root) (*node, error) {
	if c.f.cache != nil {
		return c.f.cache.Get(want, func() (*node, error) { return c.f.read(make([]byte, c.f.super.NodeSize), want) })
	}
	if c.bufs[want.level] == nil {
		c.bufs[want.level] = make([]byte, c.f.super.NodeSize)
	}
	return c.f.read(c.bufs[want.level], want)
}

// seek goes to the first item whose key is not below k and gives it; ok is
// false when there is none.
func (c *cursor) seek(k key) (it item, ok bool, err error) {
	if err := c.leaf(k); err != nil {
		return item{}, false, err
	}
	c.slot[0], _ = c.path[0].search(k)
	return c.here()
}

// floor goes to the last item whose key is not above k and gives it, or the
// first item of the tree when there is none.
func (c *cursor) floor(k key) (it item, ok bool, err error) {
	if err := c.leaf(k); err != nil {
		return item{}, false, err
	}
	i, found := c.path[0].search(k)
	if !found && i > 0 {
		i--
	}
	c.slot[0] = i
	return c.here()
}

// leaf goes down to the leaf that has k or is the one for it.
func (c *cursor) leaf(k key) error {
	c.any = false
	if err := c.load(c.root, nil); err != nil {
		return err
	}
	for level := c.root.level; level > 0; level-- {
		n := c.path[level]
		i, found := n.search(k)
		if !found && i > 0 {
			i--
		}
		if err := c.down(level, i); err != nil {
			return err
		}
	}
	return nil
}

// down follows pointer i of the node at level.
func (c *cursor) down(level, i int) error {
	n := c.path[level]
	c.slot[level] = i
	first := n.key(i)
	return c.load(n.child(i, c.root.owner), &first)
}

// next goes to the item behind the one given last.
func (c *cursor) next() (item, bool, error) {
	c.slot[0]++
	return c.here()
}

// here gives the item at the cursor, which may stand behind the last one of a
// leaf.
func (c *cursor) here() (item, bool, error) {
	for c.slot[0] >= c.path[0].count {
		ok, err := c.nextLeaf()
		if !ok || err != nil {
			return item{}, false, err
		}
	}
	k := c.path[0].key(c.slot[0])
	if c.any && k.compare(c.last) <= 0 {
		return item{}, false, fmt.Errorf("tree %d: the key %v does not come after %v", c.root.owner, k, c.last)
	}
	c.last, c.any = k, true
	return item{k, c.path[0].data(c.slot[0])}, true, nil
}

// nextLeaf goes to the first item of the leaf behind this one.
func (c *cursor) nextLeaf() (bool, error) {
	level := 1
	for level <= c.root.level && c.slot[level]+1 >= c.path[level].count {
		level++
	}
	if level > c.root.level {
		return false, nil
	}
	if err := c.down(level, c.slot[level]+1); err != nil {
		return false, err
	}
	for level--; level > 0; level-- {
		if err := c.down(level, 0); err != nil {
			return false, err
		}
	}
	c.slot[0] = 0
	return true, nil
}
