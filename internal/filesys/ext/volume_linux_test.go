package ext

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestFeatures takes volumes of many kinds that the kernel has filled: their
// used bytes are enough for e2fsck, and their files are those that the kernel
// sees.
func TestFeatures(t *testing.T) {
	for name, c := range map[string]struct {
		kind string
		size int64
		far  int64
		args string
	}{
		"ext2 of 1 KiB":          {"ext2", 24 << 20, 110 << 20, "-t ext2 -b 1024"},
		"ext2 of 4 KiB":          {"ext2", 40<<20 + 1536, 6 << 30, "-t ext2 -b 4096"},
		"ext2 revision 0":        {"ext2", 24 << 20, 110 << 20, "-r 0 -b 1024"},
		"no sparse_super":        {"ext2", 40 << 20, 110 << 20, "-t ext2 -b 1024 -O ^sparse_super,^filetype,^dir_index,^resize_inode"},
		"ext3":                   {"ext3", 32 << 20, 110 << 20, "-t ext3 -b 1024"},
		"ext4":                   {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 4096"},
		"newest":                 {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 4096 -O metadata_csum_seed,orphan_file"},
		"ext4 of 1 KiB":          {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 1024 -O 64bit,metadata_csum -G 4 -g 1024"},
		"32-bit, no checksums":   {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 2048 -O ^64bit,^metadata_csum,^uninit_bg,^metadata_csum_seed"},
		"32-bit descriptors":     {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 1024 -O ^64bit -G 2"},
		"uninit_bg":              {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 1024 -g 1024 -O ^metadata_csum,uninit_bg,64bit"},
		"no journal":             {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 4096 -O ^has_journal,^flex_bg"},
		"no extents":             {"ext4", 32 << 20, 110 << 20, "-t ext4 -b 1024 -O ^extent,^64bit"},
		"bigalloc":               {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 4096 -O bigalloc -C 16384"},
		"bigalloc of 1 KiB":      {"ext4", 32<<20 + 5*1024, 1 << 33, "-t ext4 -b 1024 -O bigalloc -C 8192 -g 8192"},
		"meta_bg":                {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 1024 -O meta_bg,^resize_inode -g 512"},
		"meta_bg, no sparse":     {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 1024 -O meta_bg,^resize_inode,^flex_bg,^sparse_super -g 512"},
		"sparse_super2":          {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 1024 -O sparse_super2,^resize_inode -g 1024"},
		"sparse_super2, 1 copy":  {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 1024 -O sparse_super2,^resize_inode -g 1024 -E num_backup_sb=1"},
		"inline_data":            {"ext4", 24 << 20, 1 << 33, "-t ext4 -b 4096 -O inline_data"},
		"inline_data, 1 KiB":     {"ext4", 32 << 20, 1 << 33, "-t ext4 -O inline_data -I 1024 -b 1024"},
		"small inodes":           {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 4096 -I 128"},
		"large inodes, ea_inode": {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 4096 -I 512 -O ea_inode,large_dir"},
		"fast commit, mmp":       {"ext4", 32 << 20, 1 << 33, "-t ext4 -b 4096 -O fast_commit,mmp,encrypt,verity,^orphan_file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := makeVolume(t, c.size, strings.Fields(c.args)...)
			mounted(t, path, "rw,acl,user_xattr", func(dir string) {
				fill(t, dir, 1, c.far)
				if strings.Contains(c.args, "ea_inode") {
					for _, name := range []string{"large", "kinds/link 200"} {
						check(t, setXattr(filepath.Join(dir, name), content(30000, 1)))
					}
				}
			})
			if name == "newest" {
				volumetest.RunTool(t, "e2fsprogs", "tune2fs", "-U", "random", path)
			}
			v, copied := checkAgainstTools(t, path)
			if f := v.Facts(); f.Type != c.kind {
				t.Errorf("%+v", f)
			}
			mounted(t, path, "ro", func(dir string) {
				same(t, v, dir, false)
				same(t, open(t, copied), dir, false)
			})
		})
	}
}

// TestLargeBlocks takes volumes whose blocks are larger than what this kernel
// can mount.
func TestLargeBlocks(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2, 1<<28)
	check(t, os.Remove(filepath.Join(dir, "planned"))) // mke2fs cuts it off with inline_data
	for _, args := range []string{
		"-t ext4 -b 65536", "-t ext4 -b 65536 -O ^metadata_csum,inline_data", "-t ext2 -b 32768", "-t ext4 -b 16384 -O project,casefold", "-t ext4 -b 8192 -O bigalloc -C 65536",
	} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 128<<20, append(strings.Fields(args), "-N", "4000", "-d", dir)...)
			v, copied := checkAgainstTools(t, path)
			same(t, v, dir, true)
			same(t, open(t, copied), dir, true)
		})
	}
}

func TestEmptyAndFull(t *testing.T) {
	for _, args := range []string{"-t ext2 -b 1024", "-t ext4 -b 4096", "-t ext4 -b 1024", "-t ext4 -b 4096 -O bigalloc"} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 60<<20, append(strings.Fields(args), "-m", "0")...)
			checkAgainstTools(t, path)
			mounted(t, path, "rw", func(dir string) {
				check(t, os.WriteFile(filepath.Join(dir, "kept"), content(5000, 1), 0o644))
				for _, size := range []int{2 << 20, 64 << 10, 1 << 10} {
					for i := 0; ignoreFull(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d of %d", i, size)), content(size, 1), 0o644)); i++ {
					}
				}
			})
			mend(t, path)
			v, _ := checkAgainstTools(t, path)
			if f := v.Facts(); f.FreeClusters > f.TotalClusters/40 {
				t.Errorf("%+v", f)
			}
			mounted(t, path, "ro", func(dir string) { same(t, v, dir, false) })
		})
	}
}

// mend has e2fsck put right what the kernel leaves now and then when a volume runs
// full while much is still to be written: blocks behind the end of a file.
func mend(t *testing.T, path string) {
	t.Helper()
	tool, err := exec.LookPath("e2fsck")
	if err != nil {
		tool = "/usr/sbin/e2fsck"
	}
	cmd := exec.Command(tool, "-fy", path)
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("e2fsck (Debian package e2fsprogs): %v\n%s", err, out)
	}
}

// TestFresh takes what mke2fs makes where the kernel of this machine cannot.
func TestFresh(t *testing.T) {
	for _, args := range []string{"-t ext4 -O quota,project -E quotatype=usrquota:grpquota:prjquota", "-t ext4 -O stable_inodes,casefold -E encoding=utf8"} {
		checkAgainstTools(t, makeVolume(t, 40<<20, strings.Fields(args)...))
	}
}

// TestResized takes volumes that have been made larger and smaller, with
// descriptors where they were reserved and elsewhere (meta_bg).
func TestResized(t *testing.T) {
	for _, args := range []string{"-t ext4", "-t ext3", "-t ext4 -O ^resize_inode,meta_bg -g 1024", "-t ext4 -g 1024 -E resize=20000"} {
		t.Run(args, func(t *testing.T) {
			path := makeVolume(t, 16<<20, append(strings.Fields(args), "-b", "1024")...)
			write := func(name string) {
				mounted(t, path, "rw", func(dir string) { check(t, os.WriteFile(filepath.Join(dir, name), content(5<<20, 1), 0o600)) })
			}
			write("first")
			check(t, os.Truncate(path, 90<<20))
			for _, size := range []string{"40M", "90M", "60M"} {
				volumetest.RunTool(t, "e2fsprogs", "e2fsck", "-fp", path)
				volumetest.RunTool(t, "e2fsprogs", "resize2fs", path, size)
				checkAgainstTools(t, path)
				write(size)
				checkAgainstTools(t, path)
			}
		})
	}
}

// TestLongAttributeOfLink gives a short link, whose target is in its inode, an
// attribute that is in another inode: e2fsck 1.47.0 takes that for damage.
func TestLongAttributeOfLink(t *testing.T) {
	path := makeVolume(t, 8<<20, "-t", "ext4", "-b", "1024", "-O", "ea_inode")
	mounted(t, path, "rw", func(dir string) {
		check(t, os.Symlink("a target", filepath.Join(dir, "link")))
		check(t, setXattr(filepath.Join(dir, "link"), content(30000, 1)))
	})
	v := open(t, volumetest.Load(t, path))
	mounted(t, path, "ro", func(dir string) { same(t, v, dir, false) })
}

// TestTail keeps what lies behind the file system in its partition.
func TestTail(t *testing.T) {
	path := makeVolume(t, 20<<20, "-t", "ext4", "-b", "4096")
	d := append(volumetest.Load(t, path), content(70000, 1)...)
	v := open(t, d)
	copied := volumetest.CastOver(t, v.Used(), v.Facts().UsedBytes, d)
	if string(copied[20<<20:]) != string(d[20<<20:]) {
		t.Error("the bytes behind the file system were not kept")
	}
}
