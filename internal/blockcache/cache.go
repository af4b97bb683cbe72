package blockcache

import (
	"cmp"
	"container/list"
	"fmt"
	"io"
	"sync"

	"ingot/internal/block"
)

// Options say how a Reader is cached.
type Options struct {
	// BlockSize is how many bytes are loaded together; 0 is 64 KiB. That of an
	// image is best.
	BlockSize int64
	// Origin is a place at which a block begins, in bytes from the Reader's
	// start; the block before it may be a short one.
	Origin int64
	// Max is how many bytes of blocks are kept, at least one block; 0 is 16 MiB.
	// Blocks that are being read come on top of it: one for each goroutine,
	// and for the one that reads ahead as much as that.
	Max int64
	// Ahead bounds how many bytes a read loads with the block it needs when it
	// follows another one; 0 is 2 MiB, but no more than a quarter of Max, and
	// less than 0 is none.
	Ahead int64
}

const (
	defaultBlock = 64 << 10
	defaultMax   = 16 << 20
	defaultAhead = 2 << 20

	// direct is from how many bytes of whole blocks on a read goes to the
	// Reader at once: it takes them faster together than one by one, and they
	// would push out all else.
	direct = 256 << 10
)

// Cache is a block.Reader with the bytes of another one. It may be read from
// several goroutines.
type Cache struct {
	r           block.Reader
	size, piece int64
	shift       int64 // of the blocks against the Reader's start
	max, ahead  int64

	mu      sync.Mutex
	blocks  map[int64]*entry
	recent  *list.List // of *entry, what was asked for last in front
	used    int64      // bytes of the blocks in recent
	free    [][]byte   // buffers of blocks that went
	streams streams

	scratch sync.Pool // of *[]byte, for what is read at once
}

// entry is a block that lies in the cache or is being loaded.
type entry struct {
	number int64
	data   []byte
	place  *list.Element
	users  int // who read from it or load it: then it must not go
	ready  chan struct{}
	err    error // once ready
}

// New makes a cache for r.
func New(r block.Reader, o Options) *Cache {
	piece := cmp.Or(o.BlockSize, defaultBlock)
	most := max(cmp.Or(o.Max, defaultMax), piece)
	shift := int64(0)
	if o.Origin%piece > 0 {
		shift = piece - o.Origin%piece
	}
	return &Cache{
		r: r, size: r.Size(), piece: piece, shift: shift,
		max: most, ahead: max(min(cmp.Or(o.Ahead, defaultAhead), most/4)/piece, 0),
		blocks: make(map[int64]*entry), recent: list.New(),
	}
}

// Size implements block.Reader.
func (c *Cache) Size() int64 { return c.size }

// number is that of the block in which byte off lies.
func (c *Cache) number(off int64) int64 { return (off + c.shift) / c.piece }

// extent is where a block lies.
func (c *Cache) extent(number int64) block.Extent {
	start := max(number*c.piece-c.shift, 0)
	return block.Extent{Off: start, Len: min((number+1)*c.piece-c.shift, c.size) - start}
}

// ReadAt implements io.ReaderAt.
func (c *Cache) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at byte %d: before the start", off)
	}
	if off >= c.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), c.size-off)]
	done := 0
	for done < len(want) {
		n, err := c.some(want[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// some fills the front of p: from one block, or from the Reader.
func (c *Cache) some(p []byte, off int64) (int, error) {
	first := c.number(off)
	if n := c.large(first, off, int64(len(p))); n > 0 {
		return c.r.ReadAt(p[:n], off)
	}
	e, err := c.get(first)
	if err != nil {
		return 0, err
	}
	n := copy(p, e.data[off-c.extent(first).Off:])
	c.release(e)
	return n, nil
}

// large is how many bytes of a read of n at off are whole blocks that do not lie
// in the cache, when these are enough to be read without it; else 0.
func (c *Cache) large(first, off, n int64) int64 {
	if n < direct || c.extent(first).Off != off {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	end := off
	for i := first; end < c.size; i++ {
		e := c.extent(i)
		if e.End() > off+n || c.blocks[i] != nil {
			break
		}
		end = e.End()
	}
	if end-off < direct {
		return 0
	}
	c.streams.passed(first, c.number(end-1))
	return end - off
}

// get gives a block that was loaded; the caller releases it.
func (c *Cache) get(number int64) (*entry, error) {
	c.mu.Lock()
	e := c.blocks[number]
	ahead := c.streams.reads(number, c.ahead, e == nil)
	if e == nil {
		batch := c.claim(number, ahead)
		c.mu.Unlock()
		c.load(batch)
		e = batch[0]
	} else {
		e.users++
		c.recent.MoveToFront(e.place)
		c.mu.Unlock()
		<-e.ready
	}
	if err := e.err; err != nil {
		c.release(e)
		return nil, err
	}
	return e, nil
}

// claim makes entries of a block that is not there and of those behind it, ahead
// of them, up to the first that is: the caller is the one who loads them.
func (c *Cache) claim(number, ahead int64) []*entry {
	var batch []*entry
	for i := number; i <= number+ahead && c.extent(i).Len > 0 && c.blocks[i] == nil; i++ {
		c.trim(c.piece)
		e := &entry{number: i, data: c.buffer(c.extent(i).Len), users: 1, ready: make(chan struct{})}
		e.place = c.recent.PushFront(e)
		c.blocks[i] = e
		c.used += c.piece
		batch = append(batch, e)
	}
	// What is needed now is to stay longer than what is read ahead.
	c.recent.MoveToFront(batch[0].place)
	return batch
}

// buffer is memory for n bytes of a block.
func (c *Cache) buffer(n int64) []byte {
	if k := len(c.free); k > 0 {
		b := c.free[k-1]
		c.free = c.free[:k-1]
		return b[:n]
	}
	return make([]byte, n, c.piece)
}

// trim lets go of blocks until there is room for need bytes more, or all that are
// left are in use.
func (c *Cache) trim(need int64) {
	for at := c.recent.Back(); at != nil && c.used+need > c.max; {
		e := at.Value.(*entry)
		at = at.Prev()
		if e.users == 0 {
			c.drop(e)
		}
	}
}

// drop takes a block that nobody uses out of the cache.
func (c *Cache) drop(e *entry) {
	delete(c.blocks, e.number)
	c.recent.Remove(e.place)
	c.used -= c.piece
	if c.used+int64(len(c.free)+1)*c.piece <= c.max {
		c.free = append(c.free, e.data)
	}
	e.data = nil
}

// release says that a caller has no more need of a block. One that could not be
// loaded goes with the last who waited for it.
func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	if e.err != nil {
		c.drop(e)
		return
	}
	c.trim(0)
}
