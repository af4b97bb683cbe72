package result

import "time"

// File is a file or folder: a line of "ls --json" of a folder, of "tree" and of
// "find". What the file system does not know is left out. One that cannot be read
// has its Path and Error, and no Type.
type File struct {
	Path string `json:"path"` // from the root of its partition
	// PathHex is the path's bytes, when they are no UTF-8 and Path only
	// resembles them.
	PathHex    string         `json:"path_hex,omitempty"`
	Type       string         `json:"type"` // file, folder, link, pipe, socket, device
	Size       int64          `json:"size_bytes"`
	Modified   *time.Time     `json:"modified,omitempty"`
	Created    *time.Time     `json:"created,omitempty"`
	Accessed   *time.Time     `json:"accessed,omitempty"`
	Changed    *time.Time     `json:"changed,omitempty"`
	Mode       string         `json:"mode,omitempty"` // octal
	UID        *uint32        `json:"uid,omitempty"`
	GID        *uint32        `json:"gid,omitempty"`
	Attributes []string       `json:"attributes,omitempty"`
	Owner      string         `json:"owner_sid,omitempty"`
	Reparse    string         `json:"reparse_tag,omitempty"`
	Links      int            `json:"links,omitempty"`
	ID         uint64         `json:"id,omitempty"`
	Target     string         `json:"target,omitempty"`
	Streams    []string       `json:"streams,omitempty"`
	Xattrs     map[string]int `json:"xattr_bytes,omitempty"`
	Error      string         `json:"error,omitempty"`
}

// Version is a version of a file over the points in time, one behind the other,
// at which it was there: a line of "versions --json".
type Version struct {
	Disk      string     `json:"disk_id"`
	Partition string     `json:"partition"`
	Path      string     `json:"path,omitempty"`
	Status    string     `json:"status"`            // present, absent or unreadable
	Version   int        `json:"version,omitempty"` // equal numbers, equal contents
	Same      string     `json:"compared_by,omitempty"`
	Type      string     `json:"type,omitempty"`
	Size      int64      `json:"size_bytes"`
	Modified  *time.Time `json:"modified,omitempty"`
	Hash      string     `json:"sha256,omitempty"`
	First     time.Time  `json:"first"`
	Last      time.Time  `json:"last"`
	Image     string     `json:"image"` // the newest that has it so
	Points    int        `json:"points"`
	Error     string     `json:"error,omitempty"`
}
