package result

// Restore is the result of "ingot restore".
type Restore struct {
	Status   string   `json:"status"`
	Target   string   `json:"target"`
	Bytes    int64    `json:"bytes"`
	Seconds  float64  `json:"seconds"`
	Checked  bool     `json:"checked"`
	Warnings []string `json:"warnings"`
	// Of a dry run:
	Fingerprint string      `json:"fingerprint,omitempty"` // for --expect
	Table       bool        `json:"new_table,omitempty"`   // the partition table is written
	Disk        *Disk       `json:"disk,omitempty"`        // the target now, without what is in its partitions
	Lost        []Partition `json:"lost,omitempty"`        // partitions of it that are overwritten
	Holds       []Extent    `json:"will_hold,omitempty"`   // what is written
}

// Extent is a partition that will be written.
type Extent struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Off    int64  `json:"offset_bytes"`
	Size   int64  `json:"size_bytes"`
}
