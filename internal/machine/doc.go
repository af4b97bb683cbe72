// Package machine is what a run asks of the computer it is on: to be no burden
// (SetPriority), to stay awake (StayAwake), whether it runs on battery (Power),
// and what is to become of it and of the drive with the backups afterwards (Act,
// Detach).
//
// Where a system cannot do something the error says so, and the caller turns it
// into a warning: none of this decides whether there is a backup. The decisions,
// such as which drive may be taken away, are apart from the calls that do it.
package machine
