package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// labels keeps to letters and digits that every browser takes in a host name.
const labels = "abcdefghijkmnpqrstuvwxyz23456789"

var labelShape = regexp.MustCompile(`^ingot-[a-z0-9]{8}$`)

// label reads the user's label, or makes one.
func label(folder string) (string, error) {
	path := filepath.Join(folder, "label")
	b, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(b)); err == nil && labelShape.MatchString(text) {
		return text, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the name of the console: %w", err)
	}
	made := "ingot-" + word(labels)
	if err := os.WriteFile(path, []byte(made+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the name of the console: %w", err)
	}
	return made, nil
}
