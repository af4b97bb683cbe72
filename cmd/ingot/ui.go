package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	pages "ingot/internal/console"
	"ingot/internal/console/bridge"
	"ingot/internal/query"
	"ingot/internal/service"
)

// uiFlags are those of the console in a browser.
type uiFlags struct {
	socket string
	noOpen bool
}

func newUI(c *console) *cobra.Command {
	var fl uiFlags
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Open the console in a browser",
		Long: `Open the console in a browser: what is backed up and when, what runs, the restore
points of a folder and the files in them, and the restore wizard.

It serves your own browser on this machine and nobody else: connections of other
users are closed, and each start makes an address that lets in once and within a
minute. Where it cannot be told whose browser has connected (in a container), the
page asks for the code that is shown here. It has your rights and no more: members of
the group of the service see and start backups, and an administrator lends it the
right to restore for 15 minutes ("Unlock changes" on the pages). Folders with images
are read as you. It ends ten minutes after its last page was closed, or with Ctrl-C.

From another machine: ssh -L PORT:127.0.0.1:PORT, and --no-open for the address.`,
		Example: `  ingot ui
  ingot ui --no-open
  ingot ui --socket ./api.sock`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.ui(cmd.Context(), &fl, "") },
	}
	addSocket(cmd.Flags(), &fl.socket)
	cmd.Flags().BoolVar(&fl.noOpen, "no-open", false, "show the address and open no browser")
	return cmd
}

// ui serves the console until it is idle or interrupted. first is the page to
// begin with.
func (c *console) ui(ctx context.Context, fl *uiFlags, first string) error {
	b, err := newBridge(fl.socket, first)
	if err != nil {
		return err
	}
	l, err := bridge.Listen()
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	b.Attach(l)
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, l) }()
	c.tellUI(ctx, b, fl)
	return <-ended
}

// newBridge puts the parts of the console together.
func newBridge(socket, first string) (*bridge.Bridge, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	who, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("whose console it is: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv(uiLog) != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	p, err := pages.New(pages.Options{
		Service: service.NewClient(socket), Images: pages.ImagesOf(query.Tools{Program: []string{program}}), User: who.Username, Log: log,
	})
	if err != nil {
		return nil, err
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("where the console keeps its name: %w", err)
	}
	host, err := bridge.Label(filepath.Join(folder, "ingot"))
	if err != nil {
		return nil, err
	}
	return bridge.New(bridge.Options{Next: p, Host: host, First: first, Log: log}), nil
}

// uiLog is a variable of the environment that has the console tell what it does.
const uiLog = "INGOT_UI_LOG"

// tellUI opens a browser, or says where the console is.
func (c *console) tellUI(ctx context.Context, b *bridge.Bridge, fl *uiFlags) {
	address := b.URL()
	if !fl.noOpen && !c.json {
		if err := browseTo(ctx, address); err == nil {
			c.note("The console is open in your browser. If it is not: %s (once, within a minute)", b.URL())
			c.note("Code, should it ask for one: %s. Ctrl-C ends the console.", b.Code())
			return
		}
	}
	if c.json {
		_ = c.emit(map[string]string{"status": "serving", "url": address, "address": b.Address(), "code": b.Code()})
		return
	}
	c.note("The console: %s", address)
	c.note("This works once and within a minute. Later, or from elsewhere: %s with the code %s. Ctrl-C ends the console.", b.Address(), b.Code())
}

// browseTo has the desktop open an address.
func browseTo(ctx context.Context, address string) error {
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, filepath.Join(os.Getenv("SystemRoot"), "System32", "rundll32.exe"), "url.dll,FileProtocolHandler", address).Run()
	}
	return exec.CommandContext(ctx, "xdg-open", address).Run()
}
