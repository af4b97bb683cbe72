package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"ingot/internal/backup"
	"ingot/internal/block"
	"ingot/internal/disk"
	"ingot/internal/filesys"
	"ingot/internal/image"
)

// demoDisk is a small disk as Windows makes them: GPT with an EFI system
// partition, a Microsoft reserved one, an NTFS volume and a recovery
// partition. test/fixtures/demo-disk.sh makes it.
//
//go:embed demo/disk.img.zst
var demoDisk []byte

func newDemo(c *console) *cobra.Command {
	var keep, ui bool
	var fl uiFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Image, verify and restore a small built-in disk",
		Long: `Take a small but real Windows-like disk that is built into the program, image
it, verify the image, restore it onto a target full of garbage and compare. It
needs no rights and works in a temporary folder. With --ui the console opens on the
image afterwards: its restore point, and the files in it.`,
		Example: "  ingot demo\n  ingot demo --keep\n  ingot demo --ui",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "ingot-demo-")
			if err != nil {
				return err
			}
			err = c.demo(cmd.Context(), dir)
			if ui && err == nil {
				fl.first = "/points?folder=" + url.QueryEscape(dir)
				err = c.ui(cmd.Context(), &fl, consolePages)
			}
			if keep {
				c.note("\nThe files are in %s", dir)
				return err
			}
			return errors.Join(err, os.RemoveAll(dir))
		},
	}
	cmd.Flags().BoolVar(&ui, "ui", false, "then open the console, on the image that was made")
	cmd.Flags().BoolVar(&fl.noOpen, "no-open", false, "with --ui: show the address and open no browser")
	addSocket(cmd.Flags(), &fl.socket)
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the disk, the image and the restored disk")
	return cmd
}

// demoStep is a row of the table the demo ends with.
type demoStep struct {
	name, size string
	took       time.Duration
}

func (c *console) demo(ctx context.Context, dir string) error {
	src, dst := filepath.Join(dir, "windows-disk.img"), filepath.Join(dir, "restored-disk.img")
	var steps []demoStep
	timed := func(name string, f func() (string, error)) error {
		began := time.Now()
		s, err := f()
		steps = append(steps, demoStep{name, s, time.Since(began)})
		if err != nil {
			return fmt.Errorf("demo: %s: %w", name, err)
		}
		return nil
	}
	var img string
	quiet := &console{in: c.in, out: io.Discard, errs: io.Discard}
	for _, s := range []struct {
		name string
		f    func() (string, error)
	}{
		{"unpack the disk", func() (string, error) { return unpackDemo(src) }},
		{"image", func() (out string, err error) {
			if err = quiet.image(ctx, src, &imageFlags{to: dir, compression: image.CompressionMedium, changes: backup.ChangesAll, split: "none"}); err != nil {
				return "", err
			}
			found, err := filepath.Glob(filepath.Join(dir, "*"+backup.Extension))
			if err != nil || len(found) != 1 {
				return "", fmt.Errorf("the folder holds %d images: %w", len(found), err)
			}
			img = found[0]
			return fileSize(img)
		}},
		{"verify", func() (string, error) { return "", quiet.verify(ctx, img) }},
		{"fill the target with garbage", func() (string, error) { return fillGarbage(src, dst) }},
		{"restore", func() (string, error) { return "", quiet.restore(ctx, img, dst, &restoreFlags{disk: 1, yes: true}) }},
		{"compare", func() (string, error) {
			n, err := compareDisks(src, dst)
			return size(n) + " equal", err
		}},
	} {
		if err := timed(s.name, s.f); err != nil {
			return err
		}
	}
	return c.demoReport(ctx, img, steps)
}

