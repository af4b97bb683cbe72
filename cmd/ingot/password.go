package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"ingot/internal/image"
)

// passwordFlags say where a password comes from. It is never taken from the
// command line, which other users can see.
type passwordFlags struct {
	file, command string
	stdin         bool // of those who start the program and have the password (internal/query)
}

func (p *passwordFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.file, "password-file", "", "file whose first line is the password of encrypted images")
	f.StringVar(&p.command, "password-command", "", "command that prints it, such as 'secret-tool lookup ingot backup'")
	f.BoolVar(&p.stdin, "password-stdin", false, "the first line of the standard input is the password of encrypted images")
	_ = f.MarkHidden("password-stdin")
}

func (p *passwordFlags) given() bool { return p.file != "" || p.command != "" || p.stdin }

// maxPassword is how long a password may be, in bytes.
const maxPassword = 4096

// access gives the way to encrypted images: by the flags, or by asking at a
// terminal; twice when confirm is set, since what is encrypted with a password
// mistyped is lost.
func (c *console) access(ctx context.Context, confirm bool) *image.Access {
	return image.NewAccess(func() ([]byte, error) {
		if c.known == nil {
			var err error
			if c.known, err = c.password(ctx, confirm); err != nil {
				return nil, err
			}
		}
		return bytes.Clone(c.known), nil
	})
}

// password gets the password.
func (c *console) password(ctx context.Context, confirm bool) ([]byte, error) {
	noCoreDump()
	switch p := &c.passwords; {
	case p.file != "" && p.command != "", p.stdin && (p.file != "" || p.command != ""):
		return nil, usageError{errors.New("--password-file and --password-command: choose one")}
	case p.stdin:
		return passwordInput(c.in)
	case p.file != "":
		return passwordFile(p.file)
	case p.command != "":
		return passwordCommand(ctx, p.command)
	}
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, image.ErrLocked
	}
	first, err := c.ask(in, "Password: ")
	if err != nil || !confirm {
		return first, err
	}
	second, err := c.ask(in, "Password once more: ")
	if err == nil && !bytes.Equal(first, second) {
		err = refuse("the two passwords differ")
	}
	return first, err
}

func (c *console) ask(in *os.File, prompt string) ([]byte, error) {
	fmt.Fprint(c.errs, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(c.errs)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return b, nil
}

func passwordFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	if runtime.GOOS != "windows" && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		return nil, refuse("the password file %s can be read by others: chmod 600 %s", path, path)
	}
	b := make([]byte, maxPassword+2)
	n, err := f.Read(b)
	if n == 0 && err != nil {
		return nil, fmt.Errorf("read the password from %s: %w", path, err)
	}
	return firstLine(b[:n], path)
}

// passwordInput reads the first line of in, and nothing more than can be one.
func passwordInput(in io.Reader) ([]byte, error) {
	b, err := bufio.NewReader(io.LimitReader(in, maxPassword+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the password from the standard input: %w", err)
	}
	return firstLine(b, "the standard input")
}

func passwordCommand(ctx context.Context, command string) ([]byte, error) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, command)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the password command: %w", err)
	}
	return firstLine(out, "the password command")
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
