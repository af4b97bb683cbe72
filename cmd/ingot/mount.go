package main

import "github.com/spf13/cobra"

// mountFlags are the flags of ingot mount.
type mountFlags struct {
	writeFlags
	systemFlags
	allowOther, background bool
	child                  bool // this is the process that --background starts
}

func newMount(c *console) *cobra.Command {
	var fl mountFlags
	cmd := &cobra.Command{
		Use:   mountUse,
		Short: "Show an image as a folder of files (Linux), or as a disk (Windows)",
		Long: `Show what is in an image in the folder DIR, which is made when it is not there:

  disk.raw         the whole disk, as it was
  partition-3.raw  one partition
  3-Windows        the files of a partition whose file system is known here

Several disks are disk-1.raw, disk-1-partition-3.raw, disk-1-3-Windows, disk-2.raw.
Nothing is unpacked: blocks are fetched when somebody reads them. Files have the
owners, modes, times, links and extended attributes they had; on NTFS a stream is
the attribute user.NAME, and system.ntfs_acl, system.ntfs_attrib and
system.ntfs_reparse_data can be asked for, as ntfs-3g has it. Links are shown as
they are: an absolute one leads out of DIR.

A disk, a virtual disk (VHDX, VHD, qcow2, VMDK), a folder with a Windows system
image or one of Clonezilla can stand in the place of an image.

` + pointHelp + `

It stays until Ctrl-C, 'ingot umount DIR' or 'umount DIR'; with --background the
command returns when all can be seen. Only you can look into DIR, unless you say
--allow-other; the .raw files stay yours then, too.

With --write disk.raw and partition-N.raw can be written to, by a virtual machine
or through a loop device. That goes to a temporary file, encrypted with a key that
is nowhere but in memory, and is dropped at the end, or becomes a new incremental
of the set with --save. The files of the set are never changed, and the folders of
files go on showing what is in the image.

All this is so on Linux, through FUSE (package fuse3, unless you are root).

On Windows it is 'ingot mount IMAGE[@TIME]', as administrator, and the image
becomes a disk of Windows, which gives letters to its partitions. That costs a copy:
what file systems use is written to a temporary .vhdx file first, in blocks of 1 to
32 MiB, in a folder that only you and administrators may look into, below --temp-dir
or the system's folder for temporary files. It is not encrypted there, even when the
image is. There has to be room for it, on a drive with NTFS that is not compressed.
The disk is read-only; with --write it takes writes, into the temporary file, which
is dropped with them: --save, --allow-other and --background are of Linux. The disk
stays when the command ends, until 'ingot umount' with the path of the disk or the
image, which removes the file as well; after a restart of Windows do that, too.
While the disk that was imaged is in the machine Windows may leave the copy
off-line, since both have the same identity. The attaching itself has not been run
on a real Windows yet. 'ingot convert', or 'ingot ls' and 'ingot cp', are other ways.`,
		Example: `  ingot mount /mnt/backup ~/pc
  cp -a ~/pc/3-Windows/Users/me/Documents .
  ingot mount /mnt/backup@2026-11-24 /mnt/pc --background
  sudo mount -o loop,ro,noload /mnt/pc/partition-2.raw /mnt/linux
  ingot mount /mnt/backup ~/pc --write --save
  ingot umount /mnt/pc
  ingot mount E:\backup@2026-11-24        (Windows)
  ingot umount E:\backup@2026-11-24`,
		Args: args(cobra.ExactArgs(mountArgs)),
		RunE: func(cmd *cobra.Command, a []string) error { return c.mount(cmd.Context(), a, &fl) },
	}
	f := cmd.Flags()
	f.BoolVar(&fl.allowOther, "allow-other", false, "let other users look into DIR, as far as the owners of files let them")
	f.BoolVar(&fl.background, "background", false, "return when it is mounted")
	f.BoolVar(&fl.child, "background-child", false, "")
	_ = f.MarkHidden("background-child")
	fl.writeFlags.add(f)
	fl.systemFlags.add(f)
	return cmd
}

func newUmount(c *console) *cobra.Command {
	var lazy bool
	cmd := &cobra.Command{
		Use:   umountUse,
		Short: "End a mount of an image",
		Long: `End what 'ingot mount' shows in DIR, and what is left of a mount whose program was
killed. When something of it is in use this is refused; with --lazy it goes out
of sight at once and ends when nobody uses it any more.

On Windows name the path of the disk, of the temporary file or of the image, as
'ingot mount' told it: the disk is detached, and the temporary file removed with all
that was written. It does not ask whether files of the disk are open.`,
		Example: `  ingot umount /mnt/pc
  ingot umount /mnt/pc --lazy`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error { return c.umount(a[0], lazy) },
	}
	cmd.Flags().BoolVar(&lazy, "lazy", false, "even when it is in use")
	return cmd
}

// childError is the error of the process that was to stay in the background.
type childError struct {
	Text string `json:"error"`
	Hint string `json:"hint"`
	Code int    `json:"exit_code"`
}

func (e *childError) Error() string { return e.Text }
