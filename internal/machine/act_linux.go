package machine

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

	"ingot/internal/plan"
)

// System are the acts of this machine.
func System() Acts {
	return Acts{
		plan.PowerShutDown:  systemctl("poweroff"),
		plan.PowerReboot:    systemctl("reboot"),
		plan.PowerSuspend:   systemctl("suspend"),
		plan.PowerHibernate: systemctl("hibernate"),
	}
}

func systemctl(verb string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, "systemctl", verb).CombinedOutput()
		if err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", verb, err, bytes.TrimSpace(out))
		}
		return nil
	}
}
