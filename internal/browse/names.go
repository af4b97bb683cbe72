package browse

import (
	"fmt"
	"runtime"
	"strings"
)

// checkName fails for a name that cannot be that of a copy here. It stands before
// every use of a name that an image holds.
func checkName(name string) error {
	return checkNameFor(name, runtime.GOOS == "windows")
}

// checkNameFor is checkName for a machine with Windows, or without.
func checkNameFor(name string, windows bool) error {
	switch {
	case name == "", name == ".", name == "..", strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q cannot be the name of a file", name)
	case !windows:
		return nil
	case strings.ContainsAny(name, `<>:"|?*\`) || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 }):
		return fmt.Errorf("%q has a character that no name in Windows can have", name)
	case strings.HasSuffix(name, " ") || strings.HasSuffix(name, "."):
		return fmt.Errorf("%q ends with a blank or dot, which Windows leaves off", name)
	case device(name):
		return fmt.Errorf("%q is a device in Windows", name)
	}
	return nil
}

// device says whether Windows takes a name for one of its devices, whatever
// stands behind a dot in it ("Naming Files, Paths, and Namespaces").
func device(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, kind := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(base, kind); ok {
			switch n {
			case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
				return true
			}
		}
	}
	return false
}

// localTarget is where a link is to lead, as it is written here: a relative one
// of Windows has slashes.
func (v *Volume) localTarget(to string) string {
	if runtime.GOOS == "windows" || !v.Folded() || windowsTarget.MatchString(to) || strings.HasPrefix(to, `\`) {
		return to
	}
	return strings.ReplaceAll(to, `\`, "/")
}
