package service

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/internal/plan"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts(`21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 21 8:17 / /media/my\040disk rw,noatime master:1 - ext3 /dev/sdb1 rw,errors=continue
37 21 8:17 /sub /mnt/a\134b rw - ext3 /dev/sdb1 rw
garbage

1 2 3
`)
	want := map[string]string{
		"21 254:0 / /": "/", `36 8:17 / /media/my\040disk`: "/media/my disk", `37 8:17 /sub /mnt/a\134b`: `/mnt/a\b`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		path, point string
		want        bool
	}{
		{"/mnt/usb/x", "/mnt/usb", true}, {"/mnt/usb", "/mnt/usb", true}, {"/mnt/usb2", "/mnt/usb", false}, {"/mnt", "/mnt/usb", false}, {"/mnt/usb", "/", false},
	} {
		if got := under(c.path, c.point); got != c.want {
			t.Errorf("%s under %s: %v", c.path, c.point, got)
		}
	}
}

// A real mount is noticed when it happens.
func TestMountsAreNoticed(t *testing.T) {
	point := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan map[string]string, 100)
	ended := make(chan error, 1)
	go func() { ended <- watchMounts(ctx, func(table map[string]string) { seen <- table }) }()
	wait := func(want bool) {
		t.Helper()
		limit := time.After(10 * time.Second)
		for {
			select {
			case table := <-seen:
				if slices.Contains(slices.Collect(maps.Values(table)), point) == want {
					return
				}
			case err := <-ended:
				t.Fatalf("the watch has ended: %v", err)
			case <-limit:
				t.Fatalf("waited in vain for a table with the mount: %v", want)
			}
		}
	}
	wait(false)
	if err := unix.Mount("none", point, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, 0) })
	wait(true)
	if err := unix.Unmount(point, 0); err != nil {
		t.Fatal(err)
	}
	wait(false)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestIdleness(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	var i idleness
	l := load{}
	step := func(busy float64, typed, running bool) time.Duration {
		now = now.Add(time.Minute)
		l.busy, l.total = l.busy+busy*60, l.total+60
		if typed {
			l.input = now
		}
		return i.look(l, running, now)
	}
	for n, c := range []struct {
		busy           float64
		typed, running bool
		want           time.Duration
	}{
		{0, false, false, 0}, {0, false, false, time.Minute}, {0.05, false, false, 2 * time.Minute}, {0.5, false, false, 0}, {0, false, false, time.Minute},
		{0, true, false, 0}, {0, false, false, time.Minute}, {0, false, true, 0}, {0, false, false, time.Minute},
	} {
		if got := step(c.busy, c.typed, c.running); got != c.want {
			t.Errorf("step %d: idle for %s, want %s", n, got, c.want)
		}
	}
	now = now.Add(-time.Hour)
	if got := step(0, false, false); got != 0 {
		t.Errorf("after the clock was put back: %s", got)
	}
	if got := parseStat("cpu  100 50 30 800 20 5 5 0 77 0\ncpu0 1 2 3\n"); got.busy != 140 || got.total != 1010 {
		t.Errorf("%+v", got)
	}
	if l, err := readLoad(); err != nil || l.total <= 0 || l.busy <= 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestClocks(t *testing.T) {
	anchor := time.Now().Add(-time.Second)
	c, err := ParseFastClock(anchor.Format(time.RFC3339Nano) + ",2026-03-28T00:00:00Z,3600")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 28, 1, 0, 0, 0, time.UTC)
	if d := c.Now().Sub(start); d < 0 || d > 2*time.Hour || c.Real(time.Hour) != time.Second {
		t.Errorf("%s, %s", c.Now(), c.Real(time.Hour))
	}
	for _, s := range []string{"", "a,b,c", "2026-03-28T00:00:00Z,2026-03-28T00:00:00Z,0", "2026-03-28T00:00:00Z,2026-03-28T00:00:00Z,NaN", "2026-03-28T00:00:00Z,x,2"} {
		if _, err := ParseFastClock(s); err == nil {
			t.Errorf("%q is a clock", s)
		}
	}
}

// The machine sleeps, or somebody sets the clock: both show as the two clocks
// going apart.
func TestJump(t *testing.T) {
	var w watch
	wall, awake := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), time.Hour
	for _, c := range []struct{ wall, awake, want time.Duration }{
		{0, 0, 0}, {15 * time.Second, 15 * time.Second, 0}, {3*time.Hour + time.Second, time.Second, 3 * time.Hour},
		{time.Second - 2*time.Hour, time.Second, -2 * time.Hour}, {40 * time.Second, time.Second, 0}, {time.Hour, time.Hour, 0},
	} {
		wall, awake = wall.Add(c.wall), awake+c.awake
		if got := w.jump(wall, awake); got != c.want {
			t.Errorf("%s on the wall and %s awake: %s, want %s", c.wall, c.awake, got, c.want)
		}
	}
}

func TestShelf(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.xml", ".hidden.xml", "b.xml.bak", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.xml"), 0o700); err != nil {
		t.Fatal(err)
	}
	var refused error
	s := shelf{dir: dir, load: func(string) (*plan.Definition, error) { return &plan.Definition{Name: "a"}, refused }}
	s, changed := s.look()
	if len(s.entries) != 1 || !reflect.DeepEqual(changed, []string{"a"}) {
		t.Errorf("%v, %v", s.entries, changed)
	}
	if s, changed = s.look(); len(changed) != 0 {
		t.Errorf("nothing has changed, but %v", changed)
	}
	refused = errors.New("others may write the folder above it")
	if s, changed = s.look(); len(changed) != 1 || s.entries["a"].Def != nil {
		t.Error("what became unsafe without the file being touched was not noticed")
	}
	s.dir = filepath.Join(dir, "gone")
	if s, changed = s.look(); len(s.entries) != 0 || len(changed) != 1 {
		t.Errorf("%v, %v", s.entries, changed)
	}
}
