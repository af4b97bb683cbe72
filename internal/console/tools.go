package console

import (
	"context"
	"io"

	"ingot/internal/query"
)

// tools asks the program.
type tools struct{ query.Tools }

// ImagesOf gives the way to look into images by asking the program.
func ImagesOf(t query.Tools) Images { return &tools{t} }

// With gives the same with a password.
func (t *tools) With(password string) (Images, error) {
	with, err := t.WithPassword([]byte(password))
	if err != nil {
		return nil, err
	}
	return &tools{with}, nil
}

// Read gives the contents of a file.
func (t *tools) Read(ctx context.Context, image, partition, path string) (io.ReadCloser, error) {
	ref, err := query.Ref(image, partition, path)
	if err != nil {
		return nil, err
	}
	return t.Tools.Read(ctx, ref)
}
