package machine

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/windows"

	"ingot/internal/plan"
)

// System are the acts of this machine.
func System() Acts {
	return Acts{
		plan.PowerShutDown:  shutdown("/s", "/t", "0"),
		plan.PowerReboot:    shutdown("/r", "/t", "0"),
		plan.PowerHibernate: shutdown("/h"),
		plan.PowerSuspend:   suspend,
	}
}

func shutdown(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		dir, err := windows.GetSystemDirectory()
		if err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, filepath.Join(dir, "shutdown.exe"), args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("shutdown.exe: %w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}
}

var setSuspendState = windows.NewLazySystemDLL("powrprof.dll").NewProc("SetSuspendState")

// suspend needs SeShutdownPrivilege, which administrators and services have.
func suspend(context.Context) error {
	if ok, _, err := setSuspendState.Call(0, 0, 0); ok == 0 {
		return err
	}
	return nil
}
