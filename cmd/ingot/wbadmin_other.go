//go:build !windows

package main

import (
	"context"
	"errors"
	"io"
)

func runWbadmin(context.Context, []string, io.Writer) error {
	return errors.New("there is no wbadmin here")
}
