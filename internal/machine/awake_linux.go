package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// ErrNoInhibitor says that nothing here keeps a machine awake: it does not go to
// sleep by itself then either.
var ErrNoInhibitor = errors.New("this system has no service that keeps it awake (systemd-logind)")

const inhibitWait = 5 * time.Second

// StayAwake keeps the machine from going to sleep until release is called, or
// this process ends, however it does.
func StayAwake(ctx context.Context, why string) (release func(), err error) {
	program, err := exec.LookPath("systemd-inhibit")
	if err != nil {
		return nil, ErrNoInhibitor
	}
	// cat ends with its input, which ends with this process. What comes back
	// from it proves that the lock is held.
	cmd := exec.Command(program, "--what=sleep:idle", "--mode=block", "--who=Ingot", "--why="+why, "cat")
	return hold(ctx, cmd)
}

func hold(ctx context.Context, cmd *exec.Cmd) (release func(), err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(out).ReadString('\n')
		answer <- err
	}()
	end := func() { // closing its input ends it; the kill is for one that hangs
		_ = in.Close()
		t := time.AfterFunc(inhibitWait, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		t.Stop()
	}
	_, err = in.Write([]byte("\n"))
	if err == nil {
		select {
		case err = <-answer:
		case <-time.After(inhibitWait):
			err = errors.New("it does not answer")
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		end()
		return nil, fmt.Errorf("%w: %s: %w", ErrNoInhibitor, cmd.Path, err)
	}
	return end, nil
}
