// Package winimagetest makes folders as Windows writes its system images, as far
// as that is known: a virtual disk for each volume, in an MBR partition of its
// own, and the documents beside them.
package winimagetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

const mib = 1 << 20

// The GUIDs of the volumes.
const (
	VolumeC        = "9b9cfbc3-369e-11e9-a17c-806e6f6e6963"
	VolumeRecovery = "9b9cfbc4-369e-11e9-a17c-806e6f6e6963"
	VolumeReserved = "9b9cfbc5-369e-11e9-a17c-806e6f6e6963"
)

// volume is one of the disk that is backed up.
type volume struct {
	file, id, letter, label string
	start, size             int64
	mkfs                    []string // with the path behind it
	put                     []string // a file into it: %f is the file, %v the volume
	gpt, mbr                string   // arguments of sgdisk, type for sfdisk
}

func (v *volume) sectors() (start, size int64) { return v.start / 512, v.size / 512 }

// gptVolumes are those of a UEFI machine: the reserved partition lies between the
// first two.
func gptVolumes() []volume {
	return []volume{
		{file: "Esp.vhdx", start: mib, size: 40 * mib, mkfs: []string{"mkfs.vfat", "-F", "32", "-s", "1", "-h", "2048"}, put: []string{"mcopy", "-i", "%v", "%f", "::boot.efi"}, gpt: "ef00"},
		{file: VolumeC + ".vhdx", id: VolumeC, letter: "C:", label: "Windows", start: 57 * mib, size: 60 * mib, mkfs: ntfs(57 * mib / 512), put: []string{"ntfscp", "-f", "%v", "%f", "file.txt"}, gpt: "0700"},
		{file: VolumeRecovery + ".vhdx", id: VolumeRecovery, label: "Recovery", start: 117 * mib, size: 20 * mib, mkfs: ntfs(117 * mib / 512), put: []string{"ntfscp", "-f", "%v", "%f", "winre.wim"}, gpt: "2700"},
	}
}

// mbrVolumes are those of a BIOS machine, as Windows 7 makes them.
func mbrVolumes() []volume {
	return []volume{
		{file: VolumeReserved + ".vhd", id: VolumeReserved, label: "System Reserved", start: mib, size: 20 * mib, mkfs: ntfs(2048), put: []string{"ntfscp", "-f", "%v", "%f", "bootmgr"}, mbr: "7, bootable"},
		{file: VolumeC + ".vhd", id: VolumeC, letter: "C:", start: 21 * mib, size: 50 * mib, mkfs: ntfs(21 * mib / 512), put: []string{"ntfscp", "-f", "%v", "%f", "file.txt"}, mbr: "7"},
	}
}

func ntfs(start int64) []string {
	return []string{"mkntfs", "-q", "-Q", "-F", "-s", "512", "-c", "4096", "-p", fmt.Sprint(start), "-H", "255", "-S", "63"}
}

// Make makes a backup of a disk below dir, and gives the folder of the backup, and
// the disk as a raw file. gpt is a UEFI machine with VHDX, else one with BIOS and
// VHD. moved takes from the volumes what says where they began.
func Make(dir string, gpt, moved bool) (backup, raw string, err error) {
	volumes, name := mbrVolumes(), "SEVEN-PC"
	if gpt {
		volumes, name = gptVolumes(), "TEN-PC"
	}
	backup = filepath.Join(dir, "WindowsImageBackup", name, "Backup 2025-05-06 070809")
	raw = filepath.Join(dir, strings.ToLower(name)+".raw")
	if err := os.MkdirAll(backup, 0o755); err != nil {
		return "", "", err
	}
	if err := table(raw, gpt, volumes); err != nil {
		return "", "", err
	}
	for i := range volumes {
		if err := volumes[i].make(dir, backup, raw, moved); err != nil {
			return "", "", err
		}
	}
	return backup, raw, documents(backup, volumes)
}

