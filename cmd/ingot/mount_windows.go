package main

import (
	"context"
	"path/filepath"
	"strings"
)

// mount says what to do instead.
func (c *console) mount(_ context.Context, ref, dir string, fl *mountFlags) error {
	if err := fl.check(); err != nil {
		return err
	}
	path, _ := cutTime(ref)
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".vhdx"
	return refuse(`an image cannot be mounted on Windows by this version. Instead:
  ingot convert %s %s
  Mount-DiskImage -ImagePath (Resolve-Path %s) -Access ReadOnly
or look into it without mounting: ingot ls, ingot cp; or serve it with ingot nbd`, ref, name, name)
}

func (c *console) umount(string, bool) error {
	return refuse("nothing is mounted by this program on Windows; detach a .vhdx file with Dismount-DiskImage")
}
