package runner

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/plan"
)

// Reasons why a destination is not used. They are wrapped by what look gives.
var (
	errAbsent   = errors.New("it is not there")
	errReadOnly = errors.New("it cannot be written to")
	errSource   = errors.New("it lies on a disk that is to be imaged")
	errFull     = errors.New("there is not enough room")
)

// Place is a destination of the definition, as it is today.
type Place struct {
	plan.Destination
	On  *disk.Place // nil when it is not there
	Err error       // why it cannot be used
}

// places looks at all destinations of a definition.
func places(all []plan.Destination, fstab string) []Place {
	out := make([]Place, len(all))
	for i := range all {
		out[i] = Place{Destination: all[i]}
		out[i].On, out[i].Err = look(&all[i], fstab)
	}
	return out
}

// look says where a destination lies, and why it cannot be used.
func look(d *plan.Destination, fstab string) (*disk.Place, error) {
	st, err := os.Stat(d.Path)
	if err == nil && !st.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	on, err := disk.Under(d.Path)
	if err != nil {
		return nil, err
	}
	if err := mounted(d, on, fstab); err != nil {
		return nil, err
	}
	if err := writable(d.Path); err != nil {
		return nil, err
	}
	return on, nil
}

// mounted says what speaks against on being the volume that a destination is
// meant to lie on: a mount point nothing is mounted to is a folder like any other.
func mounted(d *plan.Destination, on *disk.Place, fstab string) error {
	if d.Volume != "" && !isVolume(d.Volume, on) {
		return fmt.Errorf("%w: it should lie on the volume %s, and lies on %s (%s)", errAbsent, d.Volume, on.Mount, on.FSType)
	}
	if d.Mounted && onSystem(on) {
		return fmt.Errorf("%w: nothing is mounted there, it lies on the volume of the system", errAbsent)
	}
	if point := expected(d.Path, on.Mount, fstab); point != "" {
		return fmt.Errorf("%w: %s is to be mounted by /etc/fstab, and is not", errAbsent, point)
	}
	return nil
}

// plainID leaves of the id of a volume what counts, however it is written.
func plainID(s string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", "{", "", "}", "").Replace(strings.TrimSpace(s)))
}

// isVolume says whether a place lies on the volume of that id: what the system
// says of it, or else what stands in the file system itself.
func isVolume(id string, on *disk.Place) bool {
	if slices.ContainsFunc([]string{on.Volume, on.Serial}, func(s string) bool { return s != "" && plainID(s) == plainID(id) }) {
		return true
	}
	if on.Volume != "" || on.Device == "" {
		return false
	}
	f, err := disk.Open(on.Device)
	if err != nil {
		return false
	}
	defer f.Close()
	v, err := filesys.Open(f)
	return err == nil && plainID(v.Info().Serial) == plainID(id)
}

// onSystem says whether a place lies on the volume the system runs from.
func onSystem(on *disk.Place) bool {
	root := "/"
	if runtime.GOOS == "windows" {
		root = filepath.VolumeName(os.Getenv("SystemRoot")) + `\`
	}
	return strings.EqualFold(on.Mount, root)
}

// expected is the mount point of fstab, a file as of fstab(5), that path should
// lie on and, as it lies on the one of mount, does not.
func expected(path, mount, fstab string) string {
	b, err := os.ReadFile(fstab)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		point := strings.ReplaceAll(f[1], `\040`, " ")
		if len(point) > len(mount) && point != "/" && (path == point || strings.HasPrefix(path, strings.TrimSuffix(point, "/")+"/")) {
			return point
		}
	}
	return ""
}

// writable tries it.
func writable(path string) error {
	f, err := os.CreateTemp(path, ".ingot-check.*.partial")
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: %w", errReadOnly, err)
		}
		return fmt.Errorf("%w: write a file: %w", errReadOnly, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// rotate puts those first whose newest backup is the oldest, and those without
// one before all.
func rotate(all []Place, newest func(folder string) time.Time) {
	at := map[string]time.Time{}
	for i := range all {
		if all[i].Err == nil {
			at[all[i].Path] = newest(all[i].Path)
		}
	}
	slices.SortStableFunc(all, func(a, b Place) int { return at[a.Path].Compare(at[b.Path]) })
}
