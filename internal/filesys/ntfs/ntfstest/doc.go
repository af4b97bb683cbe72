// Package ntfstest makes NTFS structures for tests: single MFT records, and
// simulated volumes of any size that need no disk.
//
// Huge is a block.Reader that answers reads of a volume from arithmetic: a
// boot sector, the system files' MFT records, a $Bitmap with evenly spread
// used runs, and cheap repeatable bytes everywhere else. The volume is one
// whose used map can be proven, and whose folders are empty.
//
// What is built here follows the same descriptions as package ntfs and so may
// share its misunderstandings; tests against volumes of real tools are what
// proves the parser.
package ntfstest
