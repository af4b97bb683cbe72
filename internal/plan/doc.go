// Package plan is what the user wants done: which backups to make and which to
// keep, as data. It opens nothing, runs nothing and decides nothing; the
// engines read it.
//
// So far it holds the rules of retention. The zero value of each of its
// structs is the documented default.
package plan
