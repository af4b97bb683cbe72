package service

import (
	"context"
	"time"

	"golang.org/x/sys/windows"
)

// watchMounts calls fn with the drives there are, now and every few seconds,
// until ctx ends.
func watchMounts(ctx context.Context, fn func(map[string]string)) error {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		table, err := drives()
		if err != nil {
			return err
		}
		fn(table)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// drives are the letters in use.
func drives() (map[string]string, error) {
	mask, err := windows.GetLogicalDrives()
	out := map[string]string{}
	for i := range 26 {
		if mask&(1<<i) != 0 {
			root := string(rune('A'+i)) + `:\`
			out[root] = root
		}
	}
	return out, err
}
