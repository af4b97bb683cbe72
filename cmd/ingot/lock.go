package main

import (
	"context"
	"errors"
	"os"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/image"
)

// locks are held while the sets of some disks are changed: a definition that
// the service runs at the same time waits, or this command is refused.
type locks []*folder.Lock

// lockDisks takes the locks of the sets of these disks.
func lockDisks(ctx context.Context, store *folder.Store, what string, ids ...string) (out locks, err error) {
	host, _ := os.Hostname()
	taken := make(map[string]bool)
	for _, id := range ids {
		if taken[id] {
			continue
		}
		taken[id] = true
		l, err := store.TakeLock(ctx, id, folder.Owner{Host: host, PID: os.Getpid(), Since: time.Now(), What: what}, 0)
		if err != nil {
			return nil, errors.Join(err, out.release())
		}
		out = append(out, l)
	}
	return out, nil
}

// lockSets takes the locks of all sets in a folder.
func lockSets(ctx context.Context, store *folder.Store, what string) (locks, error) {
	sets, err := image.ReadSets(ctx, store, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range sets.Sets {
		for _, m := range s.Members {
			for i := range m.Doc.Disks {
				ids = append(ids, m.Doc.Disks[i].Header.Signature)
			}
		}
	}
	return lockDisks(ctx, store, what, ids...)
}

// release gives the locks back.
func (l locks) release() error {
	var errs []error
	for i := range l {
		errs = append(errs, l[i].Release())
	}
	return errors.Join(errs...)
}
