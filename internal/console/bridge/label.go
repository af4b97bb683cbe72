package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// labelShape is what a label of ours looks like.
var labelShape = regexp.MustCompile(`^ingot-[a-z2-9]{8}\.localhost$`)

// Label is the host name of a user's console: another one for each, and the same
// each time. Browsers keep cookies by host name and not by port, so that a
// server of another user at another port would get ours if the name were shared.
// It is kept in a file in dir.
func Label(dir string) (string, error) {
	path := filepath.Join(dir, "host")
	data, err := os.ReadFile(path)
	if label := strings.TrimSpace(string(data)); err == nil && labelShape.MatchString(label) {
		return label, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("host name of the console: %w", err)
	}
	label := "ingot-" + strings.ToLower(newCode()) + ".localhost"
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(path, []byte(label+"\n"), 0o600)); err != nil {
		return "", fmt.Errorf("host name of the console: %w", err)
	}
	return label, nil
}
