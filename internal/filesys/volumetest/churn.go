package volumetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// LoopMounted calls do with the folder where the kernel has mounted the volume
// in the file at path. It is unmounted when the test fails in do, too.
func LoopMounted(t testing.TB, path, options string, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	RunTool(t, "mount", "mount", "-o", "loop,"+options, path, dir)
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			RunTool(t, "mount", "umount", dir)
		}
	}
	t.Cleanup(unmount)
	do(dir)
	unmount()
}

// Churn writes a tree of files into dir and removes parts of it again, so that
// what is used and what is free lie scattered over the volume: many small
// files, some large ones, files that grow by turns, files with holes, links. It
// writes about total bytes, the same for the same seed.
func Churn(t testing.TB, dir string, seed uint64, total int64) {
	t.Helper()
	c := churn{t: t, dir: dir, rng: rand.New(rand.NewPCG(seed, 77))}
	for c.written < total {
		c.step(total)
	}
}

// churn is a tree in the making.
type churn struct {
	t       testing.TB
	dir     string
	rng     *rand.Rand
	files   []string
	written int64
	made    int
}

func (c *churn) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// bytes are n that do not compress.
func (c *churn) bytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := c.rng.Uint64()
		for k := range 8 {
			b[i+k] = byte(v >> (8 * k))
		}
	}
	c.written += int64(n) + 512
	return b
}

// name is a path for a new file, at times in a new folder.
func (c *churn) name() string {
	c.made++
	folder := filepath.Join(c.dir, fmt.Sprintf("d%d", c.rng.IntN(8)), fmt.Sprintf("e%d", c.rng.IntN(c.made/20+1)))
	c.must(os.MkdirAll(folder, 0o755))
	return filepath.Join(folder, fmt.Sprintf("f%d-Größe", c.made))
}

// step does one thing to the tree.
func (c *churn) step(total int64) {
	switch n := c.rng.IntN(20); {
	case n < 9 || len(c.files) < 4:
		c.write(c.bytes(c.rng.IntN(24 << 10)))
	case n < 10:
		c.write(c.bytes(int(total/16) + c.rng.IntN(int(total/16)+1)))
	case n < 12:
		c.sparse()
	case n < 13:
		c.grow()
	case n == 13:
		c.links()
	default:
		i := c.rng.IntN(len(c.files))
		c.must(os.RemoveAll(c.files[i]))
		c.files[i] = c.files[len(c.files)-1]
		c.files = c.files[:len(c.files)-1]
		c.written += 512
	}
}

func (c *churn) write(b []byte) {
	name := c.name()
	c.must(os.WriteFile(name, b, 0o644))
	c.files = append(c.files, name)
}

// sparse makes a file with a hole in it.
func (c *churn) sparse() {
	name := c.name()
	f, err := os.Create(name)
	c.must(err)
	_, err = f.WriteAt(c.bytes(8<<10), int64(c.rng.IntN(4<<20)))
	c.must(err)
	c.must(f.Truncate(8 << 20))
	c.must(f.Close())
	c.files = append(c.files, name)
}

// grow adds to two files by turns and syncs between, so that neither lies in
// one piece.
func (c *churn) grow() {
	for range 2 {
		for _, name := range []string{c.files[0], c.files[len(c.files)-1]} {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			c.must(err)
			_, err = f.Write(c.bytes(5 << 10))
			c.must(err)
			c.must(f.Sync())
			c.must(f.Close())
		}
	}
}

func (c *churn) links() {
	name, old := c.name(), c.files[c.rng.IntN(len(c.files))]
	c.must(os.Link(old, name))
	c.must(os.Symlink(filepath.Base(old), name+"-link"))
	c.files = append(c.files, name)
}
