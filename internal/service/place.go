package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"ingot/internal/dest/folder"
	"ingot/internal/disk"
	"ingot/internal/plan"
)

// PlaceRequest asks whether backups can be kept in a folder.
type PlaceRequest struct {
	Path  string   `json:"path"`
	Disks []string `json:"disks,omitempty"` // devices, or files, of the disks to be imaged
}

// PlaceCheck is what was found out about a place. Steps end with the first that
// failed; what the others would have said is not set.
type PlaceCheck struct {
	Path  string      `json:"path"`
	Steps []PlaceStep `json:"steps"`

	Mount  string `json:"mount,omitempty"` // where its file system is mounted
	FSType string `json:"file_system,omitempty"`
	Volume string `json:"volume,omitempty"` // UUID or GUID of the volume, for plan.Destination
	Free   int64  `json:"free_bytes"`
	// MaxFile is how large a file may become in bytes; 0 is without a known limit.
	MaxFile int64       `json:"max_file_bytes,omitempty"`
	Disks   []PlaceDisk `json:"disks,omitempty"` // it lies on; none of a share or of memory
	// System says that it lies on a disk of the running system.
	System bool `json:"system,omitempty"`
	// Source is the device of PlaceRequest.Disks that it lies on, and Off where
	// on it the partition begins that it lies in; -1 when that is not known.
	Source string `json:"source,omitempty"`
	Off    int64  `json:"offset_bytes,omitempty"`
	// Shared says that everybody who is logged in may delete what is in the folder.
	Shared bool `json:"shared,omitempty"`
}

// PlaceDisk is a disk that a place lies on.
type PlaceDisk struct {
	Path   string `json:"path"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
	Bus    string `json:"bus,omitempty"`
}

// PlaceStep is one thing that was tried. Its Name is one of the words below.
type PlaceStep struct {
	Name  string `json:"name"`
	Error string `json:"error,omitempty"` // why it failed; "" when it went well
}

// The steps, in their order.
const (
	StepFound  = "found"  // the path leads to something
	StepFolder = "folder" // which is a folder
	StepWrite  = "write"  // a file can be made there, and removed
	StepWhere  = "where"  // what it lies on is known
	StepApart  = "apart"  // which is no disk that is to be imaged
)

// OK says whether all steps went well.
func (c *PlaceCheck) OK() bool {
	return len(c.Steps) > 0 && c.Steps[len(c.Steps)-1].Error == ""
}

// Bounds of checks: a share whose server has gone answers never.
const (
	placeTime  = 10 * time.Second
	mostPlaces = 4 // checks at a time
)

func (s *Service) postPlace(req *http.Request) (any, error) {
	var r PlaceRequest
	if err := json.NewDecoder(req.Body).Decode(&r); err != nil {
		return nil, badRequest("the place: %v", err)
	}
	if !plan.Absolute(r.Path) || !filepath.IsAbs(r.Path) {
		return nil, badRequest("%q is no absolute path", r.Path)
	}
	if len(r.Disks) > 1000 {
		return nil, badRequest("%d disks", len(r.Disks))
	}
	return s.patient(req.Context(), &r)
}

// patient waits for a check only so long. One that hangs keeps its slot, so that
// no more than mostPlaces ever do.
func (s *Service) patient(ctx context.Context, r *PlaceRequest) (*PlaceCheck, error) {
	late := &Problem{fmt.Sprintf("%s does not answer", r.Path), http.StatusGatewayTimeout, "no-answer", "is the server, or the drive, switched on?"}
	timer := time.NewTimer(placeTime)
	defer timer.Stop()
	select {
	case s.checks <- struct{}{}:
	case <-timer.C:
		return nil, late
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found := make(chan *PlaceCheck, 1)
	go func() { // ends when the system answers
		defer func() { <-s.checks }()
		found <- checkPlace(r)
	}()
	select {
	case c := <-found:
		return c, nil
	case <-timer.C:
		return nil, late
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// checkPlace does the steps.
func checkPlace(r *PlaceRequest) *PlaceCheck {
	c := &PlaceCheck{Path: r.Path}
	var st fs.FileInfo
	c.try(StepFound, func() (err error) { st, err = os.Stat(r.Path); return err })
	c.try(StepFolder, func() error {
		if !st.IsDir() {
			return errors.New("it is a file")
		}
		return nil
	})
	c.try(StepWrite, func() error { return writeInto(r.Path) })
	c.try(StepWhere, c.where)
	c.try(StepApart, func() error { return c.apart(r.Disks) })
	if st != nil {
		c.Shared = shared(r.Path, st)
	}
	return c
}

// try does a step, unless one before it has failed.
func (c *PlaceCheck) try(name string, do func() error) {
	if len(c.Steps) > 0 && !c.OK() {
		return
	}
	step := PlaceStep{Name: name}
	if err := do(); err != nil {
		step.Error = err.Error()
	}
	c.Steps = append(c.Steps, step)
}

// writeInto tries to write into a folder.
func writeInto(path string) error {
	f, err := os.CreateTemp(path, ".ingot-check.*.partial")
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("Ingot looks whether it can write here.\n"))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// where finds out what the folder lies on.
func (c *PlaceCheck) where() error {
	on, err := disk.Under(c.Path)
	if err != nil {
		return err
	}
	c.Mount, c.FSType, c.Volume, c.System = on.Mount, on.FSType, on.Volume, on.System
	for _, d := range on.Disks {
		c.Disks = append(c.Disks, PlaceDisk{d.Path, d.Model, d.Serial, d.Bus})
	}
	store, err := folder.New(c.Path)
	if err != nil {
		return err
	}
	if c.Free, err = store.Free(context.Background()); err != nil {
		return err
	}
	c.MaxFile, err = store.MaxFile()
	return err
}

// apart looks whether it lies on a disk that is to be imaged: on it, or on a
// file that is one.
func (c *PlaceCheck) apart(disks []string) error {
	for _, path := range disks {
		f, err := disk.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // what is not there holds nothing
		}
		if err != nil {
			return err
		}
		held, err := disk.HoldsPath(f, c.Path)
		if held {
			c.Source, c.Off = path, c.offset(f)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if held {
			return fmt.Errorf("it lies on %s, which is to be imaged", path)
		}
	}
	return nil
}

// offset is where on the disk the partition begins that it lies in.
func (c *PlaceCheck) offset(f *disk.File) int64 {
	uses, err := f.Users()
	if err != nil {
		return -1
	}
	for _, u := range uses {
		if u.Kind == disk.UseMount && u.Where == c.Mount {
			return u.Off
		}
	}
	return -1
}

// CheckPlace finds out whether backups of disks can be kept in a folder.
func (c *Client) CheckPlace(ctx context.Context, path string, disks []string) (p PlaceCheck, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/places/check", PlaceRequest{path, disks}, &p)
	return p, err
}
