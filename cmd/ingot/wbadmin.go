package main

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
)

// formatImage is the format of ingot image.
const formatImage = "mrimgx"

// formatWindows is the backup that Windows itself writes.
const formatWindows = "windows"

// windowsVolume is a volume as wbadmin takes it: a letter, or a GUID path.
var windowsVolume = regexp.MustCompile(`^([A-Za-z]:|\\\\\?\\Volume\{[0-9A-Fa-f-]{36}\})\\?$`)

// windowsTarget is a drive that gets the backup, or a share.
var windowsTarget = regexp.MustCompile(`^([A-Za-z]:\\?|\\\\[^\\/:*?"<>|]+\\[^"<>|]+)$`)

// wbadminArgs are the arguments of wbadmin for a backup of volumes ("C:,D:"), or of
// all that Windows needs, too.
func wbadminArgs(source, target string, critical bool) ([]string, error) {
	if !windowsTarget.MatchString(target) || strings.HasPrefix(target, `\\?\`) {
		return nil, fmt.Errorf(`--to is %q: with --format windows it is another drive (E:) or a share (\\server\share)`, target)
	}
	var volumes []string
	for v := range strings.SplitSeq(source, ",") {
		v = strings.TrimSpace(v)
		if !windowsVolume.MatchString(v) {
			return nil, fmt.Errorf("with --format windows name volumes as C: or C:,D: and not %q", v)
		}
		v = strings.TrimSuffix(v, `\`)
		if strings.EqualFold(v, strings.TrimSuffix(target, `\`)) {
			return nil, fmt.Errorf("%s cannot get a backup of itself", v)
		}
		volumes = append(volumes, v)
	}
	out := []string{"start", "backup", "-backupTarget:" + strings.TrimSuffix(target, `\`), "-include:" + strings.Join(volumes, ",")}
	if critical {
		out = append(out, "-allCritical")
	}
	return append(out, "-quiet"), nil
}

// imageWindows has Windows write its own kind of backup.
func (c *console) imageWindows(ctx context.Context, source string, fl *imageFlags) error {
	if fl.format != formatWindows {
		return usageError{fmt.Errorf("--format is %q: choose %s or %s", fl.format, formatImage, formatWindows)}
	}
	args, err := wbadminArgs(source, fl.to, fl.windows)
	if err != nil {
		return usageError{err}
	}
	if runtime.GOOS != "windows" {
		return refuse("--format windows has Windows write the backup (wbadmin), and this is %s. 'ingot image' without it takes an image here, and 'ingot export-windows' makes disks of it that Windows opens", runtime.GOOS)
	}
	if fl.dryRun {
		c.note("wbadmin %s would be run. Nothing was written.", strings.Join(args, " "))
		return nil
	}
	return runWbadmin(ctx, args, c.errs)
}