func run(stdin, name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%s is missing: install gdisk, fdisk, dosfstools, mtools, ntfs-3g and qemu-utils", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}

// table makes the disk with its partitions.
func table(raw string, gpt bool, volumes []volume) error {
	last := volumes[len(volumes)-1]
	if err := errors.Join(os.WriteFile(raw, nil, 0o644), os.Truncate(raw, last.start+last.size+3*mib)); err != nil {
		return err
	}
	if !gpt {
		text := "label: dos\nlabel-id: 0x1a2b3c4d\n"
		for _, v := range volumes {
			start, size := v.sectors()
			text += fmt.Sprintf("start=%d, size=%d, type=%s\n", start, size, v.mbr)
		}
		return run(text, "sfdisk", "-q", raw)
	}
	args := []string{"-n", "2:41M:+16M", "-t", "2:0c01"}
	for i, n := range []int{1, 3, 4} {
		start, size := volumes[i].sectors()
		args = append(args, "-n", fmt.Sprintf("%d:%d:%d", n, start, start+size-1), "-t", fmt.Sprintf("%d:%s", n, volumes[i].gpt))
		if volumes[i].id != "" {
			args = append(args, "-u", fmt.Sprintf("%d:%s", n, volumes[i].id))
		}
	}
	return run("", "sgdisk", append(args, raw)...)
}

// make makes one volume: on the disk, and in a virtual disk of its own.
func (v *volume) make(dir, backup, raw string, moved bool) error {
	path, text, single := filepath.Join(dir, "volume"), filepath.Join(dir, "text"), filepath.Join(dir, "single")
	defer os.Remove(path)
	defer os.Remove(text)
	defer os.Remove(single)
	err := errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, v.size),
		os.WriteFile(text, bytes.Repeat([]byte("contents of "+v.file+"\n"), 5000), 0o644))
	if err == nil {
		err = run("", v.mkfs[0], append(v.mkfs[1:], path)...)
	}
	if err == nil {
		var args []string
		for _, a := range v.put {
			args = append(args, strings.NewReplacer("%v", path, "%f", text).Replace(a))
		}
		err = run("", args[0], args[1:]...)
	}
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if moved {
		binary.LittleEndian.PutUint32(b[28:], 128)
	}
	// Windows puts the volume into an MBR partition of a disk of its own.
	err = errors.Join(put(raw, b, v.start), os.WriteFile(single, nil, 0o644), os.Truncate(single, v.size+2*mib), put(single, b, 64<<10))
	if err == nil {
		err = run(fmt.Sprintf("label: dos\nstart=128, size=%d, type=7\n", v.size/512), "sfdisk", "-q", single)
	}
	format, options := "vhdx", "subformat=dynamic"
	if strings.HasSuffix(v.file, ".vhd") {
		format, options = "vpc", "subformat=dynamic,force_size=on"
	}
	return errors.Join(err, run("", "qemu-img", "convert", "-f", "raw", "-O", format, "-o", options, single, filepath.Join(backup, v.file)))
}

func put(path string, b []byte, off int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	return errors.Join(err, f.Close())
}

// documents writes what lies beside the disks.
func documents(backup string, volumes []volume) error {
	specs := `<BackupSpecs><FileSpecs>`
	for _, v := range volumes {
		if v.id != "" {
			specs += fmt.Sprintf(`<Volume Name="\\?\Volume{%s}\" AccessPath="%s" OriginalAccessPath="%s" Label="%s" OriginalLabel="%s"/>`, v.id, v.letter, v.letter, v.label, v.label)
		}
	}
	specs += `</FileSpecs><SystemState IsPresent="false"/><AllCritical IsPresent="true"/></BackupSpecs>`
	const set = "cd113385-65ff-4ea2-8ced-5630f6feca8f"
	components := `<BACKUP_COMPONENTS xmlns="x-schema:#VssComponentMetadata"><WRITER_COMPONENTS writerId="be000cbe-11fe-4426-9c58-531aa6355fc4">` +
		`<COMPONENT logicalPath="Disks" componentName="harddisk0"/></WRITER_COMPONENTS></BACKUP_COMPONENTS>`
	computer := filepath.Dir(backup)
	return errors.Join(
		os.WriteFile(filepath.Join(backup, "BackupSpecs.xml"), wide(specs), 0o644),
		os.WriteFile(filepath.Join(backup, set+"_Components.xml"), wide(components), 0o644),
		os.WriteFile(filepath.Join(computer, "MediaId"), []byte("0123456789abcdef"), 0o644),
		os.MkdirAll(filepath.Join(computer, "Catalog"), 0o755),
		os.WriteFile(filepath.Join(computer, "Catalog", "GlobalCatalog"), make([]byte, 7440), 0o644),
	)
}

// wide is text in UTF-16LE without a mark, with a zero at the end.
func wide(s string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
