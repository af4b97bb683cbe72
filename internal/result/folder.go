package result

import "time"

// Folder is what a folder of images holds: what "sets --json" prints.
type Folder struct {
	Folder string   `json:"folder"`
	Sets   []Set    `json:"sets"`
	Broken []Broken `json:"unreadable"`
	// Windows are the system images that Windows wrote.
	Windows []WindowsImage `json:"windows_images,omitempty"`
}

// Set is a backup set: images of one disk that build on one another.
type Set struct {
	ID       string   `json:"image_id"`
	Host     string   `json:"host"`
	Disk     string   `json:"disk"`
	DiskID   string   `json:"disk_id"`
	Encrypt  string   `json:"encryption,omitempty"`
	Size     int64    `json:"bytes"`
	Points   []Point  `json:"points"`
	Leftover []string `json:"leftover_files,omitempty"`
	Orphans  []string `json:"orphaned_parts,omitempty"`
}

// Point is a point in time of a set.
type Point struct {
	File   string    `json:"file"` // its name in the folder
	Type   string    `json:"type"`
	Time   time.Time `json:"time"`
	Size   int64     `json:"bytes"`
	Number int64     `json:"file_number"`
	// Files are the names of all files that it is restored from, its own the last.
	Files  []string `json:"needs"`
	Merged []int64  `json:"merged_files,omitempty"`
	// Missing is why it cannot be restored.
	Missing string `json:"missing,omitempty"`
}

// Broken is a file that looks like an image and cannot be read.
type Broken struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// WindowsImage is a backup in a folder WindowsImageBackup.
type WindowsImage struct {
	Computer string          `json:"computer"`
	Folder   string          `json:"folder"`
	Begun    time.Time       `json:"begun"` // zero when it is not known
	Changed  time.Time       `json:"changed"`
	Whole    bool            `json:"all_critical"`
	Volumes  []WindowsVolume `json:"volumes"`
	Problems []string        `json:"problems"`
}

// WindowsVolume is a volume of a WindowsImage.
type WindowsVolume struct {
	Name string `json:"name"`
	File string `json:"file"`
	Size int64  `json:"file_bytes"`
	Disk int64  `json:"volume_bytes,omitempty"`
}
