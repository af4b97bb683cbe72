package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"ingot/internal/disk"
)

// ErrFixed is wrapped by the error for a drive that cannot be taken away.
var ErrFixed = errors.New("it is not a drive that can be taken away")

// network are kinds of file systems that are shares.
var network = []string{"cifs", "smb3", "nfs", "nfs4", "9p", "fuse.sshfs", "davfs"}

// Share says whether a place is a folder of another machine.
func Share(p *disk.Place) bool {
	if runtime.GOOS == "windows" {
		return p.Device == "" // which every volume of this one has
	}
	return len(p.Disks) == 0 && slices.Contains(network, p.FSType)
}

// detachable says what of a place keeps it from being taken away; nil when
// nothing does. poweroff is false for a share, which is unmounted and no more.
func detachable(p *disk.Place) (poweroff bool, err error) {
	switch {
	case Share(p):
		return false, nil
	case len(p.Disks) == 0:
		return false, fmt.Errorf("%s (%s) lies on no disk: %w", p.Mount, p.FSType, ErrFixed)
	case p.System:
		return false, fmt.Errorf("%s lies on a disk of the running system: %w", p.Mount, ErrFixed)
	}
	for _, d := range p.Disks {
		if !d.External() {
			return false, fmt.Errorf("%s lies on %s, a built-in disk (%s): %w", p.Mount, d.Path, d.Bus, ErrFixed)
		}
	}
	return !p.Stacked, nil
}

// drives are the calls that take a drive away; tests put their own in.
type drives struct {
	sync     func(mount string) error
	unmount  func(mount string) error
	poweroff func(ctx context.Context, d disk.Info) error
	pause    func(time.Duration)
}

// unmountTries is how often what is busy is tried, a second apart: something may
// be looking at the new file just now.
const unmountTries = 10

// Detach writes out what is on its way to the drive that path lies on, unmounts
// all of it and has its power go off, so that nothing on this machine can
// reach it. A drive of the system, or one built in, is refused. A file or folder
// that is still open there is an error: it is never unmounted by force, which
// would leave it within reach.
func Detach(ctx context.Context, path string) (said string, err error) {
	p, err := disk.Under(path)
	if err != nil {
		return "", err
	}
	return thisMachine().detach(ctx, p)
}

func (d drives) detach(ctx context.Context, p *disk.Place) (said string, err error) {
	off, err := detachable(p)
	if err != nil {
		return "", fmt.Errorf("detach the destination: %w", err)
	}
	mounts := p.Mounts
	if len(mounts) == 0 {
		mounts = []string{p.Mount}
	}
	// What is mounted deeper goes first.
	mounts = slices.Clone(mounts)
	slices.SortFunc(mounts, func(a, b string) int { return strings.Compare(b, a) })
	for _, m := range mounts {
		if err := d.sync(m); err != nil {
			return "", fmt.Errorf("detach the destination: write out %s: %w", m, err)
		}
		if err := d.tryUnmount(ctx, m); err != nil {
			return "", fmt.Errorf("detach the destination: unmount %s: %w", m, err)
		}
	}
	if !off {
		return fmt.Sprintf("%s was unmounted", p.Mount), nil
	}
	for _, info := range p.Disks {
		if err := d.poweroff(ctx, info); err != nil {
			return "", fmt.Errorf("detach the destination: %s was unmounted, but not powered off: %w", info.Path, err)
		}
	}
	return fmt.Sprintf("%s was unmounted and %s powered off", p.Mount, p.Disks[0].Path), nil
}

func (d drives) tryUnmount(ctx context.Context, mount string) (err error) {
	for range unmountTries {
		if err = d.unmount(mount); err == nil || ctx.Err() != nil {
			return err
		}
		d.pause(time.Second)
	}
	return err
}
