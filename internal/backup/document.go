package backup

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"ingot/internal/disk"
	"ingot/internal/image"
	"ingot/internal/plan"
)

// Naming says how the image file is called and what it says of its making.
type Naming struct {
	// Template is the name up to "-00-00.mrimgx"; "" is "{IMAGEID}". It may
	// hold {IMAGEID}, {DATE}, {TIME}, {HOST} and {DISK}.
	Template string
	Time     time.Time
	Host     string
	Disk     string
	// Destination is the folder, for the record in the image.
	Destination string
	Version     string
}

// Extension is that of image files of the layout.
const Extension = ".mrimgx"

// Full is the name of the first file of a full with this id.
func (n Naming) Full(imageID string) string { return n.file("", imageID, &Target{}, 0) }

// file is the name of file number part, counted from 0, of a new image: with this
// id for a full, unless the stem of its name is known, else with the name of the
// set it goes into.
func (n Naming) file(stem, imageID string, target *Target, part int64) string {
	if b := target.base; b != nil {
		return fmt.Sprintf("%s-%02d-%02d%s", setName(b.Member.Name), b.Increment, b.Number+part, Extension)
	}
	if stem != "" {
		return fmt.Sprintf("%s-00-%02d%s", stem, part, Extension)
	}
	t := n.Template
	if t == "" {
		t = "{IMAGEID}"
	}
	name := strings.NewReplacer(
		"{IMAGEID}", imageID,
		"{DATE}", n.Time.Format("2006-01-02"),
		"{TIME}", n.Time.Format("150405"),
		"{HOST}", n.Host,
		"{DISK}", n.Disk,
	).Replace(strings.TrimSuffix(t, Extension))
	return fmt.Sprintf("%s-00-%02d%s", strings.Map(plainRune, name), part, Extension)
}

// setName is what the file names of a set begin with.
func setName(file string) string {
	name := strings.TrimSuffix(file, path.Ext(file))
	return memberNumbers().ReplaceAllString(name, "")
}

// memberNumbers matches the two numbers at the end of a file name.
func memberNumbers() *regexp.Regexp { return regexp.MustCompile(`-[0-9]{2,5}-[0-9]{2,5}$`) }

// plainRune keeps out what file systems of either kind do not take in a name.
func plainRune(r rune) rune {
	if r < ' ' || strings.ContainsRune(`<>:"/\|?*`, r) {
		return '_'
	}
	return r
}

// document is the JSON of the image to be.
func (p *Plan) document(n Naming) (*image.Document, error) {
	var id [24]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("make an image id: %w", err)
	}
	imageID := strings.ToUpper(hex.EncodeToString(id[:8]))
	guid := id[8:]
	guid[6], guid[8] = guid[6]&0x0F|0x40, guid[8]&0x3F|0x80 // RFC 9562, version 4
	def, err := p.definition()
	if err != nil {
		return nil, err
	}
	host := n.Host
	if host == "" {
		host, _ = os.Hostname()
	}
	doc := &image.Document{
		Auxiliary: image.Auxiliary{
			Definition: def, Destination: n.Destination, Bootable: p.Bootable,
			UniquePrefix: "imageid", Maker: n.Version,
		},
		Compression: image.Compression{Level: p.opts.Compression, Method: "zstd"},
		Encryption:  p.encryption(),
		Header: image.Header{
			BackupFormat: "partition", BackupType: "full", JSONVersion: 1, DiskCount: 1, MergedFiles: []int64{},
			BackupGUID: fmt.Sprintf("%x-%x-%x-%x-%x", guid[:4], guid[4:6], guid[6:8], guid[8:10], guid[10:16]),
			BackupTime: n.Time.Unix(), BackupsetTime: n.Time.Unix(),
			ImageID: imageID, NetBIOSName: strings.ToUpper(host),
		},
		Disks: []image.Disk{p.diskDocument()},
	}
	return doc, nil
}

// encryption is how a new set is encrypted, without what comes from the password.
func (p *Plan) encryption() image.Encryption {
	if p.opts.Encrypt == "" {
		return image.Encryption{AESType: "none"}
	}
	return image.Encryption{AESType: p.opts.Encrypt, Enable: true, Conceal: p.opts.Conceal}
}

