package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Files that the process in the background is given beside the usual three: it
// tells there that all can be seen, and reads the password there.
const (
	childReport   = 3
	childPassword = 4
)

// mountBackground has a process of its own mount, and returns when it has. The
// password is asked for here, where the terminal is.
func (c *console) mountBackground(ctx context.Context, ref string) error {
	if namesImage(ref) {
		p, err := c.openPoint(ctx, ref)
		if err == nil {
			err = p.Close()
		}
		if err != nil {
			return err
		}
	}
	report, child, err := c.startChild()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	defer report.Close()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(child.Signal(syscall.SIGTERM), report.Close()) })
	defer stop()
	var r struct {
		mountReport
		childError
	}
	if err := json.NewDecoder(report).Decode(&r); err != nil {
		_ = child.Kill()
		return fmt.Errorf("the process in the background ended without a word: %w", err)
	}
	if r.Code != 0 {
		return &r.childError
	}
	return errors.Join(c.tellMount(&r.mountReport, true), child.Release())
}

// startChild starts this program once more, out of reach of the terminal.
func (c *console) startChild() (*os.File, *os.Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	report, reportW, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	secretR, secret, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, report.Close(), reportW.Close())
	}
	cmd := &exec.Cmd{
		Path: exe, Args: append(append([]string{os.Args[0]}, os.Args[1:]...), "--background-child"),
		ExtraFiles:  []*os.File{reportW, secretR},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	cmd.Stderr = os.Stderr // until all is mounted
	err = cmd.Start()
	if err == nil {
		_, err = secret.Write(c.known)
	}
	err = errors.Join(err, secret.Close(), secretR.Close(), reportW.Close())
	if err != nil {
		return nil, nil, errors.Join(err, report.Close())
	}
	return report, cmd.Process, nil
}

// mountChild is the process in the background.
func (c *console) mountChild(ctx context.Context, ref, dir string, fl *mountFlags) error {
	report, secret := os.NewFile(childReport, "report"), os.NewFile(childPassword, "password")
	if report == nil || secret == nil {
		return usageError{errors.New("--background-child is not for people")}
	}
	noCoreDump()
	var err error
	if c.known, err = io.ReadAll(io.LimitReader(secret, maxPassword)); len(c.known) == 0 {
		c.known = nil
	}
	_ = secret.Close()
	if err == nil {
		err = c.mountHere(ctx, ref, dir, fl, func(r *mountReport) error {
			return errors.Join(json.NewEncoder(report).Encode(r), report.Close(), detach())
		})
	}
	if err != nil { // nobody hears it once the report is closed
		_ = json.NewEncoder(report).Encode(childError{err.Error(), hint(err), exitCode(err)})
		c.errs, c.out = io.Discard, io.Discard
	}
	return err
}

// detach lets go of the terminal, and of the folder that the program was started
// in.
func detach() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return os.Chdir("/")
}
