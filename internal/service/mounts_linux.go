package service

import (
	"context"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountTable is the kernel's list of mounts: proc_pid_mountinfo(5).
const mountTable = "/proc/self/mountinfo"

// parseMounts gives the mounts of the table, each under a key that a mount has
// for itself, with where it is mounted.
func parseMounts(table string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
		point := unescape(f[4])
		out[strings.Join([]string{f[0], f[2], f[3], f[4]}, " ")] = point
	}
	return out
}

// unescape undoes the octal escapes of blank, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// watchMounts calls fn with the volumes there are, now and whenever they change,
// until ctx ends.
// The kernel says when the table has changed: poll(2) gives POLLERR and POLLPRI.
func watchMounts(ctx context.Context, fn func(map[string]string)) error {
	// An os.File would be watched by the runtime as well, which would take the
	// word of a change for itself: it is given once to each open file.
	fd, err := unix.Open(mountTable, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	quit, wake, err := os.Pipe()
	if err != nil {
		return err
	}
	defer quit.Close()
	stop := context.AfterFunc(ctx, func() { _ = wake.Close() })
	defer func() {
		if stop() {
			_ = wake.Close()
		}
	}()
	for ctx.Err() == nil {
		table, err := readMounts()
		if err != nil {
			return err
		}
		fn(table)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}, {Fd: int32(quit.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
	}
	return nil
}

func readMounts() (map[string]string, error) {
	b, err := os.ReadFile(mountTable)
	return parseMounts(string(b)), err
}