// definition is the backup definition the image embeds, in the schema of the
// layout: that of the run, if it has one, with what is imaged.
func (p *Plan) definition() (json.RawMessage, error) {
	var v plan.VendorDefinition
	if p.opts.Definition != nil {
		v = *p.opts.Definition
	}
	src := plan.VendorDisk{Number: p.Source.Info.Number, Signature: p.Source.Layout.ID}
	for i := range p.Parts {
		src.Partitions = append(src.Partitions, p.Parts[i].Number)
	}
	v.Format, v.FileType, v.Disks = "partition", "image", []plan.VendorDisk{src}
	v.Comment, v.Compression, v.Intelligent = p.opts.Comment, p.opts.Compression, !p.opts.AllSectors
	return json.Marshal(v)
}

func (p *Plan) diskDocument() image.Disk {
	l, info := p.Source.Layout, p.Source.Info
	media := "fixed_media"
	if info.Removable {
		media = "removable_media"
	}
	format := "mbr"
	if l.Scheme == disk.SchemeGPT {
		format = "gpt"
	}
	d := image.Disk{
		Descriptor: image.DiskDescriptor{
			Description:  strings.TrimSpace(info.Vendor + " " + info.Model + " " + info.Revision),
			Manufacturer: info.Vendor, ProductID: info.Model, Revision: info.Revision, Serial: info.Serial,
		},
		// The geometry every PC has used since disks stopped having one.
		Geometry: image.DiskGeometry{
			BytesPerSector: l.SectorSize, DiskSize: l.Size, MediaType: media,
			SectorsPerTrack: 63, TracksPerCylinder: 255, Cylinders: l.Size / (63 * 255 * l.SectorSize),
		},
		Header: image.DiskHeader{
			Format: format, Number: int64(info.Number), Signature: l.ID,
			PartitionCount: int64(len(p.Parts)), ExtendedCount: int64(len(l.EBRs)),
		},
	}
	for i := range p.Parts {
		d.Partitions = append(d.Partitions, p.Parts[i].document(l.SectorSize))
	}
	return d
}

func (part *Part) document(sector int64) image.Partition {
	_, blocks := part.areas()
	info := &part.Info
	out := image.Partition{
		FileSystem: image.FileSystem{
			BitLocker: "none", Type: layoutType(info.Type), VolumeLabel: info.Label, PartitionIndex: int64(part.Number),
			Start: part.Off, End: part.Off + part.Len - 1, LCN0: part.Off + info.DataStart, ReservedLength: info.DataStart,
			FATOffset: info.FATOffset, MFTOffset: info.MFTOffset, MFTRecordSize: info.MFTRecordSize,
			TotalClusters: info.TotalClusters, FreeClusters: info.FreeClusters,
		},
		Geometry: image.PartitionGeometry{Start: part.Off, End: part.Off + part.Len - 1, Length: part.Len},
		Header: image.PartitionHeader{
			BlockCount: blocks.count(), BlockSize: part.BlockSize, Number: int64(part.Number),
		},
		Entry: image.PartitionEntry{
			Active: part.Active, BootSector: part.Off / sector, Sectors: part.Len / sector,
			Kind: "primary", Status: int64(part.Status), Type: int64(part.MBRType),
		},
	}
	out.FileSystem.Kind, out.FileSystem.Serial = info.Type, info.Serial
	if strings.HasPrefix(info.Type, "BitLocker") {
		out.FileSystem.BitLocker, out.FileSystem.VolumeGUID = "locked", info.Serial
		out.FileSystem.RecoveryKeys = info.RecoveryKeys
	}
	if info.MFTOffset > 0 {
		out.FileSystem.MFTOffset += part.Off
	}
	// In sectors of the disk, which need not be those of the file system.
	out.FileSystem.SectorsPerCluster = info.ClusterSize / sector
	if part.Logical {
		out.Entry.Kind = "logical"
	}
	if part.MBRType == 0 {
		out.Entry.Type = 0x07 // what a GPT partition is given, as in the vendor's images
	}
	return out
}

// layoutType is the file-system name that the layout knows.
func layoutType(t string) string {
	switch t {
	case "NTFS", "FAT32", "FAT16", "FAT12", "exFAT", "ReFS", "ext":
		return t
	case "ext2", "ext3", "ext4":
		return "ext"
	}
	return "unknown"
}
