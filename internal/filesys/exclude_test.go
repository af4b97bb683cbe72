package filesys

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ingot/internal/block"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern string
		fold    bool
		yes, no []string
	}{
		{"Users/*/AppData/Local/Temp/**", true,
			[]string{"users/Ann/appdata/local/TEMP", "Users/b/AppData/Local/Temp/x/y.tmp"},
			[]string{"Users/AppData/Local/Temp/x", "Users/a/b/AppData/Local/Temp/x", "x/Users/a/AppData/Local/Temp/y"}},
		{`\Users\*\Temp\`, true, []string{"users/x/temp"}, []string{"users/x/temp/y", "users/temp"}},
		{"**/*.{iso,vhdx}", true, []string{"A.ISO", "a/b/c.vhdx"}, []string{"a/iso", "a/b.isox"}},
		{"**/node_modules", false, []string{"node_modules", "a/b/node_modules"}, []string{"Node_Modules", "a/node_modules/b"}},
		{"/var/[a-c]?/x*", false, []string{"var/az/x", "var/cc/xyz"}, []string{"var/dz/x", "var/a/x", "Var/az/x"}},
		{"STRAßE/Ä*", true, []string{"straße/äb"}, nil},
		{"**", true, []string{"a", "a/b"}, nil},
	} {
		g, err := parseGlobs([]string{"no such thing", c.pattern}, c.fold)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.yes {
			if !g.match(p) {
				t.Errorf("%q does not match %q", c.pattern, p)
			}
			for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
				if !g.below(dir) {
					t.Errorf("%q: nothing is looked for in %q", c.pattern, dir)
				}
			}
		}
		for _, p := range c.no {
			if g.match(p) {
				t.Errorf("%q matches %q", c.pattern, p)
			}
		}
	}
	g, _ := parseGlobs([]string{"Users/*/Temp", "a/b"}, true)
	for folder, want := range map[string]bool{"Windows": false, "users": true, "users/x": true, "users/x/temp": false, "a/c": false, "a/b/c": false} {
		if g.below(folder) != want {
			t.Errorf("looks into %q: %v", folder, !want)
		}
	}
	for _, bad := range []string{"", "/", "a//b", "a/../b", "./a", `C:\Users`, "a[", "a{b", "[]"} {
		if err := CheckPatterns([]string{"fine", bad}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("the pattern %q: %v", bad, err)
		}
		if _, _, err := Exclude(volume{}, []string{bad}); err == nil {
			t.Errorf("the pattern %q was taken", bad)
		}
	}
}

// toyNode is a Node of a volume that is made up.
type toyNode struct {
	id      uint64
	links   int
	attrs   uint32
	extents []block.Extent
	err     error
}

func (n *toyNode) ID() uint64         { return n.id }
func (n *toyNode) Links() int         { return n.links }
func (n *toyNode) Attributes() uint32 { return n.attrs }
func (n *toyNode) Extents() iter.Seq2[block.Extent, error] {
	return func(yield func(block.Extent, error) bool) {
		for _, e := range n.extents {
			if !yield(e, nil) {
				return
			}
		}
		if n.err != nil {
			yield(block.Extent{}, n.err)
		}
	}
}

// toyFiles is a tree that is made up, with metadata.
type toyFiles struct {
	fstest.MapFS
	meta []block.Extent
}

func (f toyFiles) Metadata() iter.Seq2[block.Extent, error] {
	return (&toyNode{extents: f.meta}).Extents()
}

func toyVolume(size int64, kind string, used block.Map, meta []block.Extent, files map[string]*toyNode) Volume {
	tree := fstest.MapFS{".": &fstest.MapFile{Mode: fs.ModeDir, Sys: &toyNode{id: 1, links: 1}}}
	for name, n := range files {
		mode := fs.FileMode(0)
		switch {
		case strings.HasSuffix(name, "/"):
			mode = fs.ModeDir
		case strings.HasSuffix(name, "@"):
			mode = fs.ModeSymlink
		}
		tree[strings.TrimRight(name, "/@")] = &fstest.MapFile{Mode: mode, Sys: n}
	}
	return volume{info: Info{Type: kind, Size: size}, used: used, tree: toyFiles{tree, meta}}
}

func TestExclude(t *testing.T) {
	ext := func(at ...int64) (out []block.Extent) {
		for _, a := range at {
			out = append(out, block.Extent{Off: a * 10, Len: 10})
		}
		return out
	}
	file := func(id uint64, at ...int64) *toyNode { return &toyNode{id: id, links: 1, extents: ext(at...)} }
	bad := errors.New("bad sector")
	for _, c := range []struct {
		name, pattern, kind string
		files               map[string]*toyNode
		meta                []block.Extent
		zero                []block.Extent
		count, kept         int
		reason              string
	}{
		{"one file", "tmp/a", "FAT32", map[string]*toyNode{"tmp/": file(2, 1), "tmp/A": file(3, 2, 4), "tmp/b": file(4, 3)}, nil, ext(2, 4), 1, 0, ""},
		{"a folder", "tmp", "NTFS", map[string]*toyNode{"tmp/": file(2, 1), "tmp/a": file(3, 2), "tmp/b/": file(4, 3), "tmp/b/c": file(5, 4)}, nil, ext(2, 4), 2, 0, ""},
		{"case matters", "tmp/a", "ext4", map[string]*toyNode{"tmp/": file(2, 1), "tmp/A": file(3, 2)}, nil, nil, 0, 0, ""},
		{"nothing", "none", "NTFS", map[string]*toyNode{"a": {id: 9, links: 1, err: bad}}, nil, nil, 0, 0, ""},
		{"shared with a file", "a", "ext", map[string]*toyNode{"a": file(3, 2, 3, 4), "b": file(4, 3)}, nil, ext(2, 4), 1, 0, ""},
		{"shared in part", "a", "ext", map[string]*toyNode{"a": file(3, 2), "b": {id: 4, links: 1, extents: []block.Extent{{Off: 25, Len: 2}}}}, nil,
			[]block.Extent{{Off: 20, Len: 5}, {Off: 27, Len: 3}}, 1, 0, ""},
		{"shared with a folder", "a", "ext", map[string]*toyNode{"a": file(3, 2, 3), "b/": file(4, 3)}, nil, ext(2), 1, 0, ""},
		{"shared with metadata", "a", "ext", map[string]*toyNode{"a": file(3, 2, 3)}, ext(3), ext(2), 1, 0, ""},
		{"shared among those left out", "{a,b}", "ext", map[string]*toyNode{"a": file(3, 2, 3), "b": file(4, 3)}, nil, ext(2, 3), 2, 0, ""},
		{"hard link elsewhere", "tmp", "NTFS", map[string]*toyNode{"tmp/": file(2), "tmp/a": {id: 5, links: 2, extents: ext(5)}, "b": {id: 5, links: 2, extents: ext(5)}}, nil, nil, 0, 1, ""},
		{"hard links within", "tmp", "NTFS", map[string]*toyNode{"tmp/": file(2), "tmp/a": {id: 5, links: 2, extents: ext(5)}, "tmp/b": {id: 5, links: 2, extents: ext(5)}}, nil, ext(5), 1, 0, ""},
		{"link", "*", "ext", map[string]*toyNode{"a@": file(3, 2)}, nil, nil, 0, 0, ""},
		{"filtered", "*", "NTFS", map[string]*toyNode{"a": {id: 5, links: 1, attrs: 0x400, extents: ext(5)}, "b": {id: 6, links: 1, attrs: 0x4000, extents: ext(6)}, "c": file(7, 7)}, nil, ext(7), 1, 2, ""},
		{"free", "a", "ext", map[string]*toyNode{"a": file(3, 2, 80)}, nil, ext(2), 1, 0, ""},
		{"its extents cannot be read", "a", "ext", map[string]*toyNode{"a": {id: 3, links: 1, extents: ext(3), err: bad}}, nil, nil, 0, 0, "bad sector"},
		{"another file cannot be read", "a", "ext", map[string]*toyNode{"a": file(3, 2), "b": {id: 4, links: 1, err: bad}}, nil, nil, 0, 0, "b: bad sector"},
		{"nothing known", "a", "ext", map[string]*toyNode{"a": file(3, 2), "b": nil}, nil, nil, 0, 0, ""},
		{"a folder twice", "a", "ext", map[string]*toyNode{"a": file(3, 2), "b/": file(4, 5), "c/": file(4, 5)}, nil, nil, 0, 0, "two places"},
		{"more than there is", "a", "ext", map[string]*toyNode{"a": file(3, 2), "b": {id: 4, links: 1, extents: []block.Extent{{Off: 0, Len: 700}, {Off: 0, Len: 700}, {Off: 0, Len: 700}}}}, nil, nil, 0, 0, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, ok := c.files["b"]; ok && n == nil {
				c.reason = "nothing is known"
			}
			used := block.NewExtents(block.Extent{Off: 0, Len: 790})
			v := toyVolume(1000, c.kind, used, c.meta, c.files)
			if n, ok := c.files["b"]; ok && n == nil {
				v.(volume).tree.(toyFiles).MapFS["b"].Sys = nil
			}
			out, x, err := Exclude(v, []string{"no/such", c.pattern})
			if err != nil {
				t.Fatal(err)
			}
			if got := []block.Extent(out.Zeroed()); !slices.Equal(got, block.NewExtents(c.zero...)) {
				t.Errorf("zeros at %v instead of %v", got, c.zero)
			}
			var want int64
			for _, e := range c.zero {
				want += e.Len
			}
			if x.Files != c.count || x.Kept != c.kept || x.Bytes != want || len(x.Names) != c.count || !strings.Contains(x.Reason, c.reason) || (x.Reason == "") != (c.reason == "") {
				t.Errorf("%+v", x)
			}
			if n, err := block.Bytes(out.Used()); n != 790 || err != nil || out.Info().ZeroedBytes != want {
				t.Errorf("%d bytes are used, %v; %+v", n, err, out.Info())
			}
		})
	}
}

// TestExcludeAgainstModel draws trees and compares, byte by byte: zeros are
// what only files that are left out claim.
func TestExcludeAgainstModel(t *testing.T) {
	const size = 400
	r := rand.New(rand.NewPCG(4, 4))
	draw := func(max int) (out []block.Extent) {
		for range r.IntN(max + 1) {
			off := r.Int64N(size - 20)
			out = append(out, block.Extent{Off: off, Len: 1 + r.Int64N(19)})
		}
		return out
	}
	for range 1000 {
		files := map[string]*toyNode{"tmp/": {id: 2, links: 1, extents: draw(1)}, "keep/": {id: 3, links: 1}}
		gone, kept := make([]bool, size), make([]bool, size)
		paint := func(b []bool, extents []block.Extent) {
			for _, e := range extents {
				for i := e.Off; i < e.End(); i++ {
					b[i] = true
				}
			}
		}
		paint(kept, files["tmp/"].extents)
		for i := range 1 + r.IntN(6) {
			n := &toyNode{id: uint64(10 + i), links: 1 + r.IntN(3), extents: draw(2)}
			all := true
			for k := range n.links {
				in := r.IntN(3) > 0
				all = all && in
				files[fmt.Sprintf("%s/%d-%d", map[bool]string{true: "tmp", false: "keep"}[in], i, k)] = n
			}
			if all {
				paint(gone, n.extents)
			} else {
				paint(kept, n.extents)
			}
		}
		meta := draw(1)
		paint(kept, meta)
		v, x, err := Exclude(toyVolume(size, "NTFS", block.Whole(size), meta, files), []string{"TMP/**"})
		if err != nil || x.Reason != "" && !strings.Contains(x.Reason, "twice the bytes") {
			t.Fatal(x, err)
		}
		if x.Reason != "" {
			continue
		}
		zero := make([]bool, size)
		paint(zero, v.Zeroed())
		for i := range zero {
			if zero[i] != (gone[i] && !kept[i]) {
				t.Fatalf("byte %d: zero %v, left out %v, kept %v", i, zero[i], gone[i], kept[i])
			}
		}
	}
}

func TestExcludeNothing(t *testing.T) {
	v := toyVolume(100, "NTFS", block.Whole(100), nil, map[string]*toyNode{"a": {id: 3, links: 1, extents: []block.Extent{{Off: 5, Len: 5}}}})
	whole := v.(volume)
	whole.info.WholeReason = "damaged"
	unread := v.(volume)
	unread.tree = nil
	for want, v := range map[string]Volume{"copied whole": whole, "cannot be read here": unread} {
		out, x, err := Exclude(v, []string{"a"})
		if err != nil || x.Files != 0 || !strings.Contains(x.Reason, want) || len(out.Zeroed()) != 0 {
			t.Errorf("%+v, %v instead of %q", x, err, want)
		}
	}
}
