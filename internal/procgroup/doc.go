// Package procgroup starts a child process in a group of its own, so that it
// ends with all processes it starts: on Linux a process group, on Windows a job
// object. When the parent ends, so does the child.
//
// It does not promise to find processes that leave their group by themselves
// (setsid), nor on Windows those that are started before the child is in its
// job.
package procgroup
