package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"

	"github.com/spf13/cobra"

	pages "ingot/internal/console"
	"ingot/internal/console/bridge"
	"ingot/internal/query"
	"ingot/internal/service"
)

// pagesOf makes the pages of the console: of the service at this socket, for
// this user.
type pagesOf func(socket, who string, log *slog.Logger) (http.Handler, error)

// consolePages are those of package console. Folders with images are read by
// children of this process, as its user.
func consolePages(socket, who string, log *slog.Logger) (http.Handler, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return pages.New(pages.Options{
		Service: service.NewClient(socket), Images: pages.ImagesOf(query.Tools{Program: []string{program}}), User: who, Log: log,
	})
}

// uiFlags are those of ui.
type uiFlags struct {
	socket string
	noOpen bool
	first  string // the page to begin with
}

func newUI(c *console, of pagesOf) *cobra.Command {
	var fl uiFlags
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Open the console in the browser",
		Long: `Serve the console to the browser of this user on this machine, and open it. It has
the rights of this user and no more, and ends with Ctrl-C or 10 minutes after it
was last used. What it is asked to change is told on the error output.

The address is good once and for a minute. Connections of other users are closed.
Where the system does not say whose a connection is, the page asks for the code
that is printed here. When the console of this user runs already, this command
opens that one and ends (on Windows each start is one of its own).

Over ssh: 'ingot ui --no-open' there, 'ssh -L PORT:127.0.0.1:PORT' here with the
port of the address, and that address in the browser here.`,
		Example: `  ingot ui
  ingot ui --no-open
  ingot ui --no-open --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.ui(cmd.Context(), &fl, of) },
	}
	cmd.Flags().BoolVar(&fl.noOpen, "no-open", false, "print the address instead of opening the browser")
	addSocket(cmd.Flags(), &fl.socket)
	return cmd
}

func (c *console) ui(ctx context.Context, fl *uiFlags, of pagesOf) error {
	folder, err := bridge.Folder()
	if err != nil {
		return fmt.Errorf("folder of the console: %w", err)
	}
	place, err := bridge.Take(folder, placeName(fl.socket))
	if err != nil {
		return err
	}
	if place.Running() {
		invitation, err := place.Ask(ctx)
		if err != nil {
			return err
		}
		return c.showUI(invitation, fl, true)
	}
	return c.serveUI(ctx, fl, place, of)
}

// placeName keeps consoles of different services apart.
func placeName(socket string) string {
	if socket == service.DefaultSocket {
		return "ui"
	}
	sum := sha256.Sum256([]byte(absolute(socket)))
	return "ui-" + hex.EncodeToString(sum[:8])
}

// serveUI is the bridge, until it is idle or interrupted.
func (c *console) serveUI(ctx context.Context, fl *uiFlags, place *bridge.Place, of pagesOf) error {
	log := c.uiLog()
	who := "?"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	next, err := of(fl.socket, who, log)
	if err != nil {
		return fmt.Errorf("pages of the console: %w", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("address for the console: %w", err)
	}
	host, err := bridge.Host(place.Label, l.Addr())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	b := bridge.New(bridge.Options{Next: next, Host: host, User: who, First: fl.first, Log: log})
	return c.together(ctx, b, l, place, fl)
}

// together serves pages and invitations; when one of the two ends, so does the other.
func (c *console) together(ctx context.Context, b *bridge.Bridge, l net.Listener, place *bridge.Place, fl *uiFlags) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() { defer stop(); ended <- b.Serve(ctx, l) }()
	go func() { defer stop(); ended <- place.Answer(ctx, b.Invite) }()
	err := c.showUI(b.Invite(), fl, false)
	if err != nil {
		stop()
	}
	return errors.Join(err, <-ended, <-ended)
}

func (c *console) uiLog() *slog.Logger {
	if c.json {
		return slog.New(slog.NewJSONHandler(c.errs, nil))
	}
	return slog.New(slog.NewTextHandler(c.errs, nil))
}

// showUI opens the browser or says where the console is. An address with a
// ticket is only shown where it was not used to open the browser.
func (c *console) showUI(v bridge.Invitation, fl *uiFlags, running bool) error {
	url := v.URL
	if !fl.noOpen {
		if err := openBrowser(v.URL); err != nil {
			c.note("No browser could be opened (%v).", err)
		} else {
			url = v.Address
		}
	}
	if c.json {
		return c.emit(struct {
			URL     string `json:"url"`
			Code    string `json:"code"`
			Running bool   `json:"running"` // another process serves it
		}{url, v.Code, running})
	}
	c.note("The console: %s\nCode, should the page ask for one: %s-%s", url, v.Code[:4], v.Code[4:])
	if !running {
		c.note("It ends with Ctrl-C, or 10 minutes after it was last used.")
	}
	return nil
}

// startBrowser starts a program that may well stay as long as the browser does.
func startBrowser(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // its end says nothing of the page
	return nil
}
