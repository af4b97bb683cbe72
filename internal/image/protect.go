package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/internal/dest"
)

// A point in time is protected by a small file beside it, named after the point
// and not after its file: it stays right when the point moves to another one.
const (
	protectPrefix = "ingot-protected-"
	protectSuffix = ".json"
)

// protection is what the small file holds, for people.
type protection struct {
	ImageID string    `json:"imageid"`
	GUID    string    `json:"backup_guid"`
	File    string    `json:"file_name"`
	Since   time.Time `json:"since"`
	Comment string    `json:"comment,omitempty"`
}

func protectName(m *Member) (string, error) {
	guid := strings.ToLower(m.Doc.Header.BackupGUID)
	if guid == "" || strings.Trim(guid, "0123456789abcdef-") != "" {
		return "", fmt.Errorf("%w: the backup_guid of %s is %q", ErrUnsupported, m.Name, guid)
	}
	return protectPrefix + guid + protectSuffix, nil
}

// Protect keeps a point in time from being deleted or merged away by retention.
func (m *Member) Protect(ctx context.Context, store dest.Store, comment string, now time.Time) error {
	name, err := protectName(m)
	if err != nil {
		return err
	}
	f, err := store.Create(ctx, name)
	if errors.Is(err, dest.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(protection{m.Doc.Header.ImageID, m.Doc.Header.BackupGUID, m.Name, now, comment}, "", "  ")
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit(ctx)
}

// Unprotect lets retention have it again.
func (m *Member) Unprotect(ctx context.Context, store dest.Store) error {
	name, err := protectName(m)
	if err != nil {
		return err
	}
	return store.Remove(ctx, name)
}

// Protected gives the backup_guid of every protected point in time of a store.
func Protected(ctx context.Context, store dest.Store) (map[string]bool, error) {
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool)
	for _, e := range list {
		if guid, ok := strings.CutPrefix(e.Name, protectPrefix); ok && strings.HasSuffix(guid, protectSuffix) {
			out[strings.TrimSuffix(guid, protectSuffix)] = true
		}
	}
	return out, nil
}
