package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"ingot/internal/plan"
	"ingot/internal/trust"
)

// Bounds of a password and of what a command may print and take.
const (
	maxPassword = 4096
	maxOutput   = 64 << 10
	commandTime = 2 * time.Minute
)

// ErrUnsupported is wrapped by the error for a way of keeping passwords that this
// system does not have.
var ErrUnsupported = errors.New("not available on this system")

// Resolve gets the password that a reference names; nil when it names none. The
// caller wipes it with clear.
func Resolve(ctx context.Context, ref plan.PasswordRef) ([]byte, error) {
	switch {
	case ref.File != "":
		return fromFile(ref.File)
	case ref.Protected != "":
		data, err := readSecret(ref.Protected, maxOutput)
		if err != nil {
			return nil, err
		}
		return unprotect(data, ref.Protected)
	case len(ref.Command) > 0:
		return fromCommand(ctx, ref.Command)
	}
	return nil, nil
}

// Check says whether Resolve would trust what a reference names, without reading
// the password or running anything.
func Check(ref plan.PasswordRef) error {
	for _, path := range []string{ref.File, ref.Protected} {
		if path == "" {
			continue
		}
		f, err := trust.OpenSecret(path)
		if err != nil {
			return fmt.Errorf("password file: %w", err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if len(ref.Command) > 0 {
		if err := trust.Command(ref.Command); err != nil {
			return fmt.Errorf("password command: %w", err)
		}
	}
	return nil
}

func readSecret(path string, limit int64) ([]byte, error) {
	f, err := trust.OpenSecret(path)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return data, nil
}

func fromFile(path string) ([]byte, error) {
	data, err := readSecret(path, maxPassword+2)
	if err != nil {
		return nil, err
	}
	return firstLine(data, path)
}

// fromCommand runs a program and takes the first line it prints. Its standard
// error is its own.
func fromCommand(ctx context.Context, argv []string) ([]byte, error) {
	if err := trust.Command(argv); err != nil {
		return nil, fmt.Errorf("password command: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out := &limited{}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		clear(out.data)
		return nil, fmt.Errorf("run the password command %s: %w", argv[0], errors.Join(ctx.Err(), err))
	}
	return firstLine(out.data, "the password command "+argv[0])
}

// limited keeps the first bytes that are written to it.
type limited struct{ data []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), maxOutput-len(l.data))]...)
	return len(p), nil
}

// firstLine gives the first line, without its end.
func firstLine(data []byte, from string) ([]byte, error) {
	line, _, _ := bytes.Cut(data, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) == 0 || len(line) > maxPassword {
		return nil, fmt.Errorf("%s gives a password of %d bytes: between 1 and %d make sense", from, len(line), maxPassword)
	}
	return line, nil
}
