package attach

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// TestLayout has the structures as virtdisk.h has them on 64-bit systems.
func TestLayout(t *testing.T) {
	var o openParams
	var a attachParams
	var s storageType
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"VIRTUAL_STORAGE_TYPE", unsafe.Sizeof(s), 20},
		{"its VendorId", unsafe.Offsetof(s.vendor), 4},
		{"OPEN_VIRTUAL_DISK_PARAMETERS", unsafe.Sizeof(o), 44},
		{"its GetInfoOnly", unsafe.Offsetof(o.infoOnly), 4},
		{"its ReadOnly", unsafe.Offsetof(o.readOnly), 8},
		{"its ResiliencyGuid", unsafe.Offsetof(o.resiliency), 12},
		{"its SnapshotId", unsafe.Offsetof(o.snapshot), 28},
		{"ATTACH_VIRTUAL_DISK_PARAMETERS", unsafe.Sizeof(a), 24},
		{"its Reserved", unsafe.Offsetof(a.reserved), 8},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, not %d", c.name, c.got, c.want)
		}
	}
	if v := typeVHDX(); *(*[4]byte)(unsafe.Pointer(&v.vendor)) != [4]byte{0xec, 0x4a, 0x98, 0xec} || v.device != 3 {
		t.Errorf("%x", v)
	}
}

// TestReadOnlyUnlessAsked is the promise of mount: nothing writes by default, and
// the disk outlives the program.
func TestReadOnlyUnlessAsked(t *testing.T) {
	if o := openFor(false); o.readOnly != 1 || o.version != 2 || o.infoOnly != 0 {
		t.Errorf("%+v", o)
	}
	if o := openFor(true); o.readOnly != 0 || o.version != 2 {
		t.Errorf("%+v", o)
	}
	if a := attachDefault(); a.version != 1 || a.reserved != 0 {
		t.Errorf("%+v", a)
	}
	if r, w := flagsFor(false), flagsFor(true); r != 5 || w != 4 {
		t.Errorf("flags %d and %d", r, w)
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"dir/pc-00-00.mrimgx": "pc-00-00.vhdx",
		"dir/":                "dir.vhdx",
		"a:b?.raw":            "a_b_.vhdx",
		".":                   "disk.vhdx",
		".mrimgx":             "disk.vhdx",
		"..":                  "disk.vhdx",
	} {
		if got := FileName(in); got != want && (runtime.GOOS != "windows" || in != "a:b?.raw") {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// mounted is a mount with a file of its own, as one that was not ended has it.
func mounted(t *testing.T, s Records, name string) *Record {
	t.Helper()
	folder := filepath.Join(t.TempDir(), folderPrefix+name)
	r := &Record{Image: name, File: filepath.Join(folder, "pc.vhdx"), Disk: `\\.\PhysicalDrive` + name, Began: time.Unix(1, 0).UTC()}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{r.File, r.File + ".12.partial"} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Save(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecords(t *testing.T) {
	s := Records(filepath.Join(t.TempDir(), "a", "b"))
	if all, err := s.List(); err != nil || all != nil {
		t.Fatalf("%v, %v", all, err)
	}
	one, two := mounted(t, s, "1"), mounted(t, s, "2")
	one.Write = true
	if err := s.Save(one); err != nil {
		t.Fatal(err)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 || all[0] != *one || all[1] != *two {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, name := range []string{`\\.\physicaldrive2`, two.File, "2"} {
		if got := Find(all, name); len(got) != 1 || got[0] != *two {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := Find(append(all, Record{Image: "x"}), ""); len(got) != 0 {
		t.Errorf("no name: %+v", got)
	}
	if err := s.Forget(one); err != nil {
		t.Fatal(err)
	}
	if all, err = s.List(); err != nil || len(all) != 1 || all[0] != *two {
		t.Fatalf("%+v, %v", all, err)
	}
}

// TestBadRecords has records that are damaged, or name what is not theirs: they are
// told, and do not hide the others.
func TestBadRecords(t *testing.T) {
	s := Records(t.TempDir())
	good := mounted(t, s, "1")
	for name, text := range map[string]string{
		"ingot-mount-2.json": `{"file":`,
		"ingot-mount-3.json": `{"file":"/etc/passwd"}`,
		"ingot-mount-4.json": `{"file":"/tmp/ingot-mount-4/../../etc/x.vhdx"}`,
		"ingot-mount-5.json": `{"file":"/tmp/ingot-mount-6/x.vhdx"}`,
		"ingot-mount-7.json": strings.Repeat(" ", maxRecord+1),
	} {
		if err := os.WriteFile(filepath.Join(string(s), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List()
	if len(all) != 1 || all[0] != *good || err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestDiscard(t *testing.T) {
	r := mounted(t, Records(t.TempDir()), "1")
	folder := filepath.Dir(r.File)
	other := filepath.Join(folder, "mine.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Discard(r); err == nil {
		t.Error("a folder with the file of somebody else was removed")
	}
	if _, err := os.Stat(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := Discard(r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if err := Discard(r); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := Discard(&Record{File: filepath.Join(t.TempDir(), "pc.vhdx")}); err == nil {
		t.Error("a file of no mount was removed")
	}
}
