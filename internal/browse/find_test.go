package browse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// found gives what a search finds, and what it cannot read.
func found(t *testing.T, v *Volume, root string, q Query) (out, bad []string) {
	t.Helper()
	if err := q.Check(); err != nil {
		t.Fatal(err)
	}
	err := v.Find(t.Context(), root, q, Finder{
		Found: func(p string, _ fs.DirEntry) error { out = append(out, p); return nil },
		Bad:   func(p string, err error) { bad = append(bad, p) },
	})
	if err != nil {
		t.Error(err)
	}
	return out, bad
}

func TestFind(t *testing.T) {
	v := volumeOf("ext4", fileOf("A.txt", "1"),
		folderOf("d", fileOf("b.TXT", strings.Repeat("x", 5000)), linkTo("l.txt", "x"), folderOf("e", fileOf("c.txt", "12"), &fake{name: "pipe", mode: fs.ModeNamedPipe})))
	when := (&fake{}).ModTime()
	for _, c := range []struct {
		root string
		q    Query
		want string
	}{
		{".", Query{}, "A.txt d d/b.TXT d/l.txt d/e d/e/c.txt d/e/pipe"},
		{"d", Query{}, "d/b.TXT d/l.txt d/e d/e/c.txt d/e/pipe"},
		{".", Query{Pattern: "*.txt"}, "A.txt d/l.txt d/e/c.txt"},
		{".", Query{Pattern: "/d/*"}, "d/b.TXT d/l.txt d/e"},
		{"d", Query{Pattern: "e/*"}, "d/e/c.txt d/e/pipe"},
		{".", Query{Pattern: "**/{c,b}.*"}, "d/b.TXT d/e/c.txt"},
		{".", Query{Types: "d"}, "d d/e"},
		{".", Query{Types: "lo"}, "d/l.txt d/e/pipe"},
		{".", Query{Min: 2}, "d/b.TXT d/e/c.txt"},
		{".", Query{Max: 1}, "A.txt"},
		{".", Query{Min: 2, Max: 2}, "d/e/c.txt"},
		{"d/e", Query{After: when.Add(-1)}, "d/e/c.txt d/e/pipe"},
		{"d/e", Query{After: when}, ""},
		{"d/e", Query{Before: when}, ""},
		{"d/e", Query{Before: when.Add(1)}, "d/e/c.txt d/e/pipe"},
	} {
		if got, bad := found(t, v, c.root, c.q); strings.Join(got, " ") != c.want || bad != nil {
			t.Errorf("%s %+v: %q, %q", c.root, c.q, got, bad)
		}
	}
	v.Info.Type = "NTFS"
	for _, pattern := range []string{"*.txt", `D\**\*.TxT`} {
		if got, _ := found(t, v, ".", Query{Pattern: pattern}); len(got) != 4-strings.Count(pattern, "D") {
			t.Errorf("%s: %q", pattern, got)
		}
	}
	for _, q := range []Query{{Pattern: "[a"}, {Pattern: "{a"}, {Types: "fx"}} {
		if q.Check() == nil {
			t.Errorf("%+v", q)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Find(ctx, ".", Query{}, Finder{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestFindHostile goes on behind names that would lead elsewhere, and ends.
func TestFindHostile(t *testing.T) {
	loop := &fake{name: "d", mode: fs.ModeDir | 0o755}
	loop.entries = func() []*fake { return []*fake{loop, folderOf("..", fileOf("x", "")), fileOf("a/b", "")} }
	got, bad := found(t, volumeOf("ext4", folderOf(".."), fileOf("", ""), loop, fileOf("z", "")), ".", Query{})
	if len(got) != maxDepth+2 || got[len(got)-1] != "z" || len(bad) != 2*maxDepth+3 {
		t.Errorf("%d found, %d bad", len(got), len(bad))
	}
}

func TestTree(t *testing.T) {
	v := volumeOf("ext4", folderOf("a", fileOf("b", ""), folderOf("c", fileOf("d", ""))), folderOf("..", fileOf("x", "")), folderOf("e"))
	for depth, want := range map[int]string{0: "├── a\n│   ├── b\n│   └── c\n│       └── d\n└── e\n", 1: "├── a\n└── e\n", 2: "├── a\n│   ├── b\n│   └── c\n└── e\n"} {
		var out strings.Builder
		bad := 0
		err := v.Tree(t.Context(), ".", depth, func(_, before string, e fs.DirEntry) error {
			fmt.Fprintf(&out, "%s%s\n", before, e.Name())
			return nil
		}, func(string, error) { bad++ })
		if out.String() != want || err != nil || bad != 1 {
			t.Errorf("depth %d: %v, %d\n%s", depth, err, bad, out.String())
		}
	}
}

func TestResolve(t *testing.T) {
	v := volumeOf("ext4", folderOf("a", folderOf("b", fileOf("f", "1"), linkTo("up", ".."), linkTo("root", "/"), linkTo("me", "me"))),
		linkTo("abs", "/a/b"), linkTo("rel", "./a/../a/b"), linkTo("far", "../../../a"), linkTo("none", "nothing"), fileOf(`a\b`, "2"))
	for name, want := range map[string]string{
		".": ".", "a/b/f": "a/b/f", "abs/f": "a/b/f", "rel/f": "a/b/f", "far/b/f": "a/b/f", "abs/up/b/f": "a/b/f", "abs/root/rel/f": "a/b/f",
		"abs": "abs", "none": "none", "a/b/me": "a/b/me", `a\b`: `a\b`, "abs/root": "a/b/root",
	} {
		if got, info, err := v.Resolve(name, false); got != want || err != nil || info == nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"abs": "a/b", "abs/root": ".", "abs/up": "a", "a/b/f": "a/b/f"} {
		if got, _, err := v.Resolve(name, true); got != want || err != nil {
			t.Errorf("%s, followed: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"none", "a/b/me", "none/x", "a/b/me/x", "x", "a/b/f/x"} {
		if got, _, err := v.Resolve(name, true); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestResolveWindows(t *testing.T) {
	v := volumeOf("NTFS", folderOf("Users", folderOf("All", fileOf("f", "1"))), linkTo("Documents and Settings", `C:\Users`), linkTo("D", `d:\Users`),
		linkTo("rel", `Users\All`), linkTo("server", `\\server\share`), linkTo("volume", `\\?\Volume{0}\x`))
	v.Letter = "C"
	for name, want := range map[string]string{`Users\All\f`: "Users/All/f", `Documents and Settings\All\f`: "Users/All/f", "rel/f": "Users/All/f"} {
		if got, _, err := v.Resolve(name, false); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"D/All", "server/x", "volume/x"} {
		if got, _, err := v.Resolve(name, false); err == nil || !strings.Contains(err.Error(), "not on this volume") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][2]bool{ // elsewhere, in Windows
		"a": {true, true}, "ö 名": {true, true}, "...": {true, false}, "a.": {true, false}, "a ": {true, false}, "a:b": {true, false}, `a\b`: {true, false},
		"CON": {true, false}, "nul.txt": {true, false}, "com1": {true, false}, "LPT².x": {true, false}, "com10": {true, true}, "aux .c": {true, false}, "console": {true, true},
		"tab\t": {true, false}, "": {}, ".": {}, "..": {}, "a/b": {}, "/": {}, "a\x00": {},
	} {
		if got := [2]bool{checkNameFor(name, false) == nil, checkNameFor(name, true) == nil}; got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestFindPartition(t *testing.T) {
	one := []*Partition{{Disk: 1, Number: 1, Label: "Data"}, {Disk: 1, Number: 2, Label: "windows", Letter: "C"}, {Disk: 1, Number: 3, Label: "7"}, {Disk: 1, Number: 7, Label: "Data"}}
	two := append(slices.Clone(one), &Partition{Disk: 2, Number: 1, Disks: 2})
	for _, c := range []struct {
		all  []*Partition
		name string
		want int // place in all, -1 none
	}{
		{one, "1", 0}, {one, "1.2", 1}, {one, "WINDOWS", 1}, {one, "c", 1}, {one, "7", 3}, {one, "Data", -1}, {one, "", -1}, {one, "9", -1}, {one[:1], "", 0},
		{two, "1", -1}, {two, "2.1", 4}, {two, "2", 1}, {two, "2.2", -1},
	} {
		got, err := Find(c.all, c.name)
		if c.want < 0 != (err != nil) || c.want >= 0 && got != c.all[c.want] {
			t.Errorf("%q: %+v, %v", c.name, got, err)
		}
	}
}

func TestNumber(t *testing.T) {
	at := func(size int64, mtime int64, hash string, print byte) Moment {
		return Moment{Present: true, Size: size, ModTime: time.Unix(mtime, 0), Hash: hash, print: [32]byte{print}}
	}
	all := []Moment{
		{}, at(1, 1, "a", 0), at(1, 1, "b", 0), at(1, 9, "a", 0), {Err: errors.New("x")}, at(2, 2, "", 5), at(2, 3, "", 5), at(2, 3, "", 6), at(2, 4, "", 0), {}, at(2, 4, "", 7),
	}
	number(all)
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprint(m.Version, m.Same))
	}
	want := "0 1 2 1hash 0 3 3blocks 3time 4 0 4time"
	if strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}
