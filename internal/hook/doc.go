// Package hook runs the commands that a backup definition names, within a limit
// of time.
//
// A command is a program with arguments; no shell is between. It gets its own
// process group (Windows: job), and when its time is over, or the run is
// interrupted, the whole group is asked to end and then killed. What it prints
// is kept up to a limit, its middle is left out. What it starts in the
// background and leaves behind when it ends by itself is let be.
//
// Whether a command may be run at all is not decided here: its definition is
// trusted, and the program must be checked by the caller.
package hook
