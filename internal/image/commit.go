package image

import (
	"context"
	"errors"
	"fmt"
)

// Resumed is how many bytes of the files were there already.
func (w *Writer) Resumed() int64 { return w.resumed }

// Commit writes the metadata and makes the file an image. When it fails there
// is none, but perhaps an unfinished one: see Stop.
func (w *Writer) Commit(ctx context.Context) error {
	err := w.err
	if err == nil && w.ahead > 0 {
		err = fmt.Errorf("%w: %d blocks are not in use any more", ErrMoved, w.ahead)
	}
	if err == nil {
		err = w.writeMetadata()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.close()
	}
	if err == nil {
		err = w.publish(ctx)
	}
	if err != nil {
		return w.Stop(err)
	}
	_ = w.log.drop() // the image is there: what is left of its journal harms nobody
	return nil
}

func (w *Writer) publish(ctx context.Context) error {
	if w.split != nil {
		return w.split.commit(ctx, w.file)
	}
	return w.file.Commit(ctx)
}

// Stop ends an image that cannot be finished because of err. What it has stored
// is left when a later run can go on with it; the error that is given back then
// wraps ErrPaused.
func (w *Writer) Stop(err error) error {
	if !w.log.worth() || errors.Is(err, ErrMoved) {
		return errors.Join(err, w.Abort())
	}
	w.fail(err)
	return errors.Join(fmt.Errorf("%w: %w", ErrPaused, err), w.close(), w.log.leave())
}

// Abort drops the file. After Commit it does nothing.
func (w *Writer) Abort() error {
	w.fail(errors.New("the image was given up"))
	err := errors.Join(w.close(), w.file.Abort(), w.log.drop())
	if w.split != nil {
		err = errors.Join(err, w.split.abort())
	}
	return err
}

func (w *Writer) close() error {
	return errors.Join(w.index.close(), w.strong.close(), w.marks.close())
}

// fail keeps the first error and gives it back.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}
