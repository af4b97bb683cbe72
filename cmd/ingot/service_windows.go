package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const serviceName = "Ingot"

var errNoManager = errors.New("there is no service manager") // of Linux

// installation is the service as the service control manager knows it.
type installation struct {
	program string
	args    []string
}

func (in *installation) add(*pflag.FlagSet) {}

// underManager runs fn as the service control manager wants it, when it has
// started this process.
func underManager(ctx context.Context, fn func(context.Context) error) error {
	managed, err := svc.IsWindowsService()
	if err != nil {
		return err
	}
	if !managed {
		return fn(ctx)
	}
	h := &handler{ctx: ctx, fn: fn}
	return errors.Join(svc.Run(serviceName, h), h.err)
}

// handler is the other end of the service control manager.
type handler struct {
	ctx context.Context
	fn  func(context.Context) error
	err error
}

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	const accepts = svc.AcceptStop | svc.AcceptShutdown
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.fn(ctx) }()
	status <- svc.Status{State: svc.Running, Accepts: accepts}
	for {
		select {
		case h.err = <-ended:
			if h.err != nil {
				return false, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: 120000}
				cancel()
			}
		}
	}
}

// install makes the service, starts it, and has it started again when it fails.
func (in *installation) install(context.Context) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("open the service control manager: %w", err)
	}
	defer m.Disconnect()
	config := mgr.Config{
		DisplayName: "Ingot backup service", Description: "Makes the backups that are defined, when they are due.",
		StartType: mgr.StartAutomatic, DelayedAutoStart: true,
	}
	s, err := m.CreateService(serviceName, in.program, config, in.args...)
	if errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
		return refuse("the service is installed already: 'ingot service uninstall' removes it")
	}
	if err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	defer s.Close()
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: 10 * time.Second}
	if err := s.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, 24*60*60); err != nil {
		return fmt.Errorf("have the service started again when it fails: %w", err)
	}
	if err := s.Start(); err != nil {
		return fmt.Errorf("start the service: %w", err)
	}
	return nil
}

// said is what is true once it is installed.
func (in *installation) said() string {
	return "The service is installed and running. 'ingot status' shows what it does."
}

// uninstall stops the service and removes it.
func (in *installation) uninstall(ctx context.Context) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("open the service control manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(serviceName)
	if err != nil {
		return refuse("the service is not installed: %w", err)
	}
	defer s.Close()
	if _, err := s.Control(svc.Stop); err == nil {
		waitStopped(ctx, s)
	}
	if err := s.Delete(); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	return nil
}

// waitStopped waits until the service has stopped, two minutes at most.
func waitStopped(ctx context.Context, s *mgr.Service) {
	for range 240 {
		st, err := s.Query()
		if err != nil || st.State == svc.Stopped || ctx.Err() != nil {
			return
		}
		time.Sleep(time.Second / 2)
	}
}

// state is what the service control manager thinks of the service.
func (in *installation) state(context.Context) string {
	m, err := mgr.Connect()
	if err != nil {
		return "not known: " + err.Error()
	}
	defer m.Disconnect()
	s, err := m.OpenService(serviceName)
	if err != nil {
		return "not installed ('ingot service install')"
	}
	defer s.Close()
	st, err := s.Query()
	if err != nil {
		return "not known: " + err.Error()
	}
	words := map[svc.State]string{
		svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running",
	}
	if w, ok := words[st.State]; ok {
		return w
	}
	return fmt.Sprintf("state %d", st.State)
}

// stateFolder is where history and logs are.
func stateFolder() string { return filepath.Join(os.Getenv("ProgramData"), "Ingot", "State") }
