package main

import (
	"strings"
	"testing"
)

func TestWbadminArgs(t *testing.T) {
	for _, c := range []struct {
		source, target string
		critical       bool
		want           string // "" for an error
	}{
		{"C:", "E:", false, "start backup -backupTarget:E: -include:C: -quiet"},
		{`C:\, d:`, `E:\`, true, "start backup -backupTarget:E: -include:C:,d: -allCritical -quiet"},
		{`\\?\Volume{9b9cfbc3-369e-11e9-a17c-806e6f6e6963}\`, `\\server\my share`, false, `start backup -backupTarget:\\server\my share -include:\\?\Volume{9b9cfbc3-369e-11e9-a17c-806e6f6e6963} -quiet`},
		{"C:", "c:", false, ""}, {"C:", "/mnt/backup", false, ""}, {"C:", `E:\folder`, false, ""}, {"C:", "", false, ""},
		{"/dev/sda", "E:", false, ""}, {"C: -quiet", "E:", false, ""}, {"", "E:", false, ""}, {"C:", `\\?\C:\x`, false, ""}, {"C:", `\\server`, false, ""},
	} {
		got, err := wbadminArgs(c.source, c.target, c.critical)
		if (err != nil) != (c.want == "") || err == nil && strings.Join(got, " ") != c.want {
			t.Errorf("%q to %q: %q, %v", c.source, c.target, got, err)
		}
	}
}
