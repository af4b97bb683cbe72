package trust

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// ErrUntrusted is wrapped by the error about a file that others could change.
var ErrUntrusted = errors.New("not trusted")

// Error says what is wrong with a path, and the command that mends it.
type Error struct {
	Path   string // that was asked about
	At     string // the file, folder or link that is at fault
	Reason string // "can be written by group and others (mode 0777)"
	Mend   string // a command for the administrator; "" when there is none
}

func (e *Error) Error() string {
	text := e.Path + " is not trusted: it " + e.Reason
	if e.At != e.Path {
		text = fmt.Sprintf("%s is not trusted: %s, on the way to it, %s", e.Path, e.At, e.Reason)
	}
	if e.Mend != "" {
		text += "; to mend it: " + e.Mend
	}
	return text
}

// Is makes errors.Is(err, ErrUntrusted) true.
func (e *Error) Is(target error) bool { return target == ErrUntrusted }

// kind is what is asked of the last object of a path.
type kind uint8

const (
	anyFile    kind = iota // nobody else may write it
	secretFile             // nor read it
	folder                 // a folder into which nobody else may put anything
)

// Open opens a file to read that nobody else could have written. The opened
// file is the one that was checked.
func Open(path string) (*os.File, error) { return open(path, anyFile) }

// OpenSecret opens a file that nobody else could have written, or read.
func OpenSecret(path string) (*os.File, error) { return open(path, secretFile) }

// Folder says whether a folder is one that nobody else can put anything into.
func Folder(path string) error {
	f, err := open(path, folder)
	if err != nil {
		return err
	}
	return f.Close()
}

// ReadFile reads a trusted file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}

// Command says whether a program is one that nobody else could have written, and
// so its interpreter and, for the usual interpreters, the script that is
// their argument. argv[0] is an absolute path.
func Command(argv []string) error {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return fmt.Errorf("the command %q is no program by its absolute path", argv)
	}
	if err := program(argv[0], 4); err != nil {
		return err
	}
	if !interpreter(argv[0]) {
		return nil
	}
	for _, a := range argv[1:] {
		if st, err := os.Stat(a); filepath.IsAbs(a) && err == nil && st.Mode().IsRegular() {
			return program(a, 4)
		}
	}
	return nil
}

// program checks a program and the interpreters it names in its first line.
func program(path string, depth int) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if depth == 0 {
		return fmt.Errorf("%s: too many interpreters of interpreters", path)
	}
	line, _ := bufio.NewReader(io.LimitReader(f, 512)).ReadString('\n')
	script, ok := strings.CutPrefix(line, "#!")
	if words := strings.Fields(script); ok && len(words) > 0 && runtime.GOOS != "windows" && filepath.IsAbs(words[0]) {
		return program(words[0], depth-1)
	}
	return nil
}

// interpreter says whether a program runs what its argument names.
func interpreter(path string) bool {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".exe")
	name = strings.TrimRight(name, "0123456789.")
	return slices.Contains([]string{"sh", "bash", "dash", "zsh", "ksh", "ash", "busybox", "fish", "python", "perl", "ruby", "node", "php", "lua",
		"env", "nice", "ionice", "nohup", "timeout", "setsid", "chroot", "cmd", "powershell", "pwsh", "cscript", "wscript"}, name)
}

// quote makes a path an argument of a shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%", r)
	}
	if runtime.GOOS == "windows" {
		return `"` + path + `"`
	}
	if !strings.HasPrefix(path, "-") && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
