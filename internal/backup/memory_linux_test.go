package backup

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/dest/folder"
	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/image"
	"ingot/internal/job"
)

const mib = 1 << 20

// hugeDisk is a GPT-less disk of 16 TiB: one MBR cannot hold that, so the
// volume is the whole disk. Its NTFS has a bitmap of 512 MiB.
func hugeDisk() block.Reader {
	return ntfstest.Huge(16<<40, 500, 4)
}

const memoryChild = "INGOT_TEST_MEMORY"

// TestMemoryOfAHugeDisk images and verifies a disk of 16 TiB in a process of
// its own, and looks at how much memory that ever held.
func TestMemoryOfAHugeDisk(t *testing.T) {
	if dir := os.Getenv(memoryChild); dir != "" {
		imageHuge(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryOfAHugeDisk$", "-test.v")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GOMAXPROCS=") }), memoryChild+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Not the rusage of the child: that counts what this process held when it
	// started the other.
	m := regexp.MustCompile(`peak memory: (\d+) kB`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("the child does not say how much memory it held:\n%s", out)
	}
	rss, _ := strconv.Atoi(string(m[1]))
	rss /= 1024
	t.Logf("peak RSS %d MiB\n%s", rss, out)
	if rss > 200 && !raceDetector {
		t.Errorf("peak RSS is %d MiB", rss)
	}
}

func imageHuge(t *testing.T, dir string) {
	debug.SetMemoryLimit(128 * mib) // as the program does
	store, err := folder.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(source(t, hugeDisk()), Options{TempDir: dir, Changes: ChangesMFT})
	if err != nil {
		t.Fatal(err)
	}
	if p.Parts[0].Info.WholeReason != "" || p.Parts[0].BlockSize != 4*mib {
		t.Fatalf("%+v, blocks of %d", p.Parts[0].Info, p.Parts[0].BlockSize)
	}
	for _, typ := range []string{image.TypeFull, image.TypeInc} {
		target, err := p.Target(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		res, err := p.Run(t.Context(), store, target, Naming{Template: "huge"}, job.NewLog(nil))
		if err != nil || res.Type != typ || typ == image.TypeInc && res.Unread == 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		verifyHuge(t, store, res)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no peak of memory in %s", status)
	}
	t.Logf("peak memory: %s kB", m[1])
}

func verifyHuge(t *testing.T, store *folder.Store, res *Result) {
	c, err := image.Open(t.Context(), store, res.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Verify(t.Context(), nil)
	if err != nil || len(v.Damaged) > 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	t.Logf("%s: %d MiB read, %d changed, an image of %d MiB, %d blocks on %d cores",
		res.Type, res.Read/mib, res.Changed/mib, res.Written/mib, v.Blocks, runtime.NumCPU())
}
