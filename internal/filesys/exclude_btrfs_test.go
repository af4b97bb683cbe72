package filesys

import (
	"strings"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// TestExcludeBtrfs: nothing is left out, as zeros would be damage.
func TestExcludeBtrfs(t *testing.T) {
	path := volumetest.Make(t, 120<<20, "btrfs-progs", "mkfs.btrfs", "-q")
	volumetest.LoopMounted(t, path, "rw", func(dir string) { volumetest.Write(t, dir, "tmp/gone", make([]byte, 100000)) })
	v := opened(t, volumetest.Load(t, path))
	if b := fileBytes(t, v, "tmp/gone"); len(b) != 100000 {
		t.Errorf("%d bytes", len(b))
	}
	same, x, err := Exclude(v, []string{"tmp/**"})
	if err != nil || x.Files != 0 || !strings.Contains(x.Reason, "checksums") || same.Info().UsedBytes != v.Info().UsedBytes {
		t.Errorf("%+v, %v", x, err)
	}
}
