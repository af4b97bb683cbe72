package machine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"ingot/internal/plan"
)

// processModeBackgroundBegin has a process read, write and page below all others
// (SetPriorityClass). It lowers the share of the processor to the least, too.
const processModeBackgroundBegin = 0x00100000

var classes = map[level]uint32{
	idle: windows.IDLE_PRIORITY_CLASS, low: windows.BELOW_NORMAL_PRIORITY_CLASS,
	normal: windows.NORMAL_PRIORITY_CLASS, high: windows.ABOVE_NORMAL_PRIORITY_CLASS,
}

// SetPriority gives this process its share of processor and disks. Background
// mode, the only one Windows has for disks, is taken when both are to be idle.
func SetPriority(cpu, io plan.Priority) error {
	self := windows.CurrentProcess()
	c := levelOf(cpu)
	err := windows.SetPriorityClass(self, classes[c])
	if c == idle && levelOf(io) == idle {
		if e := windows.SetPriorityClass(self, processModeBackgroundBegin); !errors.Is(e, windows.ERROR_PROCESS_MODE_ALREADY_BACKGROUND) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("set the priority of the process: %w", err)
	}
	return nil
}
