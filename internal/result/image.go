package result

import (
	"encoding/json"
	"time"
)

// Image is what an image holds: what "show --json" prints.
type Image struct {
	File        string    `json:"file"`
	Size        int64     `json:"file_bytes"`
	ImageID     string    `json:"image_id"`
	GUID        string    `json:"backup_guid"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	Host        string    `json:"host"`
	Maker       string    `json:"maker"`
	Compression string    `json:"compression"`
	Comment     string    `json:"comment,omitempty"`
	Encryption  string    `json:"encryption"` // "none" without
	Sealed      bool      `json:"authenticated"`
	Bootable    bool      `json:"bootable"`
	Blocks      int64     `json:"blocks"`
	Raw         int64     `json:"raw_bytes"`
	Stored      int64     `json:"stored_bytes"`
	Disks       []Disk    `json:"disks"`
	// Definition is the definition it was made by, as it stands in the image.
	Definition json.RawMessage `json:"definition,omitempty"`
}

// ImagePartition is a partition that can be looked into: a line of "ls --json"
// of an image.
type ImagePartition struct {
	Partition  string `json:"partition"` // as it is named in a reference
	Size       int64  `json:"size_bytes"`
	FileSystem string `json:"file_system"`
	Label      string `json:"label,omitempty"`
	Letter     string `json:"letter,omitempty"`
	Readable   bool   `json:"readable"` // its files can be listed
	Reason     string `json:"reason,omitempty"`
}
