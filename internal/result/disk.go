package result

// Disk is a disk: of this machine, in a file, or as an image describes it. It is
// a line of "disks --json".
type Disk struct {
	Path       string      `json:"path,omitempty"`
	ByID       []string    `json:"by_id,omitempty"`
	Model      string      `json:"model,omitempty"`
	Serial     string      `json:"serial,omitempty"`
	Bus        string      `json:"bus,omitempty"`
	Removable  bool        `json:"removable,omitempty"`
	ReadOnly   bool        `json:"read_only,omitempty"`
	Scheme     string      `json:"scheme,omitempty"` // of the partition table: gpt, mbr, none
	ID         string      `json:"id,omitempty"`
	Size       int64       `json:"size_bytes"`
	Sector     int64       `json:"sector_bytes"`
	Physical   int64       `json:"physical_sector_bytes,omitempty"`
	Partitions []Partition `json:"partitions"`
	Warnings   []string    `json:"warnings,omitempty"`
	Notes      []string    `json:"notes,omitempty"`
	// Error is why the rest of the disk is not known.
	Error string `json:"error,omitempty"`
}

// Partition is a partition of a disk.
type Partition struct {
	Number     int      `json:"number"`
	Type       string   `json:"type,omitempty"`
	TypeName   string   `json:"type_name,omitempty"`
	Name       string   `json:"name,omitempty"`
	GUID       string   `json:"guid,omitempty"`
	FileSystem string   `json:"file_system"`
	Label      string   `json:"label,omitempty"`
	Serial     string   `json:"serial,omitempty"`
	Off        int64    `json:"offset_bytes"`
	Size       int64    `json:"size_bytes"`
	Used       int64    `json:"used_bytes"`
	Cluster    int64    `json:"cluster_bytes,omitempty"`
	Flags      []string `json:"flags,omitempty"` // ESP, MSR, recovery, active, boot, logical
	// Stored is what an image file holds of it.
	Stored int64 `json:"stored_bytes,omitempty"`
	Block  int64 `json:"block_bytes,omitempty"`
	// Whole is why all of it is copied, and not only what is in use.
	Whole    string   `json:"copied_whole,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// RecoveryKeys are the ids of the keys that open a BitLocker volume.
	RecoveryKeys []string `json:"recovery_keys,omitempty"`
}
