//go:build !windows

package runner

import "errors"

// unprotect is of Windows alone.
func unprotect([]byte) ([]byte, error) {
	return nil, errors.New("passwords that Windows protects can be read there only: name a file or a command")
}
