package service

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readLoad reads the first line of /proc/stat (proc(5): user, nice, system,
// idle, iowait, irq, softirq, steal) and when terminals were last read from.
// What runs at a lesser priority, as backups do, does not make a machine busy.
func readLoad() (load, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	l := parseStat(string(b))
	l.input = lastInput()
	return l, nil
}

func parseStat(s string) (l load) {
	line, _, _ := strings.Cut(s, "\n")
	for i, f := range strings.Fields(strings.TrimPrefix(line, "cpu ")) {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil || i >= 8 { // guest time is in user time already
			break
		}
		l.total += n
		if i != 1 && i != 3 && i != 4 {
			l.busy += n
		}
	}
	return l
}

// lastInput is when a terminal was last read from: what its device counts as
// access.
func lastInput() (last time.Time) {
	for _, pattern := range []string{"/dev/pts/[0-9]*", "/dev/tty[0-9]*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if at, ok := accessed(name); ok && at.After(last) {
				last = at
			}
		}
	}
	return last
}

func accessed(name string) (time.Time, bool) {
	var st unix.Stat_t
	if unix.Stat(name, &st) != nil {
		return time.Time{}, false
	}
	return time.Unix(st.Atim.Unix()), true
}
