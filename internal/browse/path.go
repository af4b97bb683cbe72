package browse

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"ingot/internal/filesys"
)

// maxLinks is how many links are followed on one way, as Linux has it.
const maxLinks = 40

// Folded says whether names that differ in case alone are one name here.
func (v *Volume) Folded() bool {
	t := strings.ToLower(v.Info.Type)
	return t == "ntfs" || strings.HasPrefix(t, "fat") || t == "exfat"
}

// Resolve gives the path by which Files knows what a person has named, and what
// is there. Links to folders on the way are followed within the volume; the last
// name is followed with follow only. On volumes of Windows a backslash divides
// names unless there is a name with one.
func (v *Volume) Resolve(name string, follow bool) (string, fs.FileInfo, error) {
	if v.Folded() && strings.Contains(name, `\`) {
		p, info, err := v.resolve(name, follow)
		if !errors.Is(err, fs.ErrNotExist) {
			return p, info, err
		}
		name = CleanPath(strings.ReplaceAll(name, `\`, "/"))
	}
	return v.resolve(name, follow)
}

func (v *Volume) resolve(name string, follow bool) (string, fs.FileInfo, error) {
	info, err := v.Files.Lstat(".")
	if err != nil {
		return "", nil, err
	}
	at, rest := ".", split(name)
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		if info, err = v.Files.Lstat(next); err != nil {
			return "", nil, err
		}
		rest = rest[1:]
		if info.Mode().Type() != fs.ModeSymlink || len(rest) == 0 && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", nil, &fs.PathError{Op: "follow", Path: next, Err: errors.New("too many links on the way")}
		}
		if rest, err = v.through(next, at, rest); err != nil {
			return "", nil, err
		}
		at = "."
		if len(rest) == 0 { // it leads to the root
			info, err = v.Files.Lstat(at)
		}
	}
	return at, info, err
}

// through is the way from the root that a link leads, and on by the names in
// rest. Of two dots the name before goes, whatever it is.
func (v *Volume) through(link, folder string, rest []string) ([]string, error) {
	target, err := v.Files.ReadLink(link)
	if err != nil {
		return nil, err
	}
	to, absolute, ok := v.within(target)
	if !ok {
		return nil, &fs.PathError{Op: "follow", Path: link, Err: fmt.Errorf("it leads to %s, which is not on this volume", target)}
	}
	var way []string
	if !absolute {
		way = split(folder)
	}
	for _, name := range to {
		if name == ".." {
			way = way[:max(len(way)-1, 0)]
			continue
		}
		way = append(way, name)
	}
	return append(way, rest...), nil
}

// windowsTarget is a target with a drive.
var windowsTarget = regexp.MustCompile(`^([A-Za-z]):[\\/]`)

// within takes the target of a link apart; ok is false for one that leads to
// another volume.
func (v *Volume) within(target string) (names []string, absolute, ok bool) {
	if !v.Folded() {
		return links(target, "/"), strings.HasPrefix(target, "/"), true
	}
	if m := windowsTarget.FindStringSubmatch(target); m != nil {
		return links(target[2:], `\/`), true, v.Letter == "" || strings.EqualFold(v.Letter, m[1])
	}
	if strings.HasPrefix(target, `\\`) {
		return nil, false, false
	}
	return links(target, `\/`), strings.HasPrefix(target, `\`) || strings.HasPrefix(target, "/"), true
}

// links divides a target into names, with .. but without . among them.
func links(target, dividers string) []string {
	out := strings.FieldsFunc(target, func(r rune) bool { return strings.ContainsRune(dividers, r) })
	return slices.DeleteFunc(out, func(n string) bool { return n == "." })
}

// join is the path of a name in a folder. A name that would lead elsewhere is an
// error; no file system gives one, unless it is damaged in a way nobody saw.
func join(folder, name string) (string, error) {
	if err := checkNameFor(name, false); err != nil {
		return "", err
	}
	if folder == "." {
		return name, nil
	}
	return folder + "/" + name, nil
}

// split divides a path of io/fs into its names.
func split(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

// Stream takes the name of a stream off a path, such as file:stream; ok is false
// when nothing there has one of that name.
func (v *Volume) Stream(name string) (fs.File, bool) {
	at := strings.LastIndexByte(name, ':')
	if at < 0 || strings.ContainsAny(name[at:], `/\`) {
		return nil, false
	}
	_, info, err := v.Resolve(name[:at], true)
	if err != nil {
		return nil, false
	}
	s, ok := info.Sys().(filesys.Streams)
	if !ok {
		return nil, false
	}
	f, err := s.OpenStream(name[at+1:])
	return f, err == nil
}
