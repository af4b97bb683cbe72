package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"ingot/internal/plan"
)

const (
	// maxPassword is how long a password may be, in bytes.
	maxPassword = 4096
	// passwordLimit is how long a command may take to give one.
	passwordLimit = time.Minute
)

// readPassword gets the password that a reference names.
func readPassword(ctx context.Context, ref *plan.PasswordRef, trust func(path string) error) ([]byte, error) {
	switch {
	case ref.File != "":
		if err := trust(ref.File); err != nil {
			return nil, err
		}
		b, err := readStart(ref.File)
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		return firstLine(b, ref.File)
	case len(ref.Command) > 0:
		if err := trust(ref.Command[0]); err != nil {
			return nil, err
		}
		return passwordOf(ctx, ref.Command)
	case ref.Protected != "":
		if err := trust(ref.Protected); err != nil {
			return nil, err
		}
		b, err := readStart(ref.Protected)
		if err == nil {
			b, err = unprotect(b)
		}
		if err != nil {
			return nil, fmt.Errorf("read the protected password: %w", err)
		}
		return firstLine(b, ref.Protected)
	}
	return nil, errors.New("the definition names no password")
}

// readStart reads as much of a file as a password, protected or not, can be long.
func readStart(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 4*maxPassword))
}

func passwordOf(ctx context.Context, command []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, passwordLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil { // what it printed may be a part of the password
		return nil, fmt.Errorf("run %s for the password: %w", command[0], err)
	}
	return firstLine(out, command[0])
}

// firstLine gives the first line of b, without its end.
func firstLine(b []byte, from string) ([]byte, error) {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) == 0 || len(line) > maxPassword {
		return nil, fmt.Errorf("%s gives a password of %d bytes: between 1 and %d make sense", from, len(line), maxPassword)
	}
	return line, nil
}
