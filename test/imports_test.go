// Package test holds the tests of the whole system: the direction of imports,
// and real disks through the real program.
package test

import (
	"os/exec"
	"strings"
	"testing"
)

// levels says how high each package stands. A package may import those that
// stand lower, and none beside it.
var levels = []struct {
	level  int
	prefix string // of the path below ingot/; the longest one counts
}{
	{0, "internal/block"}, {0, "internal/block/"}, {0, "internal/pipeline"}, {0, "internal/dest"}, {0, "internal/plan"}, {0, "internal/job"}, {0, "internal/fstree"}, {0, "internal/fatchain"},
	{0, "internal/trust"}, {0, "internal/result"}, {0, "internal/procgroup"}, {1, "internal/query"},
	{1, "internal/blockcache"}, {1, "internal/nbd"}, {1, "internal/overlay"},
	{0, "internal/diskchain"},
	{1, "internal/disk"}, {1, "internal/filesys/"}, {1, "internal/vdisk/"}, {1, "internal/dest/"}, {1, "internal/mount"}, {1, "internal/notify"},
	{1, "internal/console/bridge"}, {1, "internal/console/diskmap"}, {1, "internal/attach"}, {1, "internal/secret"}, {1, "internal/timers"},
	{2, "internal/filesys"}, {2, "internal/vdisk"}, {2, "internal/snapshot"}, {2, "internal/image"}, {2, "internal/rescue"}, {2, "internal/definitions"},
	{3, "internal/backup"}, {3, "internal/restore"}, {3, "internal/retention"}, {3, "internal/browse"}, {3, "internal/boot"},
	{3, "internal/winimage"}, {3, "internal/winimage/"},
	{4, "internal/service"},
	{4, "internal/preview"},
	{1, "internal/hook"}, {2, "internal/machine"}, {3, "internal/runner"},
	{5, "internal/console/view"}, {5, "internal/console/draft"}, {6, "internal/console"}, {6, "internal/console/tui"}, {7, "cmd/"}, {7, "test"},
}

// stand is the level of a package; -1 when nobody has given it one.
func stand(path string) int {
	best, level := -1, -1
	for _, l := range levels {
		match := path == l.prefix || strings.HasSuffix(l.prefix, "/") && strings.HasPrefix(path, l.prefix)
		if match && len(l.prefix) > best {
			best, level = len(l.prefix), l.level
		}
	}
	return level
}

func TestImportsPointDownward(t *testing.T) {
	for _, os := range []string{"linux", "windows"} {
		cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "ingot/...")
		cmd.Env = append(cmd.Environ(), "GOOS="+os, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			for _, imported := range fields[1:] {
				if strings.HasPrefix(imported, "ingot/") {
					checkEdge(t, strings.TrimPrefix(fields[0], "ingot/"), strings.TrimPrefix(imported, "ingot/"))
				}
			}
		}
	}
}

func checkEdge(t *testing.T, from, to string) {
	t.Helper()
	// What lies in the internal folder of a package is a part of it.
	if owner, _, ok := strings.Cut(to, "/internal/"); ok && (from == owner || strings.HasPrefix(from, owner+"/internal/")) {
		return
	}
	if owner, _, ok := strings.Cut(from, "/internal/"); ok {
		t.Errorf("%s imports %s: the inner packages of %s import nothing of ours", from, to, owner)
		return
	}
	a, b := stand(from), stand(to)
	switch {
	case strings.HasSuffix(from, "test") && a == b:
		// What serves tests may import what it tests.
	case a < 0 || b < 0:
		t.Errorf("%s imports %s: give both a level in this test", from, to)
	case a <= b:
		t.Errorf("%s (level %d) imports %s (level %d): imports point downward only; pass the value in, or state an interface beside its consumer", from, a, to, b)
	}
}

func TestEdgesThatMustFail(t *testing.T) {
	for _, edge := range [][2]string{
		{"internal/block", "internal/disk"}, {"internal/disk", "internal/filesys/ntfs"}, {"internal/filesys/ntfs", "internal/filesys"},
		{"internal/restore", "internal/backup"}, {"internal/image", "cmd/ingot"}, {"internal/new", "internal/block"},
	} {
		a, b := stand(edge[0]), stand(edge[1])
		if a >= 0 && b >= 0 && a > b {
			t.Errorf("%s may import %s", edge[0], edge[1])
		}
	}
}
