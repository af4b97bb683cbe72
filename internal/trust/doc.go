// Package trust says whether a file that tells a privileged program what to do
// could have been written by somebody else: a definition, a hook, a file with
// a password.
//
// A file is trusted when nobody but the system's administrators and the user of
// this process could change it or put another one in its place. So it is with
// the file itself, every folder above it and every symbolic link on the way.
// Each is looked at as it is walked through, from the root: on Linux by open
// descriptors, so that what was checked is what is opened. Nobody who is not
// trusted can change a way that is.
//
// Linux: owned by root or the user; not writable by group or others, by mode or
// by POSIX ACL. A folder that all may write to is passed when it is sticky, as
// /tmp is, since entries of other users stay what they are there.
//
// Windows: owned by, and its access list grants writing, deleting and changing
// the list to, no one but SYSTEM, Administrators, TrustedInstaller and the user.
// Above the folder of the file others may add entries, as they may in C:\ and
// ProgramData.
//
// It does not judge what a trusted program does, network file systems whose
// server decides by other lists, or administrators.
package trust
