package query

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/internal/result"
)

// Defaults and bounds of Tools and its questions.
const (
	DefaultTimeout     = time.Minute
	DefaultReadTimeout = 12 * time.Hour
	MostFiles          = 100_000 // of a folder at a time
	MaxPassword        = 4096    // bytes

	mostDisks    = 1000
	mostVersions = 10_000
)

// Tools asks the program. The zero value but for Program is ready for use, and
// methods may be called side by side.
type Tools struct {
	Program []string // the command line that each question begins with
	// Timeout is what a question may take; 0 is DefaultTimeout.
	Timeout time.Duration
	// ReadTimeout is what it may take to read a file; 0 is DefaultReadTimeout.
	ReadTimeout time.Duration

	// password is a function so that the password is in no print of the struct.
	password func() []byte
}

// WithPassword gives Tools whose children are handed a password for encrypted
// images, over their standard input. It holds 1 to MaxPassword bytes and no end
// of a line.
func (t Tools) WithPassword(password []byte) (Tools, error) {
	if len(password) == 0 || len(password) > MaxPassword || bytes.ContainsAny(password, "\r\n") {
		return t, &Error{Text: fmt.Sprintf("a password has 1 to %d bytes and no end of a line", MaxPassword), Code: CodePassword}
	}
	kept := bytes.Clone(password)
	t.password = func() []byte { return bytes.Clone(kept) }
	return t, nil
}

func (t *Tools) timeout() time.Duration {
	if t.Timeout <= 0 {
		return DefaultTimeout
	}
	return t.Timeout
}

// command is a verb with its flags and what stands behind them.
func (t *Tools) command(verb string, flags []string, args ...string) []string {
	out := append([]string{verb}, flags...)
	if t.password != nil {
		out = append(out, "--password-stdin")
	}
	return append(append(out, "--"), args...)
}

// collect gathers the lines of an answer, at most most of them; more says that
// there are others.
func collect[T any](ctx context.Context, t *Tools, most int, command []string) (all []T, more bool, err error) {
	err = t.ask(ctx, func(line []byte) error {
		if len(all) == most {
			more = true
			return errEnough
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return &Error{Text: cut(fmt.Sprintf("the answer of ingot %s cannot be read: %v", command[0], err)), Code: -1}
		}
		all = append(all, v)
		return nil
	}, command...)
	return all, more, err
}

// one is the answer that is a single object.
func one[T any](ctx context.Context, t *Tools, command []string) (v T, some bool, err error) {
	all, more, err := collect[T](ctx, t, 1, command)
	if err == nil && (more || len(all) == 0) {
		err = &Error{Text: fmt.Sprintf("ingot %s gave no answer that makes sense", command[0]), Code: -1}
	}
	if len(all) > 0 {
		v, some = all[0], true
	}
	return v, some, err
}

// codeOf is the exit code of a failed question, 0 of one that went well.
func codeOf(err error) int {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case err != nil:
		return -1
	}
	return 0
}

// Disks lists the disks of the machine. What cannot be said of one is in its
// Error.
func (t *Tools) Disks(ctx context.Context) ([]result.Disk, error) {
	all, _, err := collect[result.Disk](ctx, t, mostDisks, t.command("disks", []string{"--json"}))
	return all, err
}

// Sets lists the backup sets in a folder. Points that cannot be restored and
// files that cannot be read are no error here: they say so themselves.
func (t *Tools) Sets(ctx context.Context, folder string) (result.Folder, error) {
	v, some, err := one[result.Folder](ctx, t, t.command("sets", []string{"--json"}, folder))
	if some && codeOf(err) == CodeDamaged {
		err = nil
	}
	return v, err
}

// Show tells what an image, FILE[@TIME] or FOLDER[@TIME], holds.
func (t *Tools) Show(ctx context.Context, image string) (result.Image, error) {
	v, _, err := one[result.Image](ctx, t, t.command("show", []string{"--json"}, image))
	return v, err
}

// Partitions lists the partitions of an image, FILE[@TIME] or FOLDER[@TIME].
func (t *Tools) Partitions(ctx context.Context, image string) ([]result.ImagePartition, error) {
	all, _, err := collect[result.ImagePartition](ctx, t, mostDisks, t.command("ls", []string{"--json"}, image+":"))
	if err == nil && slices.ContainsFunc(all, func(p result.ImagePartition) bool { return p.Partition == "" }) {
		err = &Error{Text: fmt.Sprintf("%s is no image", image), Code: CodeUsage}
	}
	return all, err
}

// List lists a folder in an image, in the order of the names: at most limit
// files, 1 to MostFiles; truncated says that there are more. A file that cannot
// be read has an Error and no Type; when it is the folder itself, its Path is
// that of the folder.
func (t *Tools) List(ctx context.Context, image, partition, path string, limit int) (files []result.File, truncated bool, err error) {
	ref, err := Ref(image, partition, path)
	if err != nil {
		return nil, false, err
	}
	if limit < 1 || limit > MostFiles {
		limit = MostFiles
	}
	files, truncated, err = collect[result.File](ctx, t, limit, t.command("ls", []string{"--json"}, ref))
	if codeOf(err) == codePartly {
		err = nil
	}
	return files, truncated, err
}

// Versions lists the versions of a file in all sets of a folder; partition ""
// is all that have it.
func (t *Tools) Versions(ctx context.Context, folder, partition, path string) ([]result.Version, error) {
	flags := []string{"--json"}
	if partition != "" {
		flags = append(flags, "--partition="+partition)
	}
	all, _, err := collect[result.Version](ctx, t, mostVersions, t.command("versions", flags, folder, path))
	if codeOf(err) == codePartly {
		err = nil
	}
	return all, err
}

// Preview is the calendar of a definition, by its file or name, for days days.
func (t *Tools) Preview(ctx context.Context, definition string, days int) (result.Preview, error) {
	v, _, err := one[result.Preview](ctx, t, []string{"plan", "preview", "--json", "--days=" + strconv.Itoa(days), "--", definition})
	return v, err
}

// Foresee says what a restore would do: flags are those of "restore" that choose
// partitions. What is in its way is the error, with CodeRefused.
func (t *Tools) Foresee(ctx context.Context, image, target string, flags ...string) (result.Restore, error) {
	v, _, err := one[result.Restore](ctx, t, t.command("restore", append([]string{"--json", "--dry-run"}, flags...), image, target))
	return v, err
}

// Ref names a file in a partition of an image as the program wants it. The
// partition is as ImagePartition has it.
func Ref(image, partition, path string) (string, error) {
	if image == "" || partition == "" || strings.ContainsAny(partition, "/\\:\x00") {
		return "", &Error{Text: fmt.Sprintf("%q is no partition of an image", partition), Code: CodeUsage}
	}
	return image + ":" + partition + "/" + strings.TrimLeft(path, "/"), nil
}
