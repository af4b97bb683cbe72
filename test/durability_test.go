package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// durable is what may have reached the medium of a file, or of the names in a
// folder: all of it when a sync that ended well began after the last change.
type durable struct{ version, synced int }

func (d *durable) clean() bool { return d.version == d.synced }

// file is a file of the watched folder, or the source.
type file struct {
	durable
	ours bool // made in this run, and under a partial name only: nobody relies on it
}

// judge follows the calls of a run and says where a power cut would do harm.
// Of a file system it expects no more than that fsync of a file makes its bytes
// durable, fsync of a folder its names, and rename is one step.
type judge struct {
	dir    string
	folder durable
	files  map[string]*file // by path
	syncs  map[*call]int    // the version that a sync under way is sure to hold
	faults []string
	did    []string // what was done to names, in its order
}

// newJudge watches the files in a folder, and these ones elsewhere.
func newJudge(t *testing.T, dir string, sources ...string) *judge {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{dir: dir, files: map[string]*file{}, syncs: map[*call]int{}}
	for _, n := range append(names, sources...) {
		j.files[n] = new(file)
	}
	return j
}

func (j *judge) fault(c *call, format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf("%s: %s(%s) = %s", fmt.Sprintf(format, args...), c.name, c.args, c.result))
}

func partial(path string) bool {
	return strings.HasPrefix(filepath.Base(path), ".") && (strings.HasSuffix(path, ".partial") || strings.HasSuffix(path, ".unfinished"))
}

// inside leaves out locks, on which nothing that is kept depends.
func (j *judge) inside(path string) bool {
	return filepath.Dir(path) == j.dir && !strings.HasSuffix(path, ".lock")
}

// judge goes through a run, to its end.
func (j *judge) judge(run []moment) {
	for _, m := range run {
		if m.call.failed() && m.end {
			continue // what it was counted for at its beginning stays
		}
		switch c := m.call; c.name {
		case "open", "openat", "openat2", "creat":
			if m.end {
				j.open(c)
			}
		case "fsync", "fdatasync":
			j.sync(c, m.end)
		case "link", "linkat", "rename", "renameat", "renameat2":
			j.name(c, m.end)
		case "unlink", "unlinkat":
			j.unlink(c, m.end)
		case "symlink", "symlinkat", "truncate", "splice", "sendfile":
			for _, p := range append(c.paths(), c.fds()...) {
				if j.files[p] != nil || j.inside(p) {
					j.fault(c, "not expected")
				}
			}
		default:
			j.write(c)
		}
	}
	if !j.folder.clean() {
		j.faults = append(j.faults, "at the end names were not durable")
	}
}

// open: what was there before is never opened for writing.
func (j *judge) open(c *call) {
	path := c.opened()
	write := c.name == "creat" || strings.Contains(c.args, "O_WRONLY") || strings.Contains(c.args, "O_RDWR") || strings.Contains(c.args, "O_TRUNC")
	f := j.files[path]
	switch {
	case !write || f == nil && !j.inside(path):
	case f == nil && partial(path):
		j.files[path] = &file{ours: true}
		j.did = append(j.did, "create")
	case f == nil:
		j.fault(c, "a file is created under its final name")
	case !f.ours:
		j.fault(c, "opened for writing")
	}
}

// write: only files that nobody relies on are written to.
func (j *judge) write(c *call) {
	fds := c.fds()
	if len(fds) == 0 {
		return
	}
	f := j.files[fds[len(fds)-1]] // copy_file_range has its source before
	switch {
	case f == nil && j.inside(fds[len(fds)-1]):
		j.fault(c, "written to a file with no name")
	case f != nil && !f.ours && c.name != "ioctl":
		j.fault(c, "written to")
	case f != nil:
		f.version++
	}
}

func (j *judge) sync(c *call, end bool) {
	fds := c.fds()
	if len(fds) != 1 {
		return
	}
	d := &j.folder
	if fds[0] != j.dir {
		f := j.files[fds[0]]
		if f == nil {
			return
		}
		d = &f.durable
	}
	if !end {
		j.syncs[c] = d.version
	} else {
		d.synced = j.syncs[c]
	}
}

// name: a file gets a name when its bytes are durable, and one that replaces
// another when nothing else waits for the folder.
func (j *judge) name(c *call, end bool) {
	p := c.paths()
	if len(p) != 2 || !j.inside(p[0]) && !j.inside(p[1]) {
		return
	}
	from, to := p[0], p[1]
	f := j.files[from]
	if f == nil {
		j.fault(c, "a file that is not known gets a name")
		return
	}
	j.folder.version++
	if !end {
		if !f.clean() {
			j.fault(c, "the file gets its name before its bytes are durable")
		}
		if j.files[to] != nil && !strings.HasPrefix(c.name, "rename") {
			j.fault(c, "a name that is there")
		}
		return
	}
	verb := "name"
	if j.files[to] != nil {
		verb = "replace"
	}
	j.did = append(j.did, verb)
	if j.files[to] = f; strings.HasPrefix(c.name, "rename") {
		delete(j.files, from)
	}
	f.ours = f.ours && partial(to)
}

// unlink: nothing goes before all that was done to the names is durable; a
// partial name counts for nothing.
func (j *judge) unlink(c *call, end bool) {
	p := c.paths()
	if len(p) != 1 || !j.inside(p[0]) {
		return
	}
	switch {
	case partial(p[0]):
	case !end:
		if !j.folder.clean() {
			j.fault(c, "a file is deleted before what came before it is durable")
		}
		j.folder.version++
	default:
		j.folder.version++
		j.did = append(j.did, "delete")
	}
	if end {
		delete(j.files, p[0])
	}
}

