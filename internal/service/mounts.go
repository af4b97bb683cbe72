package service

import (
	"path/filepath"
	"strings"
	"time"
)

// mounts are the volumes of the machine by their paths, with when they appeared.
type mounts struct {
	known map[string]bool // the keys of those that were there
	at    map[string]time.Time
}

// update takes the volumes there are now: their paths by what tells one from
// another that comes to the same path. It says whether there are new ones.
func (m *mounts) update(table map[string]string, now time.Time) (more bool) {
	known, at := map[string]bool{}, map[string]time.Time{}
	for key, point := range table {
		known[key] = true
		since := m.at[point]
		if !m.known[key] {
			since, more = now, true
		}
		if since.After(at[point]) {
			at[point] = since
		}
	}
	m.known, m.at = known, at
	return more
}

// under says whether path is point or lies below it. The root of all is not a
// volume anybody plugs in.
func under(path, point string) bool {
	if point == string(filepath.Separator) {
		return false
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(point, string(filepath.Separator)))
	return ok && (rest == "" || rest[0] == filepath.Separator)
}
