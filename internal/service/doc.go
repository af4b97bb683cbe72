// Package service keeps backups going by themselves: it reads the definitions,
// starts their runs when they are due, queues what would overlap, keeps the
// history, and says so when something does not happen.
//
// In words: Serve opens the history and takes up what the service before it
// left (a run that was under way is "interrupted" and queued again, what waited
// waits). Then it goes round: look at the definitions; ask plan.Definition.Due
// of each what is due; queue it; start what may start; sleep until the next
// moment, an event or a request. Each run is a process of its own ("ingot run
// NAME --json") in a process group of its own, whose JSON events become
// progress and a log; whatever happens to it is a failed run and nothing else.
//
//   - engine.go, due.go: which runs there are and which may start. It knows no
//     clock, process or file, so tests take it through years.
//   - service.go, start.go: the loop around it. child.go: one process.
//     errand.go: runs without a definition, which verify or restore.
//   - recorder.go, history.go, runlog.go: what is remembered. A run is queued
//     and its moment is done with in one transaction, so that a crash neither
//     loses nor doubles it.
//   - definitions.go: the folder; edit.go: definitions read and written from
//     outside, each change naming the version it is of; mounts.go, idle.go: what
//     schedules wait for.
//   - server.go, status.go, stream.go, metrics.go: HTTP over a local socket;
//     peer.go, listen.go: who is at its other end; grant.go: rights lent to a
//     process for a while; client.go: the other end.
//
// Roles: the administrator (and the user the service runs as) may do all;
// members of its group see and run what is defined; nobody else gets an answer.
// On Windows only the system and elevated administrators can open the pipe.
//
// What it does not promise: a history. When its database is damaged it is set
// aside, and when it cannot be written backups go on without it. Nor that a run
// is made at all while its definition is refused: the status says so.
package service
