package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// supplies is where the kernel tells of power supplies
// (Documentation/ABI/testing/sysfs-class-power).
const supplies = "/sys/class/power_supply"

// Power says where the machine has its power from. One that does not tell has
// no battery.
func Power() (Supply, error) { return readSupplies(supplies) }

// readSupplies reads the supplies in the folder root. Batteries of devices, such
// as a mouse, do not count. A machine with any line connected runs on it.
func readSupplies(root string) (Supply, error) {
	s := Supply{Percent: -1}
	entries, err := os.ReadDir(root)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	line := false
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		switch kind := word(dir, "type"); {
		case kind == "Battery" && word(dir, "scope") != "Device":
			// With several the emptiest counts.
			if n, err := strconv.Atoi(word(dir, "capacity")); err == nil && (s.Percent < 0 || n < s.Percent) {
				s.Percent = n
			}
			s.Battery = s.Battery || word(dir, "status") == "Discharging"
		case kind == "Mains" || kind == "USB" || kind == "Wireless":
			line = line || word(dir, "online") == "1"
		}
	}
	s.Battery = s.Battery && !line
	return s, nil
}

func word(dir, file string) string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
