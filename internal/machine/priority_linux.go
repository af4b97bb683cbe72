package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"ingot/internal/plan"
)

// nice values of the levels (setpriority(2)).
var nice = map[level]int{idle: 19, low: 10, normal: 0, high: -5}

// ioprio values of the levels: class and number within it (ioprio_set(2)).
var ioprio = map[level]int{idle: classIdle << 13, low: classBest<<13 | 7, normal: classBest<<13 | 4, high: classBest << 13}

const (
	classBest     = 2
	classIdle     = 3
	whoProcess    = 1
	threadsPasses = 10
)

// SetPriority gives this process, with all its threads, its share of processor
// and disks.
func SetPriority(cpu, io plan.Priority) error {
	n, o := nice[levelOf(cpu)], ioprio[levelOf(io)]
	return eachThread(func(tid int) error {
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, n); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("set the priority of the processor to %d: %w", n, err)
		}
		if _, _, err := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(tid), uintptr(o)); err != 0 && err != unix.ESRCH {
			return fmt.Errorf("set the priority of disks: %w", err)
		}
		return nil
	})
}

// eachThread does something to each thread of the process. On Linux a priority
// is that of a thread, and a new thread has it from the one that began it: when
// a look finds no new ones all have it.
func eachThread(do func(tid int) error) error {
	done := map[int]bool{}
	for range threadsPasses {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		found := false
		for _, e := range entries {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || done[tid] {
				continue
			}
			found, done[tid] = true, true
			if err := do(tid); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
	}
	return nil
}
