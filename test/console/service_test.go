package console

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/internal/service"
)

// daemon is the service as a process of its own, with its folders.
type daemon struct {
	*testing.T
	api   *service.Client
	dir   string
	flags []string // for it alone
	cmd   *exec.Cmd
	ended chan error
	log   *os.File
}

func newDaemon(t *testing.T, flags ...string) *daemon {
	t.Helper()
	d := &daemon{T: t, dir: t.TempDir(), flags: flags}
	d.api = service.NewClient(d.path("api.sock"))
	var err error
	if d.log, err = os.Create(d.path("service.log")); err != nil {
		t.Fatal(err)
	}
	d.folder("definitions")
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.end(syscall.SIGKILL)
		}
		if t.Failed() {
			b, _ := os.ReadFile(d.log.Name())
			t.Logf("the service said:\n%s", b)
		}
	})
	d.start()
	return d
}

func (d *daemon) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

func (d *daemon) folder(name string) string {
	d.Helper()
	if err := os.Mkdir(d.path(name), 0o700); err != nil {
		d.Fatal(err)
	}
	return d.path(name)
}

func (d *daemon) start() {
	d.Helper()
	args := []string{"service", "run", "--definitions", d.path("definitions"), "--state", d.path("state"), "--socket", d.path("api.sock"), "--grace", "20s"}
	d.cmd = exec.Command(ingot, append(args, d.flags...)...)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(d.cmd, d.ended)
	d.until("the service to answer", func() bool { _, err := d.api.Status(context.Background()); return err == nil })
}

// end sends a signal to the service and waits for its end.
func (d *daemon) end(sig syscall.Signal) error {
	d.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.Fatal(err)
	}
	d.cmd = nil
	return <-d.ended
}

// until waits for something to become true.
func (d *daemon) until(what string, is func() bool) {
	d.Helper()
	for range 1200 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.Fatalf("waited in vain for %s", what)
}

// define writes a definition: a disk of size MiB to a folder.
func (d *daemon) define(name string, size int, options string) (disk, folder string) {
	d.Helper()
	disk, folder = d.disk(name, size), d.folder(name+".images")
	text := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<definition xmlns="urn:ingot:definition:1" name=%q>
  <sources><disk path=%q/></sources>
  <destinations><destination path=%q/></destinations>
  <plan/>
  %s
</definition>
`, name, disk, folder, options)
	file := d.path("definitions", name+".xml")
	if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
		d.Fatal(err)
	}
	d.until("the definition "+name, func() bool {
		st, err := d.api.Status(context.Background())
		for _, def := range st.Definitions {
			if err == nil && def.Name == name {
				return true
			}
		}
		return false
	})
	return disk, folder
}

// runs has a definition run, and waits until that has ended well.
func (d *daemon) runs(name string) {
	d.Helper()
	r, err := d.api.Start(context.Background(), name, "")
	if err != nil {
		d.Fatal(err)
	}
	d.until("the run of "+name, func() bool {
		if r, err = d.api.Run(context.Background(), r.ID); err != nil {
			d.Fatal(err)
		}
		return r.State.Ended()
	})
	if !r.State.Good() {
		d.Fatalf("the run of %s: %+v", name, r)
	}
}

// disk makes a disk with an ext4 volume of size MiB that is nearly full, and has a
// name that pages must show and not carry out.
func (d *daemon) disk(name string, size int) string {
	d.Helper()
	file, tree := d.path(name+".img"), d.folder(name+".tree")
	noise := make([]byte, size*7<<20/10)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(noise)
	for f, data := range map[string][]byte{"letter.txt": []byte("Dear Anna\n"), hostile: noise} {
		if err := os.WriteFile(filepath.Join(tree, f), data, 0o600); err != nil {
			d.Fatal(err)
		}
	}
	d.sh("truncate", "-s", fmt.Sprintf("%dM", size+2), file)
	d.sh("sgdisk", "-n", fmt.Sprintf("1:2048:+%dM", size), "-c", "1:"+hostile, file)
	d.sh("mke2fs", "-q", "-t", "ext4", "-L", "<b>\u202e", "-d", tree, "-E", "offset=1048576", file, fmt.Sprintf("%dM", size))
	return file
}

// hostile is a name that would be a script if it were not only shown.
const hostile = "<img src=x onerror=alert(1)>\u202e"

// sh runs a command that must succeed and gives what it prints.
func (d *daemon) sh(name string, args ...string) string {
	d.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		d.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
