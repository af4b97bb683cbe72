package machine

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// meteredWait is how long NetworkManager may take to answer.
const meteredWait = 10 * time.Second

// Metered says whether the network is paid by volume, as far as NetworkManager,
// where there is one, knows or guesses.
func Metered(ctx context.Context) (bool, error) {
	program, err := exec.LookPath("nmcli")
	if err != nil {
		return false, nil // nobody here says so
	}
	ctx, cancel := context.WithTimeout(ctx, meteredWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--terse", "--fields", "GENERAL.STATE,GENERAL.METERED", "device", "show")
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return false, fmt.Errorf("ask NetworkManager: %w", err)
	}
	return readMetered(out), nil
}

// readMetered finds a connected device (state 100) that is metered, in what
// nmcli prints: for each device lines of NAME:VALUE.
func readMetered(out []byte) bool {
	connected := false
	for line := range bytes.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		switch name {
		case "GENERAL.STATE":
			connected = strings.HasPrefix(value, "100")
		case "GENERAL.METERED":
			if connected && strings.HasPrefix(value, "yes") {
				return true
			}
		}
	}
	return false
}
