//go:build !windows

package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// show asks the notification service of each user's session
// (freedesktop.org, Desktop Notifications) by way of notify-send.
func show(ctx context.Context, title, text string, urgent bool) error {
	program, err := exec.LookPath("notify-send")
	if err != nil {
		return nil // nothing here shows messages
	}
	buses, _ := filepath.Glob("/run/user/*/bus")
	var errs []error
	for _, bus := range buses {
		cmd, ok := sendAs(ctx, program, bus, title, text, urgent)
		if !ok {
			continue
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("notify-send at %s: %w: %s", bus, err, oneLine(string(out), 200)))
		}
	}
	return errors.Join(errs...)
}

// sendAs is the command that shows a message to the user whose bus it is, run as
// that user: the bus of a session takes nobody else.
func sendAs(ctx context.Context, program, bus, title, text string, urgent bool) (*exec.Cmd, bool) {
	uid, err := strconv.ParseUint(filepath.Base(filepath.Dir(bus)), 10, 32)
	st, serr := os.Stat(filepath.Dir(bus))
	if err != nil || serr != nil {
		return nil, false
	}
	urgency := "normal"
	if urgent {
		urgency = "critical"
	}
	cmd := exec.CommandContext(ctx, program, "--app-name=Ingot", "--urgency="+urgency, "--", title, text)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS=unix:path=" + bus, "XDG_RUNTIME_DIR=" + filepath.Dir(bus)}
	if own := uint64(os.Geteuid()); own == 0 {
		gid := st.Sys().(*syscall.Stat_t).Gid
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: gid}}
	} else if own != uid {
		return nil, false
	}
	return cmd, true
}
