package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// ErrNoInhibitor says that nothing here keeps a machine awake.
var ErrNoInhibitor = errors.New("this system does not let itself be kept awake")

var setThreadExecutionState = kernel32.NewProc("SetThreadExecutionState")

const (
	esSystemRequired = 0x00000001
	esContinuous     = 0x80000000
)

// StayAwake keeps the machine from going to sleep until release is called, or
// this process ends. The state is that of a thread, which is kept for it.
func StayAwake(_ context.Context, _ string) (release func(), err error) {
	stop, done, began := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if old, _, err := setThreadExecutionState.Call(esContinuous | esSystemRequired); old == 0 {
			began <- fmt.Errorf("%w: %w", ErrNoInhibitor, err)
			return
		}
		began <- nil
		<-stop
		_, _, _ = setThreadExecutionState.Call(esContinuous)
	}()
	if err := <-began; err != nil {
		return nil, err
	}
	return func() { close(stop); <-done }, nil
}
