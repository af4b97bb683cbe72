package browse

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// winFile is a file with what Windows knows of one.
type winFile struct{ *fake }

func (w winFile) Sys() any           { return w }
func (w winFile) Attributes() uint32 { return 0x3 | 0x800 }
func (w winFile) Times() (access, change, birth time.Time) {
	return time.Unix(2e8, 0), time.Unix(3e8, 0), time.Unix(4e8, 700)
}
func (w winFile) SecurityDescriptor() ([]byte, error) { return nil, nil }

func TestCopyWindows(t *testing.T) {
	dir, err := os.MkdirTemp("", "ingot-copy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // Wine cannot always
	v := volumeOf("NTFS", fileOf("good", "yes"), folderOf("d", fileOf("in", "it")), fileOf("CON", "x"), fileOf("a:b", "x"), fileOf(`..\up`, "x"), fileOf("dot.", "x"))
	root, _ := v.Files.Lstat(".")
	r, err := Copy(t.Context(), []Item{{v, ".", root, "."}}, dir, CopyOptions{})
	if err != nil || r.Failed != 4 || r.Files != 2 || r.Folders != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	one, _ := v.Files.Lstat("good")
	r, err = Copy(t.Context(), []Item{{v, "good", winFile{one.(*fake)}, "hidden"}}, dir, CopyOptions{})
	if err != nil || r.Failed != 0 || r.Lost != nil {
		t.Errorf("%+v, %v", r, err)
	}
	list, _ := os.ReadDir(dir)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"d", "good", "hidden"}) {
		t.Errorf("%q", names)
	}
	st, err := os.Stat(filepath.Join(dir, "hidden"))
	if err != nil {
		t.Fatal(err)
	}
	at := st.Sys().(*syscall.Win32FileAttributeData)
	if at.FileAttributes&3 != 3 || at.FileAttributes&0x800 != 0 || !st.ModTime().Equal(one.ModTime()) || at.LastAccessTime.Nanoseconds() != 2e8*1e9 {
		t.Errorf("%+v, %v", at, st.ModTime())
	}
}
