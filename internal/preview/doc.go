// Package preview says what a definition will do: which runs its schedules make
// in the days to come, and what the rules of retention will hold then.
//
// It asks what a service asks (plan.Definition.Due) and decides as a run decides
// (retention.Decide), with a clock that it turns itself and backups that are
// nothing but their dates. It takes every run to succeed, at once, into an empty
// folder that never gets full, and events not to happen.
package preview
