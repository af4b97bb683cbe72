package machine

import "ingot/internal/plan"

// level of a priority, where 0 is that of any program.
type level int8

const (
	idle   level = -2
	low    level = -1
	normal level = 0
	high   level = 1
)

func levelOf(p plan.Priority) level {
	switch p {
	case plan.PriorityIdle:
		return idle
	case plan.PriorityNormal:
		return normal
	case plan.PriorityHigh:
		return high
	}
	return low
}
