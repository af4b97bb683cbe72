// Package notify gives word of a run to its owner: by e-mail, webhook, a ping of
// a service that watches over backups, the log of the system, and a file for
// the Prometheus node exporter.
//
// A Channel is one way, with the events it is for and a limit of time. Tell
// gives a Message to all channels at once and comes back when the last of them
// has ended or its limit has passed. What went wrong is a list of errors, which
// the caller turns into warnings: a backup never fails because nobody could be
// told.
//
// Texts come from a Message by way of text/template, of which only fields,
// conditions and lists are allowed, so that a template can neither run for ever
// nor reach anything else. No text becomes a header of a mail or a part of a
// URL. The URLs of webhooks and pings are secrets: no error names more of them
// than the host.
//
// The package does not promise that a message arrives: a mail server that
// accepts a mail has the word of it.
package notify
