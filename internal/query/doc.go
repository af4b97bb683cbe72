// Package query asks the program about disks, image folders, images and the
// files in them: each question is a child process of the program with --json, so
// that whatever a damaged or hostile image does to the code that reads it ends
// with a failed question, and not with the process that asked.
//
// In words: Tools puts the command line together (no shell; what the caller
// gives stands behind "--" and is never a flag), starts the child in a process
// group of its own, reads its lines as long as they stay within the bounds,
// and turns its end into a result or an *Error. The group is killed when the
// context or the time ends, the answer is too large, or enough of it was read;
// nothing of it is left when a method comes back. A password goes over the
// standard input.
//
//   - query.go: the questions. read.go: the contents of a file.
//   - child.go: one child, its bounds and its end. error.go: what it says then.
//
// What it does not promise: that the answer is true. It comes from disks and
// images, and its texts may hold anything. Nor does it bound the memory of the
// child, or who may ask: that is for the caller.
package query