func (c *console) demoReport(ctx context.Context, img string, steps []demoStep) error {
	if err := c.show(ctx, img); err != nil {
		return err
	}
	if c.json {
		return nil
	}
	tw := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "STEP\tTIME\tSIZE")
	for _, s := range steps {
		fmt.Fprintf(tw, "%s\t%.2f s\t%s\n", s.name, s.took.Seconds(), s.size)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	c.note(`
The restored disk equals the original in every used byte but those of the
page file, which is left out. The same with your own:
  sudo ingot disks                                  which disks there are
  sudo ingot image /dev/sdX --to FOLDER --verify    image one
  ingot show FOLDER/NAME.mrimgx                     what the image holds
  sudo ingot restore FOLDER/NAME.mrimgx /dev/sdY    restore it (asks first)
Disk-image files can stand in for disks anywhere. In a browser:
  ingot ui                                          the console
  ingot demo --ui                                   the console on this image`)
	return nil
}

func fileSize(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return size(st.Size()), nil
}

// unpackDemo writes the built-in disk as a sparse file.
func unpackDemo(path string) (string, error) {
	d, err := zstd.NewReader(bytes.NewReader(demoDisk), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return "", err
	}
	defer d.Close()
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	var n int64
	buf := make([]byte, 1<<16)
	zeros := make([]byte, len(buf))
	for {
		k, err := io.ReadFull(d, buf)
		if k > 0 && !bytes.Equal(buf[:k], zeros[:k]) {
			if _, err := f.WriteAt(buf[:k], n); err != nil {
				return "", errors.Join(err, f.Close())
			}
		}
		n += int64(k)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return "", errors.Join(err, f.Close())
		}
	}
	return size(n), errors.Join(f.Truncate(n), f.Close())
}

// fillGarbage makes a file as large as src of bytes that are not zero, as an
// old disk has them.
func fillGarbage(src, dst string) (string, error) {
	st, err := os.Stat(src)
	if err != nil {
		return "", err
	}
	f, err := os.Create(dst)
	if err != nil {
		return "", err
	}
	garbage := make([]byte, 1<<20)
	seed := [32]byte{1}
	_, _ = rand.NewChaCha8(seed).Read(garbage)
	for off := int64(0); off < st.Size(); off += int64(len(garbage)) {
		if _, err := f.WriteAt(garbage[:min(int64(len(garbage)), st.Size()-off)], off); err != nil {
			return "", errors.Join(err, f.Close())
		}
	}
	return size(st.Size()), f.Close()
}

// compareDisks compares the partition tables and every byte of two disks that
// an image keeps, and says how many bytes that were.
func compareDisks(a, b string) (int64, error) {
	sa, err := openSource(context.Background(), a, sourceFlags{})
	if err != nil {
		return 0, err
	}
	defer sa.Close()
	sb, err := openSource(context.Background(), b, sourceFlags{})
	if err != nil {
		return 0, err
	}
	defer sb.Close()
	if !bytes.Equal(sa.Layout.Track0, sb.Layout.Track0) || len(sb.Layout.Warnings) > 0 {
		return 0, fmt.Errorf("the partition tables differ %v", sb.Layout.Warnings)
	}
	var n int64
	for _, p := range sa.Layout.Partitions {
		k, err := compareUsed(sa.Reader, sb.Reader, p)
		if err != nil {
			return 0, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		n += k
	}
	return n, nil
}

func compareUsed(a, b block.Reader, p disk.Partition) (n int64, err error) {
	r, err := block.Section(a, p.Off, p.Len)
	if err != nil {
		return 0, err
	}
	v, err := filesys.Open(r)
	if err != nil {
		return 0, err
	}
	if v, _, err = filesys.LeaveUnneeded(v); err != nil {
		return 0, err
	}
	ba, bb := make([]byte, 1<<20), make([]byte, 1<<20)
	for e, err := range block.Chunks(block.Subtract(v.Used(), v.Zeroed()), int64(len(ba))) {
		if err != nil {
			return 0, err
		}
		if _, err := r.ReadAt(ba[:e.Len], e.Off); err != nil {
			return 0, err
		}
		if _, err := b.ReadAt(bb[:e.Len], p.Off+e.Off); err != nil {
			return 0, err
		}
		if !bytes.Equal(ba[:e.Len], bb[:e.Len]) {
			return 0, fmt.Errorf("bytes %v differ", e)
		}
		n += e.Len
	}
	return n, nil
}
