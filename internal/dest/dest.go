// Package dest says what a place for image files can do. The places
// themselves (a folder, later object stores) are packages below it; each runs
// the conformance suite in desttest.
//
// The contract in three sentences: what Create gives can be seen by nobody as
// a file of its name until Commit has returned without an error, and after
// that it is whole and on stable storage; Abort, a crash, or a cable pulled
// leave no file of that name; a file that exists is never replaced, but by Rename.
package dest

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrExist is returned by Create and Commit when a file of that name is there.
var ErrExist = errors.New("a file of this name exists already")

// Store is a place that holds image files side by side, without folders.
type Store interface {
	// Create begins a new file.
	Create(ctx context.Context, name string) (Pending, error)
	// Open opens a file for reading. The error wraps fs.ErrNotExist when
	// there is none of this name.
	Open(ctx context.Context, name string) (Blob, error)
	// List gives all finished files, sorted by name.
	List(ctx context.Context) ([]Entry, error)
	// Remove deletes a finished file; it has gone for good on return.
	Remove(ctx context.Context, name string) error
	// Rename gives a finished file the name of another one, which it
	// replaces: whoever looks sees one or the other, whole, whatever happens
	// on the way. It is how housekeeping puts a new file in the place of an old one.
	Rename(ctx context.Context, from, to string) error
	// Free is the number of bytes that can still be written, or -1 when the
	// place does not say.
	Free(ctx context.Context) (int64, error)
}

// Pending is a file that is being written, front to back.
type Pending interface {
	io.Writer
	// Commit makes it a finished file, synced to stable storage. After an
	// error of Commit there is no file of its name.
	Commit(ctx context.Context) error
	// Abort drops what was written. After Commit it does nothing.
	Abort() error
}

// ErrNoKeep is what a Keeper gives when the place behind it keeps nothing.
var ErrNoKeep = errors.New("this destination does not keep unfinished files")

// Keeper is a Store in which a file that is being written can outlive its run,
// and be gone on with by a later one.
type Keeper interface {
	// Keep begins a new file as Create does; it stays when its run is cut short.
	Keep(ctx context.Context, name string) (Kept, error)
	// Left gives the files that runs have left, and that nobody is writing now.
	Left(ctx context.Context) ([]Left, error)
	// Take goes on with one of them, cut to its first size bytes.
	Take(ctx context.Context, key string, size int64) (Kept, error)
	// Drop deletes one of them.
	Drop(ctx context.Context, key string) error
}

// Kept is a Pending that can be left unfinished. After an error of Commit it is
// left, too.
type Kept interface {
	Pending
	// ReadAt reads what was written before the last Sync, or was there already.
	io.ReaderAt
	// Key is what the file is called as long as it has no name.
	Key() string
	// Sync brings all that was written so far to stable storage.
	Sync() error
	// Leave closes the file. What Sync has not seen may be lost.
	Leave() error
}

// Left is a file that a run has left unfinished.
type Left struct {
	Key  string
	Name string // that it was to have
	Size int64
	Time time.Time // of the last write
}

// Flusher is a Pending that holds back some of what was written. Flush hands all of
// it to the system; one that failed can be tried again, unlike a sync.
type Flusher interface{ Flush() error }

// Limiter is a Store whose files cannot be of any size.
type Limiter interface {
	// MaxFile is how large a file may become in bytes, 0 when there is no limit
	// that is known.
	MaxFile() (int64, error)
}

// Copier is a Pending that can take bytes of a finished file of the same place
// without having them pass through the program.
type Copier interface {
	// CopyFrom appends n bytes of b from off on.
	CopyFrom(b Blob, off, n int64) error
}

// Blob is a finished file, open for reading from several goroutines.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Entry is one finished file.
type Entry struct {
	Name string
	Size int64
}
