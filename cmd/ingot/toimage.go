package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/internal/backup"
	"ingot/internal/dest/folder"
	"ingot/internal/image"
)

// numbersAtEnd are those that image files have before their ending.
var numbersAtEnd = regexp.MustCompile(`-[0-9]{2,5}-[0-9]{2,5}$`)

// convertToImage makes an image of the origin, a full of a set of its own.
func (c *console) convertToImage(ctx context.Context, o *origin, to string, fl *convertFlags) error {
	if fl.force {
		return usageError{fmt.Errorf("--force does not go with images: none is ever replaced by another")}
	}
	dir, name := filepath.Split(to)
	store, err := folder.New(filepath.Clean(dir))
	if err != nil {
		return err
	}
	name = numbersAtEnd.ReplaceAllString(strings.TrimSuffix(name, backup.Extension), "")
	opts := backup.Options{AllSectors: fl.allSectors, Type: image.TypeFull, Compression: image.CompressionMedium, Access: c.access(ctx, false)}
	if c.passwords.given() {
		opts.Encrypt = defaultCipher
	}
	if opts.Split, err = store.MaxFile(); err != nil {
		return err
	}
	o.source.Changed = o.changed
	plan, err := backup.Prepare(o.source, opts)
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	target := &backup.Target{Type: image.TypeFull}
	plan.Notes = append(o.notes, plan.Notes...)
	if fl.dryRun {
		return c.printPlan(plan, target)
	}
	log := c.log()
	tellPlan(ctx, log, plan, target, store, opts)
	host, _ := os.Hostname()
	abs, _ := filepath.Abs(filepath.Clean(dir))
	began := time.Now()
	res, err := plan.Run(ctx, store, target, backup.Naming{
		Template: name, Time: began, Host: host, Disk: filepath.Base(o.name), Destination: abs, Version: version,
	}, log)
	if err != nil {
		return fmt.Errorf("convert %s to %s: %w", o.name, to, err)
	}
	r := &imageReport{Result: *res, Folder: abs, Seconds: time.Since(began).Seconds(), Status: "done"}
	if fl.check {
		v, err := verifyFile(ctx, store, res.Name, opts.Access, log)
		if err != nil {
			return fmt.Errorf("the image %s was written, but: %w", res.Name, err)
		}
		r.Verified = v.Blocks
	}
	r.Warnings, r.Notes = log.Warnings(), append([]string{}, plan.Notes...)
	return c.printImage(r)
}
