// Package wib finds its way in the WindowsImageBackup folders that "Backup and
// Restore (Windows 7)" and wbadmin write: which computers, backups and volumes
// there are, and what the files beside the virtual disks say of them.
//
// Find takes any folder of such a tree, or the root of the drive that holds it,
// lists it and reads BackupSpecs.xml (which volumes were chosen, their letters
// and labels) and the documents of the components. It opens no virtual disk:
// each .vhd or .vhdx is one volume in a disk of its own, and is somebody else's
// to read.
//
// What it does not promise: the two catalogs and the cache of SPP are binary and
// not documented, and are not looked into; nor is the layout of the disks, which
// the ASR writer keeps in a form of its own. Older versions of a backup lie in
// shadow copies of the drive and are not found.
package wib
