package btrfs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/filesys/volumetest"
)

// TestFeatures makes volumes with all that mkfs.btrfs knows, fills them, and
// copies them.
func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		size        int64
		mkfs, mount string
	}{
		{120 << 20, "", ""},
		{100<<20 + 512*5, "-m single", "compress=zstd"},
		{64 << 20, "-M", ""},
		{200 << 20, "-M -m dup -d dup -n 4096", "compress-force=lzo"},
		{130 << 20, "-n 4096 --csum xxhash -m dup", "nodatacow"},
		{200 << 20, "-n 65536 --csum sha256", "nodatasum"},
		{120 << 20, "--csum blake2 -O ^no-holes", ""},
		{120 << 20, "-R ^free-space-tree", "space_cache=v1"},
		{120 << 20, "-O ^skinny-metadata,^extref -n 8192", ""},
		{250 << 20, "-d dup -R quota", "autodefrag"},
		{120 << 20, "-b 110m -m single", ""},
	} {
		t.Run(c.mkfs+" "+c.mount, func(t *testing.T) {
			path := makeVolume(t, c.size, strings.Fields(c.mkfs)...)
			open(t, volumetest.Load(t, path))
			volumetest.LoopMounted(t, path, "rw,"+c.mount, func(dir string) {
				volumetest.Churn(t, dir, uint64(c.size), 8<<20)
				snapshots(t, dir)
			})
			v := checkAgainstTools(t, path, true)
			if f := v.Facts(); f.UsedBytes > c.size*3/4 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// snapshots makes subvolumes, snapshots and copies that share extents, and
// changes and deletes some of them.
func snapshots(t testing.TB, dir string) {
	t.Helper()
	sub := filepath.Join(dir, "sub")
	btrfs(t, "subvolume", "create", sub)
	writeFile(t, sub+"/old", bytes.Repeat([]byte("iron"), 100000))
	for i := range 4 {
		snap := filepath.Join(dir, "snap"+strconv.Itoa(i))
		btrfs(t, "subvolume", "snapshot", sub, snap)
		volumetest.RunTool(t, "coreutils", "cp", "--reflink=auto", sub+"/old", snap+"/new")
		f, err := os.OpenFile(snap+"/new", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("gold"), int64(i)*70000); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	btrfs(t, "subvolume", "delete", "-C", filepath.Join(dir, "snap1"))
	if err := os.Remove(sub + "/old"); err != nil {
		t.Fatal(err)
	}
}

// TestSectors64K is for machines with larger pages than this one: no kernel
// mounts it here.
func TestSectors64K(t *testing.T) {
	tree := t.TempDir()
	volumetest.Churn(t, tree, 8, 2<<20)
	path := makeVolume(t, 260<<20, "-s", "65536", "-n", "65536", "-r", tree)
	if f := checkAgainstTools(t, path, false).Facts(); f.SectorSize != 65536 || f.UsedBytes > 200<<20 {
		t.Errorf("%+v", f)
	}
}

// TestBalanced has chunks whose order on the device is not the logical one.
func TestBalanced(t *testing.T) {
	path := makeVolume(t, 360<<20)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.Churn(t, dir, 4, 20<<20)
		btrfs(t, "balance", "start", "--full-balance", dir)
		volumetest.Churn(t, dir, 5, 5<<20)
		btrfs(t, "balance", "start", "-dusage=50", "-musage=90", dir)
		btrfs(t, "balance", "start", "-mconvert=single", "-f", dir)
		btrfs(t, "balance", "start", "-mconvert=dup", dir)
	})
	v := checkAgainstTools(t, path, true)
	if slices.IsSortedFunc(v.stripes, func(a, b stripe) int { return int(a.chunk.logical>>16) - int(b.chunk.logical>>16) }) {
		t.Error("the volume is no test: its chunks are in order")
	}
}

func TestFullAndEmptied(t *testing.T) {
	path := makeVolume(t, 120<<20)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := 0; os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), bytes.Repeat([]byte{byte(i)}, 300<<10), 0o644) == nil; i++ {
		}
	})
	full := checkAgainstTools(t, path, true).Facts()
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.RunTool(t, "findutils", "find", dir, "-mindepth", "1", "-not", "-name", "1", "-delete")
	})
	if f := checkAgainstTools(t, path, true).Facts(); f.UsedBytes > full.UsedBytes/3 {
		t.Errorf("%d bytes were used, now %d", full.UsedBytes, f.UsedBytes)
	}
}

