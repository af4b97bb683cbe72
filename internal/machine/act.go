package machine

import (
	"context"
	"fmt"

	"ingot/internal/plan"
)

// Acts are what can be done with the machine; tests put their own in.
type Acts map[plan.PowerAction]func(context.Context) error

// Act does what is to become of the machine. PowerNothing is nothing.
func (a Acts) Act(ctx context.Context, what plan.PowerAction) error {
	if what == plan.PowerNothing {
		return nil
	}
	do, ok := a[what]
	if !ok {
		return fmt.Errorf("this system cannot %s", what)
	}
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
