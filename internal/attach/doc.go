// Package attach has Windows take a VHDX file for a disk of its own, and let go of
// it again (virtdisk.dll), and keeps a record of what it has taken.
//
// A mount is a folder that only the user, administrators and the system may look
// into (MakeFolder), a file in it, and a Record in the folder of records, which is
// written before the file is, so that what a killed program has left is found.
// Attach makes the disk and says which one it is; it stays when the program ends.
// Detach ends it, and Discard removes the file and its folder, but nothing that has
// not the name of a mount.
//
// The structures of the calls and the records are the same on all systems and
// tested there; the calls themselves are there on Windows only. What it does not
// promise: that a volume of the disk gets a letter, which is for Windows to decide.
package attach
