package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// At is the type of what is mounted on a folder, such as Type; "" when nothing
// is. The folder is named without links.
func At(dir string) (string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find out what is mounted on %s: %w", dir, err)
	}
	return at(b, dir), nil
}

// at finds the last mount on a folder. Source: proc_pid_mountinfo(5).
func at(mountinfo []byte, dir string) (typ string) {
	for line := range bytes.Lines(mountinfo) {
		front, back, ok := strings.Cut(string(line), " - ")
		fields, rest := strings.Fields(front), strings.Fields(back)
		if ok && len(fields) >= 5 && len(rest) > 0 && unescape(fields[4]) == dir {
			typ = rest[0]
		}
	}
	return typ
}

// unescape undoes the octal escapes of blanks and the like.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// Dead says whether a folder is a mount whose server has ended without unmounting
// it.
func Dead(dir string) bool {
	var st unix.Statfs_t // which the kernel does not know by heart
	return errors.Is(unix.Statfs(dir, &st), unix.ENOTCONN)
}

// Unmount unmounts a folder. With lazy it goes out of sight at once, and ends when
// nobody has anything of it open.
func Unmount(dir string, lazy bool) error {
	err := unmount(dir, lazy)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

func unmount(dir string, lazy bool) error {
	if os.Geteuid() == 0 {
		flags := unix.UMOUNT_NOFOLLOW
		if lazy {
			flags |= unix.MNT_DETACH
		}
		err := unix.Unmount(dir, flags)
		if errors.Is(err, unix.EBUSY) {
			return ErrBusy
		}
		return err
	}
	args := []string{"-u", dir}
	if lazy {
		args = []string{"-u", "-z", dir}
	}
	tool, err := exec.LookPath("fusermount3")
	if err != nil {
		tool = "fusermount"
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	switch {
	case err == nil:
		return nil
	case bytes.Contains(out, []byte("busy")):
		return ErrBusy
	}
	return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
}
