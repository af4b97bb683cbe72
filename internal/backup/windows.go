package backup

import (
	"cmp"
	"fmt"
	"slices"

	"ingot/internal/disk"
)

// bootSet is what Windows needs to start, as far as an offline disk tells:
// the partition with the boot manager and the BCD, that with Windows, the
// Microsoft reserved one and the recovery environment.
type bootSet struct {
	windows  *Part  // with \Windows\System32\config\SYSTEM
	boot     *Part  // ESP, or the active partition
	others   []Part // MSR, recovery
	warnings []string
}

// windowsSet looks for the set on a disk. What cannot be looked into (an
// encrypted or damaged volume) is not part of it, and a warning says so.
func windowsSet(l *disk.Layout, all []Part) *bootSet {
	s := new(bootSet)
	for i := range all {
		part := &all[i]
		has := func(path string) bool {
			ok, err := part.Volume.Contains(path)
			if err != nil {
				s.warnings = append(s.warnings, fmt.Sprintf("%s: looking for %s: %v", part.Name(), path, err))
			}
			return ok
		}
		switch {
		case part.MSR, part.Recovery:
			s.others = append(s.others, *part)
		case l.Scheme == disk.SchemeGPT && part.ESP:
			if s.boot == nil || has(`\EFI\Microsoft\Boot\BCD`) {
				s.boot = part
			}
		default:
			if part.Active && l.Scheme != disk.SchemeGPT {
				s.boot = part
			}
			if s.windows == nil && has(`\Windows\System32\config\SYSTEM`) {
				s.windows = part
			}
		}
	}
	if s.boot == nil {
		s.warnings = append(s.warnings, "no EFI system partition or active partition was found: the image will not start by itself")
	}
	return s
}

func (s *bootSet) complete() bool { return s.windows != nil && s.boot != nil }

// parts are the members of the set in the order of the disk, each once.
func (s *bootSet) parts() []Part {
	out := slices.Clone(s.others)
	for _, p := range []*Part{s.boot, s.windows} {
		if p != nil && !slices.ContainsFunc(out, func(o Part) bool { return o.Number == p.Number }) {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b Part) int { return cmp.Compare(a.Off, b.Off) })
	return out
}

// within says whether all members are among the given partitions.
func (s *bootSet) within(parts []Part) bool {
	for _, m := range s.parts() {
		if !slices.ContainsFunc(parts, func(p Part) bool { return p.Number == m.Number }) {
			return false
		}
	}
	return true
}
