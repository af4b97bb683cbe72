package folder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Owner is who holds a Lock.
type Owner struct {
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	What  string    `json:"what"` // is done with it: "ingot run system"
}

func (o Owner) String() string {
	return fmt.Sprintf("%s, process %d on %s, since %s", o.What, o.PID, o.Host, o.Since.Format(time.DateTime))
}

// HeldError is the error of TakeLock when somebody else holds the lock.
type HeldError struct {
	Path  string
	Owner Owner // zero when the file does not say
}

func (e *HeldError) Error() string {
	who := "somebody"
	if e.Owner.Host != "" {
		who = e.Owner.String()
	}
	return fmt.Sprintf("%s is held by %s", e.Path, who)
}

// Lock keeps others from writing to the same backup set: ".ingot-NAME.lock" in
// the folder says who holds it. On this machine, and wherever the file system
// passes locks on, the kernel holds it and lets go with the process, however that
// ends. For other machines the file is touched every beat; one that was not for
// long is that of a machine that is gone.
type Lock struct {
	f    *os.File
	path string
	stop chan struct{}
	done chan struct{}
	// Left is who left the lock behind without giving it back: a process that
	// was killed. It is nil when nobody did.
	Left *Owner
}

const (
	beat = time.Minute
	// silence is how long after its last beat a lock of another machine counts.
	silence = 10 * time.Minute
	// lockTries bounds how often in a row a lock is given back just before it
	// would have been ours.
	lockTries = 100
	// lockPoll is how often a lock that is waited for is looked at.
	lockPoll = time.Second
)

// TakeLock takes the lock of that name, and waits for it until ctx ends or wait
// has passed. The error is a HeldError when somebody holds it still.
func (s *Store) TakeLock(ctx context.Context, name string, owner Owner, wait time.Duration) (*Lock, error) {
	path := filepath.Join(s.path, ".ingot-"+lockName(name)+".lock")
	deadline := time.Now().Add(wait)
	for {
		l, err := takeLock(path, owner)
		var held *HeldError
		if !errors.As(err, &held) || !time.Now().Before(deadline) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(lockPoll):
		}
	}
}

// lockName keeps letters, digits and dashes of a name.
func lockName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, s)
}

func takeLock(path string, owner Owner) (*Lock, error) {
	for range lockTries {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o644)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		l, again, err := claim(f, path, owner)
		if err != nil || again {
			_ = f.Close()
		}
		if !again {
			return l, err
		}
	}
	return nil, fmt.Errorf("lock %s: it is another file each time", path)
}

// claim makes the open file a lock of owner's. again says that the file was
// deleted by who held it before the kernel gave it to us.
func claim(f *os.File, path string, owner Owner) (l *Lock, again bool, err error) {
	switch err := lockFile(f); {
	case errors.Is(err, errLocked):
		last, _ := readOwner(f)
		return nil, false, &HeldError{path, last}
	case err != nil:
		return nil, false, fmt.Errorf("lock %s: %w", path, err)
	}
	if !sameFile(f, path) {
		return nil, true, nil
	}
	last, told := readOwner(f)
	if told && last.Host != owner.Host {
		fresh, err := beating(f, path)
		if err != nil {
			return nil, false, fmt.Errorf("lock %s: %w", path, err)
		}
		if fresh {
			return nil, false, &HeldError{path, last}
		}
	}
	if err := writeOwner(f, owner); err != nil {
		return nil, false, fmt.Errorf("lock %s: %w", path, err)
	}
	l = &Lock{f: f, path: path, stop: make(chan struct{}), done: make(chan struct{})}
	if told {
		l.Left = &last
	}
	go l.beats(owner)
	return l, false, nil
}

// maxOwner is more than what a lock says of its owner, in bytes.
const maxOwner = 4096

func readOwner(f *os.File) (o Owner, ok bool) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxOwner))
	if err != nil || json.Unmarshal(b, &o) != nil || o.Host == "" {
		return Owner{}, false
	}
	return o, true
}

func writeOwner(f *os.File, o Owner) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(b, '\n'), 0); err != nil {
		return err
	}
	return f.Sync()
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// beating says whether the lock was touched not long ago, by the clock of where
// the folder lies: that of a new file there.
func beating(f *os.File, path string) (bool, error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	probe, err := os.CreateTemp(filepath.Dir(path), partialPrefix+"clock.*"+partialSuffix)
	if err != nil {
		return false, err
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	if _, err := probe.Write([]byte{0}); err != nil {
		return false, err
	}
	now, err := probe.Stat()
	if err != nil {
		return false, err
	}
	return now.ModTime().Sub(st.ModTime()) < silence, nil
}

// beats touches the file until the lock is given back.
func (l *Lock) beats(owner Owner) {
	defer close(l.done)
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = writeOwner(l.f, owner) // should it fail, so will the backup
		case <-l.stop:
			return
		}
	}
}

// Release gives the lock back.
func (l *Lock) Release() error {
	close(l.stop)
	<-l.done
	// Deleted while it is held, so that nobody deletes the lock of another one;
	// Windows deletes no open file: there it is emptied and stays.
	err := os.Remove(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = l.f.Truncate(0)
	}
	return errors.Join(err, l.f.Close())
}
