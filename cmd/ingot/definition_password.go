package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ingot/internal/definitions"
	"ingot/internal/secret"
)

func newDefinitionPassword(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "password FILE",
		Short: "Keep a password where a definition can refer to it",
		Long: `Ask for a password, or read a line of standard input, and keep it in a new file: on
Linux one that only its owner can read, for <password file="...">; on Windows one that is
encrypted for this machine, for <password protected="...">. Nobody else may be able to
write the folder.`,
		Example: `  sudo ingot definition password /etc/ingot/office.password
  sudo ingot definition new office --from /dev/sda --to /mnt/usb --password-file /etc/ingot/office.password`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error { return c.keepPassword(a[0]) },
	}
}

func (c *console) keepPassword(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	noCoreDump()
	password, err := c.newPassword()
	if err != nil {
		return err
	}
	defer clear(password)
	attribute := "file"
	if runtime.GOOS == "windows" {
		attribute = "protected"
		err = secret.Protect(path, password)
	} else {
		err = definitions.Write(path, append(password, '\n'), false)
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.emit(map[string]string{"path": path, "attribute": attribute})
	}
	c.note(`<password %s="%s"/>`, attribute, path)
	return nil
}

// newPassword asks twice at a terminal, else it reads a line.
func (c *console) newPassword() ([]byte, error) {
	if in, ok := c.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		first, err := c.ask(in, "Password: ")
		if err != nil {
			return nil, err
		}
		second, err := c.ask(in, "Password once more: ")
		if err == nil && !bytes.Equal(first, second) {
			err = refuse("the two passwords differ")
		}
		if err == nil {
			first, err = firstLine(first, "the terminal")
		}
		return first, err
	}
	line, err := bufio.NewReader(io.LimitReader(c.in, maxPassword+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return firstLine(line, "standard input")
}
