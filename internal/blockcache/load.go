package blockcache

import (
	"fmt"
	"io"
	"runtime"
	"sync"
)

// load reads blocks that lie one behind the other, in parts side by side, and
// releases all but the first.
func (c *Cache) load(batch []*entry) {
	if len(batch) == 1 {
		c.loadOne(batch[0])
		return
	}
	parts := min(runtime.GOMAXPROCS(0), len(batch))
	var all sync.WaitGroup
	for i := range parts {
		part := batch[i*len(batch)/parts : (i+1)*len(batch)/parts]
		all.Go(func() { c.loadPart(part) })
	}
	all.Wait()
	for _, e := range batch[1:] {
		c.release(e)
	}
}

// loadOne reads one block.
func (c *Cache) loadOne(e *entry) {
	at := c.extent(e.number)
	n, err := c.r.ReadAt(e.data, at.Off)
	if n < len(e.data) {
		if err == nil || err == io.EOF {
			err = fmt.Errorf("read %d bytes at byte %d: only %d came", len(e.data), at.Off, n)
		}
		e.err = err
	}
	close(e.ready)
}

// loadPart reads blocks at once, since a Reader may be faster so; and one by one
// when that fails, so that what can be read is.
func (c *Cache) loadPart(part []*entry) {
	if len(part) == 1 {
		c.loadOne(part[0])
		return
	}
	first, last := c.extent(part[0].number), c.extent(part[len(part)-1].number)
	room, _ := c.scratch.Get().(*[]byte)
	if room == nil || int64(cap(*room)) < last.End()-first.Off {
		room = new(make([]byte, last.End()-first.Off))
	}
	defer c.scratch.Put(room)
	b := (*room)[:last.End()-first.Off]
	if n, _ := c.r.ReadAt(b, first.Off); n < len(b) {
		for _, e := range part {
			c.loadOne(e)
		}
		return
	}
	for _, e := range part {
		b = b[copy(e.data, b):]
		close(e.ready)
	}
}
