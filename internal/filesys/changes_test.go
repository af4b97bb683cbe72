package filesys

import (
	"bytes"
	"strings"
	"testing"

	"ingot/internal/filesys/ntfs/ntfstest"
	"ingot/internal/filesys/volumetest"
)

// TestChangesOf compares what can be compared, and says why the rest cannot be.
func TestChangesOf(t *testing.T) {
	r := ntfstest.Huge(16<<20, 20, 3)
	good := make(volumetest.Disk, r.Size())
	if _, err := r.ReadAt(good, 0); err != nil {
		t.Fatal(err)
	}
	rival := bytes.Clone(good)
	copy(rival[0x10000+64:], "_BHRfS_M") // Btrfs
	fat := volumetest.Load(t, volumetest.Make(t, 8<<20, "dosfstools", "mkfs.vfat"))
	short := good[:len(good)-4096]
	for name, c := range map[string]struct {
		now, was volumetest.Disk
		want     string
	}{
		"good":         {good, good, ""},
		"rival":        {rival, good, "it is not in order: the partition has the marks of both"},
		"was rival":    {good, rival, "it was not in order when the backup was made"},
		"not NTFS":     {fat, fat, "its file system is not NTFS"},
		"was not NTFS": {good, fat, "its file system is not NTFS"},
		"cut off":      {short, good, "it is not in order: the file system says"},
	} {
		now, err := Open(c.now)
		if err != nil {
			t.Fatal(err)
		}
		was, err := Open(c.was)
		if err != nil {
			t.Fatal(err)
		}
		m, reason, err := Changes(t.Context(), now, was, StateOptions{})
		if err != nil || (m == nil) != (c.want != "") || !strings.Contains(reason, c.want) || c.want == "" && reason != "" {
			t.Errorf("%s: %q instead of %q, %v", name, reason, c.want, err)
		}
	}
}
