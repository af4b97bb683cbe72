// Package plan is what the user wants done: which backups to make, when, how,
// and which to keep, as data. It opens nothing, runs nothing and asks no clock;
// engines and service read it.
//
//   - Definition is a whole backup definition: sources, destinations, options,
//     hooks, notifications (definition.go, notify.go).
//   - Schedule says when it runs (when.go). Next and Prev are its occurrences
//     by the clock of a time zone (occur.go), Definition.Due is what a service
//     asks (due.go). The time is an argument of each.
//   - Retention says which backups are kept (retention.go).
//
// The zero value of each struct is the documented default.
package plan
