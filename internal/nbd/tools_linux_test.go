package nbd

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/block/blocktest"
)

// run runs a tool of a Debian package.
func run(t *testing.T, pkg, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s (package %s): %v\n%s%s", name, strings.Join(args, " "), pkg, err, out, errs.String())
	}
	return string(out)
}

// unix serves on a socket and gives its URI for an export.
func unix(t *testing.T, s *Server) func(export string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(export string) string { return "nbd+unix:///" + export + "?socket=" + path }
}

// TestTools has the clients of other projects judge the server.
func TestTools(t *testing.T) {
	s, ro, rw := testServer()
	s.Log = func(err error) { t.Error(err) }
	uri := unix(t, s)
	dir := t.TempDir()

	var info struct {
		Exports []struct {
			Name        string `json:"export-name"`
			Size        int64  `json:"export-size"`
			ReadOnly    bool   `json:"is_read_only"`
			Multi       bool   `json:"can_multi_conn"`
			Preferred   int64  `json:"block_size_preferred"`
			Description string `json:"description"`
			Contexts    []string
		} `json:"exports"`
	}
	if err := json.Unmarshal([]byte(run(t, "libnbd-bin", "nbdinfo", "--list", "--json", uri(""))), &info); err != nil {
		t.Fatal(err)
	}
	if e := info.Exports; len(e) != 2 || e[0].Name != "disk" || e[0].Size != testSize || !e[0].ReadOnly || !e[0].Multi || e[0].Preferred != 128<<10 || e[0].Description != "a disk" ||
		e[1].ReadOnly || len(e[1].Contexts) != 1 || e[1].Contexts[0] != metaAllocation {
		t.Errorf("%+v", e)
	}
	var extents []struct {
		Offset, Length int64
		Type           int
	}
	if err := json.Unmarshal([]byte(run(t, "libnbd-bin", "nbdinfo", "--map", "--json", uri(""))), &extents); err != nil {
		t.Fatal(err)
	}
	if len(extents) != 3 || extents[1].Offset != holeOff || extents[1].Length != holeLen || extents[1].Type != 3 || extents[0].Type != 0 {
		t.Errorf("%+v", extents)
	}

	raw, copied, converted := filepath.Join(dir, "raw"), filepath.Join(dir, "copied"), filepath.Join(dir, "converted")
	if err := os.WriteFile(raw, ro.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "libnbd-bin", "nbdcopy", uri("disk"), copied)
	run(t, "libnbd-bin", "nbdcopy", "--synchronous", uri(""), copied)
	run(t, "qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "raw", raw, copied)
	run(t, "qemu-utils", "qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri("disk"), converted)
	run(t, "qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, converted)
	run(t, "qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "raw", raw, uri("disk"))

	run(t, "qemu-utils", "qemu-io", "-f", "raw", "-c", "write -P 0x41 4096 70000", "-c", "write -z 8192 4096", "-c", "discard 16384 4096", "-c", "flush", "-c", "read -P 0 8192 4096", uri("work"))
	if b := rw.Bytes(); b[4096] != 0x41 || b[8192] != 0 || b[16384] != 0 || b[4096+69999] != 0x41 || b[4096+70000] != 0 {
		t.Error("what qemu-io wrote is not there")
	}
	if err := os.WriteFile(raw, ro.Bytes()[:1<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "libnbd-bin", "nbdcopy", raw, uri("work"))
	if !bytes.Equal(rw.Bytes(), ro.Bytes()[:1<<20]) {
		t.Error("what nbdcopy wrote is not there")
	}
}

// TestToolsTLS attaches through TLS with a client's certificate.
func TestToolsTLS(t *testing.T) {
	dir := t.TempDir()
	pem := func(name string) string { return filepath.Join(dir, name) }
	run(t, "openssl", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", pem("server-key.pem"), "-out", pem("server-cert.pem"))
	for _, c := range [][2]string{{"server-cert.pem", "ca-cert.pem"}, {"server-cert.pem", "client-cert.pem"}, {"server-key.pem", "client-key.pem"}} {
		b, err := os.ReadFile(pem(c[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pem(c[1]), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, _, _ := testServer()
	conf, err := LoadTLS(pem("server-cert.pem"), pem("server-key.pem"), pem("ca-cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = conf
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	out := run(t, "libnbd-bin", "nbdinfo", "nbds://"+strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)+"/disk?tls-certificates="+dir)
	if !strings.Contains(out, "with TLS") || !strings.Contains(out, "export-size: 6291456") {
		t.Errorf("%s", out)
	}
	if err := exec.Command("nbdinfo", "nbd://"+l.Addr().String()).Run(); err == nil {
		t.Error("attached without TLS")
	}
}

// TestParallelReaders has eight readers copy at once.
func TestParallelReaders(t *testing.T) {
	b := make([]byte, 24<<20)
	r := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < len(b); i += 512 {
		b[i] = byte(r.Uint32())
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Exports: []Export{{Name: "disk", Reader: blocktest.New(b), Used: block.Whole(int64(len(b)))}}}
	uri := unix(t, s)
	ended := make(chan error, 8)
	for range 8 {
		go func() {
			ended <- exec.Command("qemu-img", "compare", "-f", "raw", "-F", "raw", path, uri("")).Run()
		}()
	}
	for range 8 {
		if err := <-ended; err != nil {
			t.Errorf("qemu-img compare (package qemu-utils): %v", err)
		}
	}
}
