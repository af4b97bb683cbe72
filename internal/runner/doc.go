// Package runner runs a backup definition from the first check to the word to its
// owner.
//
// A run is: the destinations are looked at; the sources are matched anew to
// today's disks (Match); hooks before; the first usable destination with room
// enough is taken and the set of each disk locked there; an image is taken of
// each disk; hooks after; the destination is detached, the owner told, and last
// the machine put to rest. Whatever goes wrong on the way, the rest of what is
// due still comes: hooks that undo what others did, the word to the owner, the
// report.
//
// How an image is taken is not known here: an Imager does it. What a run asks of
// the machine is in Env, as functions, so that tests decide without a battery or
// a drive to pull out.
//
// Snapshots are not made yet: the source has to hold still until its image is
// complete, so the hooks that follow a snapshot run when the last image is. What
// a hook before it has stopped must not begin earlier.
package runner
