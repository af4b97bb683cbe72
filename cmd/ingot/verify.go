package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/internal/block"
	"ingot/internal/image"
	"ingot/internal/job"
)

func newVerify(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "verify IMAGE[@TIME]",
		Short: "Check every block of an image",
		Long: `Read every block of an image, decompress it and compare its hash, and those of
all metadata. Damage is listed with the partition and the bytes it concerns and
what lies there. The exit code is 0 when all is good and 3 when it is not.

` + pointHelp,
		Example: `  ingot verify /mnt/backup/2394E9AA621DDC3A-00-00.mrimgx
  ingot verify image.mrimgx --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.verify(cmd.Context(), a[0]) },
	}
}

// verifyReport is the result of ingot verify.
type verifyReport struct {
	Status  string       `json:"status"` // good or damaged
	File    string       `json:"file"`
	Blocks  int64        `json:"blocks"`
	Bytes   int64        `json:"bytes"`
	Seconds float64      `json:"seconds"`
	Damaged []damageView `json:"damaged"` // the first ones
	Count   int64        `json:"damaged_places"`
}

type damageView struct {
	Disk      int    `json:"disk,omitempty"`
	Partition int64  `json:"partition,omitempty"`
	Off       int64  `json:"offset_bytes"`
	Len       int64  `json:"length_bytes"`
	What      string `json:"what,omitempty"`
	Error     string `json:"error"`
}

func (c *console) verify(ctx context.Context, path string) error {
	ch, err := c.openPoint(ctx, path)
	if err != nil {
		return err
	}
	defer ch.Close()
	began := time.Now()
	log := c.log()
	tellSealed(ch.Chain, log)
	res, err := verifyChain(ctx, ch.Chain, log)
	if err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	r := verifyReport{Status: "good", File: ch.Path(), Blocks: res.Blocks, Bytes: res.Bytes, Seconds: time.Since(began).Seconds(), Damaged: []damageView{}, Count: res.Count}
	for _, d := range res.Damaged {
		r.Damaged = append(r.Damaged, viewDamage(ch.Chain, d))
	}
	var bad error
	if res.Count > 0 {
		r.Status = "damaged"
		bad = fmt.Errorf("%s: %w in %d places", path, image.ErrDamaged, res.Count)
	}
	if c.json {
		return errors.Join(c.emit(r), bad)
	}
	for _, d := range r.Damaged {
		if d.Partition == 0 {
			c.note("metadata: %s", d.Error)
			continue
		}
		c.note("partition %d, bytes %d to %d (%s): %s", d.Partition, d.Off, d.Off+d.Len-1, d.What, d.Error)
	}
	if bad == nil {
		c.note("all %d blocks are good: %s in %.1f s, %.0f MB/s", r.Blocks, size(r.Bytes), r.Seconds, float64(r.Bytes)/1e6/max(r.Seconds, 0.001))
	}
	return bad
}

// tellSealed says when the contents of an encrypted image could be somebody
// else's.
func tellSealed(ch *image.Chain, log *job.Log) {
	if ch.Doc.Encryption.Encrypted() && !ch.Sealed() {
		log.Note("not authenticated: the program that made the image keeps no tags, so nobody can tell whether it was tampered with")
	}
}

// verifyChain verifies an opened image with progress.
func verifyChain(ctx context.Context, ch *image.Chain, log *job.Log) (*image.VerifyResult, error) {
	var total int64
	for _, d := range ch.Disks() {
		for _, v := range d.Partitions {
			n, err := block.Bytes(v.Stored())
			if err != nil {
				return nil, err
			}
			total += n
		}
	}
	m := log.Stage("verify", total)
	defer m.End()
	res, err := ch.Verify(ctx, m.Add)
	if err == nil && res.Bytes != total {
		err = fmt.Errorf("only %d of %d bytes were read", res.Bytes, total)
	}
	return res, err
}

// verifyGood verifies an opened image and makes damage an error.
func verifyGood(ctx context.Context, ch *image.Chain, log *job.Log) (*image.VerifyResult, error) {
	res, err := verifyChain(ctx, ch, log)
	if err == nil && res.Count > 0 {
		err = fmt.Errorf("%w: %d places, the first: %w", image.ErrDamaged, res.Count, res.Damaged[0].Err)
	}
	return res, err
}

func viewDamage(ch *image.Chain, d image.Damage) damageView {
	v := damageView{Disk: d.Disk, Partition: d.Partition, Off: d.Extent.Off, Len: d.Extent.Len, Error: d.Err.Error()}
	if d.Disk > 0 {
		v.What = whatLies(ch, d)
	}
	return v
}

// whatLies says in a few words what a damaged extent belongs to.
func whatLies(ch *image.Chain, d image.Damage) string {
	for _, vol := range ch.Disks()[d.Disk-1].Partitions {
		if vol.Doc.Header.Number != d.Partition {
			continue
		}
		fs := &vol.Doc.FileSystem
		name := fs.Type + " volume"
		if fs.VolumeLabel != "" {
			name += fmt.Sprintf(" %q", fs.VolumeLabel)
		}
		switch mft := fs.MFTOffset - fs.Start; {
		case d.Extent.Off < fs.LCN0-fs.Start:
			return "boot sectors and file allocation tables of the " + name
		case fs.MFTOffset > 0 && mft >= d.Extent.Off && mft < d.Extent.End():
			return "beginning of the master file table of the " + name
		case d.Extent.Off == 0:
			return "boot sector of the " + name + " and what follows it"
		}
		return "clusters of the " + name
	}
	return "unknown"
}
