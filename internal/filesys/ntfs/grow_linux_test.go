package ntfs

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// grower makes a random tree of files by way of a mount. What does not fit on
// the volume any more stays away, or is shorter than meant.
type grower struct {
	t       testing.TB
	rng     *rand.Rand
	dir     string
	big     int // bytes of the largest files
	folders []string
	files   []string
}

// grow makes n files and folders of all kinds below dir.
func grow(t testing.TB, dir string, seed uint64, n, big int, compress bool) {
	t.Helper()
	g := &grower{t: t, rng: newRand(seed), dir: dir, big: big, folders: []string{dir}}
	if compress {
		packed := filepath.Join(dir, "Packed")
		makeDir(t, packed)
		setXattr(t, packed, "system.ntfs_attrib", []byte{0, 8, 0, 0})
		g.folders = append(g.folders, packed, packed)
	}
	for range n {
		g.step()
	}
}

// name is a new name in some folder, of odd characters now and then.
func (g *grower) name() string {
	parts := []string{"a", "Report", "ÄÖÜß", "файл", "日本語", "😀", "ǆ", "ı", "\u212b", "x y", "+,;=[]", "~1.txt", "e\u0301", "\U0010ffff", "con"}
	s := ""
	for range 1 + g.rng.IntN(3) {
		s += parts[g.rng.IntN(len(parts))]
	}
	if g.rng.IntN(20) == 0 {
		s += strings.Repeat("long", 55)
	}
	return filepath.Join(g.folders[g.rng.IntN(len(g.folders))], fmt.Sprintf("%s%d", s, g.rng.IntN(1e6)))
}

// data is contents of n bytes that compress in parts.
func (g *grower) data(n int) []byte {
	b := content(n, g.rng.Uint64())
	for at := 0; at < n; {
		end := min(n, at+g.rng.IntN(70000))
		if g.rng.IntN(3) > 0 {
			text := fmt.Sprintf("%d green bottles ", g.rng.IntN(1000))
			copy(b[at:end], strings.Repeat(text, (end-at)/len(text)+1))
		}
		at = end + 1
	}
	return b
}

func (g *grower) size() int {
	switch g.rng.IntN(4) {
	case 0:
		return g.rng.IntN(600)
	case 1:
		return g.rng.IntN(g.big) + 1
	}
	return g.rng.IntN(9000)
}

func (g *grower) step() {
	switch kind := g.rng.IntN(24); {
	case kind < 2:
		if name := g.name(); os.Mkdir(name, 0o755) == nil {
			g.folders = append(g.folders, name)
		}
	case kind < 12 || len(g.files) == 0:
		name := g.name()
		if os.WriteFile(name, g.data(g.size()), 0o644) == nil {
			g.files = append(g.files, name)
		}
	case kind < 14:
		if name := g.name(); os.Link(g.any(), name) == nil {
			g.files = append(g.files, name)
		}
	case kind < 15:
		_ = os.Symlink(fmt.Sprintf("../target/%d", g.rng.IntN(99)), g.name())
		kinds := []uint32{unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK}
		_ = unix.Mknod(g.name(), kinds[g.rng.IntN(4)]|0o600, 0x105)
	case kind < 17:
		_ = unix.Lsetxattr(g.any(), fmt.Sprintf("user.stream %d", g.rng.IntN(5)), g.data(g.size()%60000), 0)
	case kind < 18:
		_ = unix.Lsetxattr(g.folders[g.rng.IntN(len(g.folders))], "user.of a folder", g.data(g.size()%60000), 0)
	case kind < 20:
		g.remove()
	case kind < 21:
		g.attributes()
	default:
		g.change()
	}
}

func (g *grower) any() string { return g.files[g.rng.IntN(len(g.files))] }

func (g *grower) remove() {
	i := g.rng.IntN(len(g.files))
	_ = os.Remove(g.files[i])
	g.files = slices.Delete(g.files, i, i+1)
}

func (g *grower) attributes() {
	const settable = 0x1 | 0x2 | 0x4 | 0x20 // read-only, hidden, system, archive
	path := g.any()
	old := binary.LittleEndian.Uint32(xattr(g.t, path, "system.ntfs_attrib"))
	setXattr(g.t, path, "system.ntfs_attrib", binary.LittleEndian.AppendUint32(nil, old&^settable|g.rng.Uint32()&settable))
}

// change writes into a file, far behind its end too, or cuts it.
func (g *grower) change() {
	f, err := os.OpenFile(g.any(), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	for range 1 + g.rng.IntN(4) {
		if g.rng.IntN(4) == 0 {
			_ = f.Truncate(g.rng.Int64N(int64(g.big) * 2))
			continue
		}
		if _, err := f.WriteAt(g.data(g.size()), g.rng.Int64N(int64(g.big)*2)); err != nil {
			return
		}
	}
}

// reparseData is a REPARSE_DATA_BUFFER.
func reparseData(tag uint32, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, tag)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
	return append(append(b, 0, 0), data...)
}

// linkData is the data of a symbolic link or junction; head is how many bytes
// stand before the names.
func linkData(tag uint32, head int, target, shown string) []byte {
	text := func(s string) (b []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b
	}
	a, c := text(target), text(shown)
	data := make([]byte, head)
	binary.LittleEndian.PutUint16(data[2:], uint16(len(a)))
	binary.LittleEndian.PutUint16(data[4:], uint16(len(a)+2))
	binary.LittleEndian.PutUint16(data[6:], uint16(len(c)))
	data = append(append(append(append(data, a...), 0, 0), c...), 0, 0)
	return reparseData(tag, data)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 8)) }
