package bridge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Place is what a bridge keeps for its user in a folder of theirs.
type Place struct {
	// Label is the first part of the host name, random for each user: cookies
	// are shared by all ports of a name, so that it must not be guessed.
	Label string
}

// Folder is in the user's part of the profile, which others may not enter.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "Ingot", "console"), err
}

// Take takes a place. It is always free: each start is a bridge of its own.
func Take(folder, _ string) (*Place, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	l, err := label(folder)
	return &Place{Label: l}, err
}

// Running is always false.
func (p *Place) Running() bool { return false }

// Ask finds nobody.
func (p *Place) Ask(context.Context) (Invitation, error) {
	return Invitation{}, errors.New("on Windows no other console is looked for")
}

// Answer waits for the end.
func (p *Place) Answer(ctx context.Context, _ func() Invitation) error {
	<-ctx.Done()
	return nil
}
