//go:build !windows

package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Severities and the facility daemon (RFC 5424, 6.2.1).
const (
	daemon     = 3 << 3
	sevError   = 3
	sevWarning = 4
	sevInfo    = 6
)

func severity(e Event) int {
	switch {
	case e.Has(Failure | Overdue):
		return sevError
	case e.Has(Warning):
		return sevWarning
	}
	return sevInfo
}

// write sends one line for each of the text, as syslog(3) does (RFC 3164).
func (s *System) write(ctx context.Context, e Event, text string) error {
	path := or(s.Socket, "/dev/log")
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil // no syslog runs here
	}
	if err != nil {
		return fmt.Errorf("connect to syslog: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	for line := range strings.Lines(text) {
		if line = oneLine(line, 900); line == "" {
			continue
		}
		if _, err := fmt.Fprintf(conn, "<%d>%s ingot[%d]: %s", daemon|severity(e), time.Now().Format(time.Stamp), os.Getpid(), line); err != nil {
			return fmt.Errorf("write to syslog: %w", err)
		}
	}
	return nil
}
