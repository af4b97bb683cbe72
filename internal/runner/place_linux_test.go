package runner

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/internal/filesys/volumetest"
	"ingot/internal/plan"
)

// mountNew makes an ext4 file system and mounts it at the folder.
func mountNew(t *testing.T, at string, options string) (uuid string) {
	t.Helper()
	uuid = "a9f0c2de-1111-2222-3333-444455556666"
	img := volumetest.Make(t, 16<<20, "e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-U", uuid)
	volumetest.RunTool(t, "mount", "mount", "-o", "loop,"+options, img, at)
	t.Cleanup(func() { _ = exec.Command("umount", at).Run() })
	return uuid
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	mnt, ro := filepath.Join(dir, "mnt"), filepath.Join(dir, "ro")
	file := filepath.Join(dir, "file")
	fstab := filepath.Join(dir, "fstab")
	if err := errors.Join(os.Mkdir(mnt, 0o755), os.Mkdir(ro, 0o755), os.WriteFile(file, nil, 0o600), os.WriteFile(fstab, []byte("# comment\nUUID=x "+mnt+" ext4 defaults 0 2\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const uuid = "a9f0c2de-1111-2222-3333-444455556666"
	for _, c := range []struct {
		name  string
		d     plan.Destination
		fstab string
		want  error
	}{
		{"a folder", plan.Destination{Path: dir}, "", nil},
		{"it is not there", plan.Destination{Path: dir + "/absent"}, "", errAbsent},
		{"it is a file", plan.Destination{Path: file}, "", errAbsent},
		{"a mount point without a mount, by volume", plan.Destination{Path: mnt, Volume: uuid}, "", errAbsent},
		{"a mount point without a mount, by fstab", plan.Destination{Path: mnt}, fstab, errAbsent},
	} {
		if _, err := look(&c.d, c.fstab); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	mountNew(t, mnt, "rw")
	mountNew(t, ro, "ro")
	for _, c := range []struct {
		name  string
		d     plan.Destination
		fstab string
		want  error
	}{
		{"mounted", plan.Destination{Path: mnt, Mounted: true}, fstab, nil},
		{"by volume", plan.Destination{Path: mnt, Volume: uuid}, "", nil},
		{"by volume, in other letters", plan.Destination{Path: mnt, Volume: strings.ToUpper(uuid)}, "", nil},
		{"another volume", plan.Destination{Path: mnt, Volume: "11110000-1111-2222-3333-444455556666"}, "", errAbsent},
		{"read-only", plan.Destination{Path: ro}, "", errReadOnly},
	} {
		on, err := look(&c.d, c.fstab)
		if !errors.Is(err, c.want) || c.want == nil && (err != nil || on.Mount != mnt) {
			t.Errorf("%s: %+v, %v", c.name, on, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(mnt, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What lies on the volume of the system is no drive that was plugged in.
func TestLookMounted(t *testing.T) {
	d := plan.Destination{Path: "/etc", Mounted: true}
	if _, err := look(&d, ""); !errors.Is(err, errAbsent) {
		t.Error(err)
	}
}

func TestRotate(t *testing.T) {
	at := map[string]time.Time{"a": time.Unix(300, 0), "b": time.Unix(100, 0), "c": {}}
	all := []Place{{Destination: plan.Destination{Path: "a"}}, {Destination: plan.Destination{Path: "b"}}, {Destination: plan.Destination{Path: "c"}}}
	rotate(all, func(path string) time.Time { return at[path] })
	if all[0].Path != "c" || all[1].Path != "b" || all[2].Path != "a" {
		t.Error(all)
	}
}
