package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"ingot/internal/block"
	"ingot/internal/nbd"
	"ingot/internal/overlay"
)

// nbdFlags are the flags of ingot nbd.
type nbdFlags struct {
	writeFlags
	socket, listen string
	cert, key, ca  string
	insecure       bool
}

func newNBD(c *console) *cobra.Command {
	var fl nbdFlags
	cmd := &cobra.Command{
		Use:   "nbd IMAGE[@TIME]",
		Short: "Serve an image as network block devices",
		Long: `Serve an image to NBD clients: qemu, qemu-img, nbdcopy, nbd-client, virtual
machines. The export disk, which is that of clients that name none, is the whole
disk, and partition-1 and so on are its partitions. It runs until Ctrl-C.

A disk, a virtual disk (VHDX, VHD, qcow2, VMDK), a folder with a Windows system
image or one of Clonezilla can stand in the place of an image.

` + pointHelp + `

Clients attach through a Unix socket that only you can use or, with --listen,
over TCP. NBD knows no users: who reaches the port can read the whole disk. So
an address other than the own machine's is refused without TLS, unless you say
--insecure; and with TLS but without --tls-ca, everybody is let in who asks.

What the image does not hold is a hole for clients. With --write clients can
write, too: that goes to a temporary file, encrypted with a key that is nowhere
but in memory, and is dropped at the end, or becomes a new incremental of the set
with --save. The files of the set are never changed.

On Linux without the kernel's nbd module, 'ingot mount' and a loop device attach
it as a disk.`,
		Example: `  ingot nbd /mnt/backup --socket /tmp/pc.sock
  qemu-system-x86_64 -snapshot -drive file='nbd+unix:///disk?socket=/tmp/pc.sock',format=raw
  nbdcopy 'nbd+unix:///partition-3?socket=/tmp/pc.sock' windows.raw
  ingot nbd /mnt/backup@2026-11-24 --listen 127.0.0.1:10809 --write
  ingot nbd /mnt/backup --listen :10809 --tls-cert cert.pem --tls-key key.pem --tls-ca clients.pem`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.nbd(cmd.Context(), a[0], &fl) },
	}
	f := cmd.Flags()
	f.StringVar(&fl.socket, "socket", "", "Unix socket to make (default: ingot-nbd.sock in $XDG_RUNTIME_DIR or, for root, /run)")
	f.StringVar(&fl.listen, "listen", "", "address and port instead, such as 127.0.0.1:10809")
	f.StringVar(&fl.cert, "tls-cert", "", "certificate of this server, a PEM file: clients must use TLS")
	f.StringVar(&fl.key, "tls-key", "", "its key")
	f.StringVar(&fl.ca, "tls-ca", "", "certificates of those who sign the certificates that clients must have")
	f.BoolVar(&fl.insecure, "insecure", false, "listen for other machines without TLS")
	fl.add(f)
	return cmd
}

// nbdReport is what ingot nbd tells when it serves.
type nbdReport struct {
	Status  string       `json:"status"` // serving
	Image   string       `json:"image"`
	Write   bool         `json:"write"`
	Exports []exportView `json:"exports"`
}

type exportView struct {
	Name string `json:"name"`
	Size int64  `json:"size_bytes"`
	URI  string `json:"uri"`
	What string `json:"what"`
}

func (c *console) nbd(ctx context.Context, ref string, fl *nbdFlags) error {
	if err := errors.Join(fl.check(), fl.checkTLS()); err != nil {
		return err
	}
	s, err := c.openServed(ctx, ref, &fl.writeFlags)
	if err != nil {
		return err
	}
	defer s.Close()
	troubles := &troubles{c: c}
	srv := &nbd.Server{Exports: exports(s), Log: troubles.tell}
	if fl.cert != "" {
		if srv.TLS, err = nbd.LoadTLS(fl.cert, fl.key, fl.ca); err != nil {
			return err
		}
	}
	l, err := fl.open(srv.TLS)
	if err != nil {
		return err
	}
	if err := c.tellNBD(s, srv, l); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := srv.Serve(ctx, l); err != nil {
		return err
	}
	// Ctrl-C is how it ends; a second one ends what follows.
	after, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.finish(after, s)
}

func (fl *nbdFlags) checkTLS() error {
	switch {
	case (fl.cert == "") != (fl.key == ""):
		return usageError{errors.New("--tls-cert and --tls-key go together")}
	case fl.ca != "" && fl.cert == "":
		return usageError{errors.New("--tls-ca goes with --tls-cert and --tls-key")}
	case fl.socket != "" && fl.listen != "":
		return usageError{errors.New("--socket and --listen: choose one")}
	}
	return nil
}