// TestDurability looks at the system calls of all that changes a folder of
// sets: whenever the power goes, what is kept is there.
func TestDurability(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	out, src := filepath.Join(dir, "out"), filepath.Join(dir, "src.img")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	noise := newNoise(t, src, 24<<20)
	run := func(want string, args ...string) {
		t.Helper()
		j := newJudge(t, out, src)
		j.judge(trace(t, args...))
		if len(j.faults) > 0 {
			t.Errorf("ingot %s:\n%s", strings.Join(args, " "), strings.Join(j.faults, "\n"))
		}
		if did := strings.Join(j.did, " "); did != want {
			t.Errorf("ingot %s: %s, want %s", strings.Join(args, " "), did, want)
		}
	}
	take := func(want string, args ...string) {
		t.Helper()
		noise.change(t, 2<<20)
		run(want, append([]string{"image", src, "--to", out, "--compression", "none"}, args...)...)
	}
	file := func(name string) string { return filepath.Join(out, name+".mrimgx") }
	take("create name", "--name", "a")
	for range 6 {
		take("create name")
	}
	run("create name replace delete delete", "consolidate", file("a-01-01"), file("a-03-03"), "--yes")
	run("create name replace delete delete", "consolidate", file("a-00-00"), file("a-04-04"), "--yes")
	run("create name replace delete", "purge", out, "--keep-inc", "1", "--yes")
	run("create name", "protect", file("a-06-06"))
	run("delete", "protect", file("a-06-06"), "--off")
	take("create name", "--name", "b", "--type", "full")
	take("create name create name replace delete", "--keep-inc", "1", "--synthetic-full")
	// The last good set goes when the new one is there.
	take("delete create name delete delete", "--name", "c", "--type", "full", "--keep-full", "1", "--purge-before")
}

// TestJudge: what the test above looks for is found.
func TestJudge(t *testing.T) {
	const (
		create = `1 openat(AT_FDCWD</>, "/f/.n.partial", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</f/.n.partial>` + "\n"
		write  = `1 pwrite64(3</f/.n.partial>, ""..., 5, 0) = 5` + "\n"
		sync   = `1 fsync(3</f/.n.partial>) = 0` + "\n"
		link   = `1 linkat(AT_FDCWD</>, "/f/.n.partial", AT_FDCWD</>, "/f/n", 0) = 0` + "\n"
		second = `1 unlinkat(AT_FDCWD</>, "/f/.n.partial", 0) = 0` + "\n"
		folder = `1 fsync(4</f>) = 0` + "\n"
		rename = `1 renameat(AT_FDCWD</>, "/f/n", AT_FDCWD</>, "/f/b") = 0` + "\n"
		remove = `1 unlinkat(AT_FDCWD</>, "/f/a", 0) = 0` + "\n"
		good   = create + write + sync + link + second + folder
	)
	for name, c := range map[string]struct{ trace, fault string }{
		"good":                   {good + rename + folder + remove + folder, ""},
		"no sync":                {create + write + link + folder, "before its bytes are durable"},
		"written after the sync": {create + sync + write + link + folder, "before its bytes are durable"},
		"written during the sync": {create + "1 fsync(3</f/.n.partial> <unfinished ...>\n" + "2" + write[1:] +
			"1 <... fsync resumed>) = 0\n" + link + folder, "before its bytes are durable"},
		"the sync ends too late": {create + write + "1 fsync(3</f/.n.partial> <unfinished ...>\n" + "2" + link[1:] +
			"1 <... fsync resumed>) = 0\n" + folder, "before its bytes are durable"},
		"the sync fails":       {create + write + "1 fsync(3</f/.n.partial>) = -1 EIO (Input/output error)\n" + link + folder, "before its bytes are durable"},
		"names not synced":     {create + write + sync + link + second, "at the end names were not durable"},
		"deleted too early":    {good + rename + remove + folder, "deleted before"},
		"two deleted at once":  {remove + `1 unlink("/f/b") = 0` + "\n" + folder, "deleted before"},
		"opened for writing":   {`1 openat(AT_FDCWD</>, "/f/a", O_WRONLY) = 3</f/a>` + "\n", "opened for writing"},
		"the source":           {`1 openat(AT_FDCWD</>, "/proc/self/fd/3", O_RDWR|O_DIRECT) = 5</src>` + "\n", "opened for writing"},
		"written to":           {`1 write(3</f/a>, ""..., 5) = 5` + "\n", "written to"},
		"copied to":            {`1 copy_file_range(3</f/b>, [0], 4</f/a>, [0], 5, 0) = 5` + "\n", "written to"},
		"written to when done": {good + `1 write(3</f/n>, ""..., 5) = 5` + "\n", "written to"},
		"made in its place":    {`1 openat(AT_FDCWD</>, "/f/n", O_RDWR|O_CREAT, 0600) = 3</f/n>` + "\n", "under its final name"},
	} {
		run, err := parseTrace(c.trace)
		if err != nil {
			t.Fatal(err)
		}
		j := &judge{dir: "/f", files: map[string]*file{"/f/a": {}, "/f/b": {}, "/src": {}}, syncs: map[*call]int{}}
		j.judge(run)
		if c.fault == "" && len(j.faults) > 0 || c.fault != "" && !slices.ContainsFunc(j.faults, func(s string) bool { return strings.Contains(s, c.fault) }) {
			t.Errorf("%s: %q, want %q", name, j.faults, c.fault)
		}
	}
	if _, err := parseTrace("1 what is this\n"); err == nil {
		t.Error("any line is taken")
	}
}