// TestDeep has an extent tree of three levels, and bitmaps of free space.
func TestDeep(t *testing.T) {
	path := makeVolume(t, 110<<20, "-n", "4096", "-m", "single")
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		for i := range 50 {
			if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 9000 {
			writeFile(t, filepath.Join(dir, strconv.Itoa(i%50), strconv.Itoa(i)), bytes.Repeat([]byte("x"), 5000))
		}
		volumetest.RunTool(t, "coreutils", "sync", "-f", dir)
		for i := 0; i < 9000; i += 11 {
			if err := os.Remove(filepath.Join(dir, strconv.Itoa(i%50), strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	})
	if tree := btrfs(t, "inspect-internal", "dump-tree", "-t", "10", path); !strings.Contains(tree, "FREE_SPACE_BITMAP") || !strings.Contains(tree, "FREE_SPACE_EXTENT") {
		t.Error("the volume is no test: it has no bitmaps")
	}
	if v := checkAgainstTools(t, path, true); v.extentRoot.level < 2 {
		t.Errorf("the volume is no test: %+v", v.extentRoot)
	}
}

// TestNewUUID has tree blocks with another UUID than the volume's.
func TestNewUUID(t *testing.T) {
	path := makeVolume(t, 160<<20)
	volumetest.LoopMounted(t, path, "rw", func(dir string) { volumetest.Churn(t, dir, 6, 1<<20) })
	volumetest.RunTool(t, "btrfs-progs", "btrfstune", "-m", path)
	if v := checkAgainstTools(t, path, true); v.super.FSID == v.super.MetaUUID {
		t.Errorf("%+v", v.super)
	}
}

// TestLogTree copies the device of a volume on which a file was synced: what
// is in the log tree is in no extent.
func TestLogTree(t *testing.T) {
	path := makeVolume(t, 160<<20)
	var synced, logged disk
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		volumetest.Churn(t, dir, 1, 2<<20)
		volumetest.RunTool(t, "coreutils", "sync", "-f", dir)
		synced = volumetest.Load(t, path)
		f, err := os.Create(filepath.Join(dir, "synced"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 100000)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		logged = volumetest.Load(t, path)
	})
	open(t, synced) // a commit leaves nothing to do
	v, err := Open(logged)
	if err != nil {
		t.Fatal(err)
	}
	if f := v.Facts(); !strings.Contains(f.WholeReason, "log tree") || f.UsedBytes != logged.Size() || !strings.Contains(strings.Join(f.Warnings, ""), "log tree has not been replayed") {
		t.Errorf("%+v", f)
	}
	if _, err := v.Files().Lstat("synced"); !os.IsNotExist(err) { // it is in the log tree only
		t.Error(err)
	}
	if list, err := v.Files().ReadDir("."); err != nil || len(list) == 0 {
		t.Error(list, err)
	}
}

// TestSeveralDevices and those of RAID are copied whole.
func TestSeveralDevices(t *testing.T) {
	other := makeVolume(t, 130<<20)
	path := makeVolume(t, 130<<20, "-f", "-m", "raid1", "-d", "raid0", other)
	for _, p := range []string{path, other} {
		d := volumetest.Load(t, p)
		v, err := Open(d)
		if err != nil {
			t.Fatal(err)
		}
		if f := v.Facts(); !strings.Contains(f.WholeReason, "2 devices") || f.UsedBytes != d.Size() {
			t.Errorf("%+v", f)
		}
	}
}

// TestChangeDuringWalk gives a volume another state between Open and Used.
func TestChangeDuringWalk(t *testing.T) {
	path := makeVolume(t, 130<<20)
	d := volumetest.Load(t, path)
	v := open(t, d)
	volumetest.LoopMounted(t, path, "rw", func(dir string) { writeFile(t, dir+"/x", []byte("x")) })
	changed := volumetest.Load(t, path)
	copy(d[superOffset:], changed[superOffset:superOffset+superSize])
	_, err := block.Bytes(v.Used())
	if err == nil || !strings.Contains(err.Error(), "source is changing") {
		t.Errorf("another superblock gave %v", err)
	}
	copy(d, changed)
	if _, err := block.Bytes(v.Used()); err == nil {
		t.Error("another extent tree gave no error")
	}
}

// TestConverted was an ext4 before: its chunks lie where that had its files.
func TestConverted(t *testing.T) {
	path := volumetest.Make(t, 280<<20, "e2fsprogs", "mkfs.ext4", "-q", "-b", "4096", "-L", "Cast Iron", "-O", "^metadata_csum")
	volumetest.LoopMounted(t, path, "rw", func(dir string) { volumetest.Churn(t, dir, 21, 5<<20) })
	volumetest.RunTool(t, "btrfs-progs", "btrfs-convert", "--copy-label", path)
	checkAgainstTools(t, path, true)
	volumetest.LoopMounted(t, path, "rw", func(dir string) {
		btrfs(t, "subvolume", "delete", "-C", filepath.Join(dir, "ext2_saved"))
		volumetest.Churn(t, filepath.Join(dir, "more"), 22, 2<<20)
	})
	if f := checkAgainstTools(t, path, true).Facts(); f.UsedBytes > 100<<20 {
		t.Errorf("%+v", f)
	}
}