// exports are those of all disks and partitions; the first disk is what a client
// gets that names none.
func exports(s *served) []nbd.Export {
	var out []nbd.Export
	one := func(name, what string, r block.Reader, used block.Map, w nbd.Writer) {
		e := nbd.Export{Name: name, Description: what, Reader: r, Used: used, Writer: w}
		if w == nil {
			e.BlockSize = 1 << 20 // many blocks are hashed faster together than one by one
		}
		out = append(out, e)
	}
	for _, d := range s.disks {
		var w nbd.Writer
		if d.over != nil {
			w = d.over
		}
		one(d.name, "the whole disk", d.view, d.used, w)
		for _, p := range d.parts {
			what := fmt.Sprintf("partition %d, %s", p.number, p.kind)
			if p.label != "" {
				what += fmt.Sprintf(" %q", p.label)
			}
			if w != nil {
				w = partWriter{p.over, p.off}
			}
			one(p.name, what, p.view, p.used, w)
		}
	}
	return out
}

// partWriter writes to a partition of a disk; nbd has seen to the bounds.
type partWriter struct {
	disk *overlay.Disk
	off  int64
}

func (w partWriter) WriteAt(p []byte, off int64) (int, error) { return w.disk.WriteAt(p, w.off+off) }
func (w partWriter) Zero(off, n int64) error                  { return w.disk.Zero(w.off+off, n) }
func (w partWriter) Sync() error                              { return w.disk.Sync() }

// open listens where the flags say.
func (fl *nbdFlags) open(conf *tls.Config) (net.Listener, error) {
	if fl.listen == "" {
		path, err := fl.socketPath()
		if err != nil {
			return nil, err
		}
		return listenUnix(path)
	}
	addr, err := net.ResolveTCPAddr("tcp", fl.listen)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen is %q: %w", fl.listen, err)}
	}
	if !addr.IP.IsLoopback() && conf == nil && !fl.insecure {
		return nil, refuse("--listen %s: other machines could read the whole disk, unencrypted and without a password: give --tls-cert, --tls-key and --tls-ca, or say --insecure", fl.listen)
	}
	l, err := net.Listen("tcp", fl.listen)
	if err != nil {
		return nil, fmt.Errorf("listen for NBD clients: %w", err)
	}
	return l, nil
}

func (fl *nbdFlags) socketPath() (string, error) {
	if fl.socket != "" {
		return filepath.Abs(fl.socket)
	}
	switch dir := os.Getenv("XDG_RUNTIME_DIR"); {
	case dir != "":
		return filepath.Join(dir, "ingot-nbd.sock"), nil
	case runtime.GOOS != "windows" && os.Geteuid() == 0:
		return "/run/ingot-nbd.sock", nil
	}
	return "", usageError{errors.New("say where to listen: --socket PATH or --listen 127.0.0.1:10809")}
}

// listenUnix makes a socket that only its owner can use. One that is left over,
// at which nobody listens, makes way for it.
func listenUnix(path string) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		c, err := net.Dial("unix", path)
		if err == nil {
			_ = c.Close()
			return nil, refuse("somebody serves at %s already", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
	l, err := listenPrivate(path)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, refuse("%s exists, and is no socket that is left over", path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for NBD clients: %w", err)
	}
	return l, nil
}

// tellNBD says what is served and how to get at it.
func (c *console) tellNBD(s *served, srv *nbd.Server, l net.Listener) error {
	r := nbdReport{Status: "serving", Image: s.path}
	for _, e := range srv.Exports {
		r.Write = e.Writer != nil
		r.Exports = append(r.Exports, exportView{e.Name, e.Reader.Size(), exportURI(l.Addr(), srv.TLS != nil, e.Name), e.Description})
	}
	if c.json {
		return c.emit(r)
	}
	if srv.TLS != nil && srv.TLS.ClientCAs == nil {
		fmt.Fprintln(c.errs, "Warning: without --tls-ca every client that asks is let in")
	}
	for _, e := range r.Exports {
		c.note("%-14s %10s  %s\n  %s", e.Name, size(e.Size), e.What, e.URI)
	}
	c.note("Serving %s until Ctrl-C.", r.Image)
	return nil
}

// exportURI is how clients name an export (doc/uri.md of the NBD protocol).
func exportURI(a net.Addr, secure bool, name string) string {
	u := url.URL{Scheme: "nbd", Host: a.String(), Path: "/" + name}
	if secure {
		u.Scheme = "nbds"
	}
	if a.Network() == "unix" {
		u.Scheme, u.Host = u.Scheme+"+unix", ""
		// Not escaped more than it must be, for the sake of those who read it.
		return u.Scheme + "://" + u.Path + "?socket=" + (&url.URL{Path: a.String()}).EscapedPath()
	}
	return u.String()
}
