// Package filesys tells what a partition holds and which of its bytes matter.
//
// Open probes a partition: file systems that have a package of their own are
// read by it, swap areas here; other file systems and containers are recognised
// by their magic numbers and named, with what their headers say of them: UUID,
// label, and the ids of the recovery keys of a BitLocker volume.
// A volume whose used map is not proven, for whatever reason, is one whose
// every byte counts as used, with the reason in Info.WholeReason; so the
// caller can copy what Used says in any case.
//
// Leave takes bytes out of a volume, or has them stored as zeros; Exclude does so
// with the contents of files whose paths match a pattern, after it has made sure
// that nobody else needs them.
//
// The package reads a few sectors for a probe and never writes. It does not
// promise that a volume is free of damage, only that its used map agrees with
// what the file system itself says.
package filesys
