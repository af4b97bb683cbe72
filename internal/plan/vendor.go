package plan

import (
	"cmp"
	"strings"
)

// VendorDefinition is a backup definition in the schema of the image layout
// (_auxiliary_data.backup_definition of schema/complete_schema.json), which every
// image embeds. It says how the image was made and holds no password, no
// reference to one, no command and no address of a web hook.
type VendorDefinition struct {
	AlternativeLocations []string        `json:"alternative_locations,omitempty"`
	AutoVerify           bool            `json:"auto_verify"`
	File                 string          `json:"backup_definition_file,omitempty"`
	Format               string          `json:"backup_format"` // partition, file_and_folder
	Comment              string          `json:"comment"`
	Compression          string          `json:"compression_level"`
	Consolidation        string          `json:"consolidation_type,omitempty"` // none, synthetic_full, incremental_merge
	CPU                  string          `json:"cpu_priority,omitempty"`       // idle, below_normal, normal, above_normal
	Disks                []VendorDisk    `json:"disks"`
	Space                *VendorSpace    `json:"disk_space_management,omitempty"`
	Email                *VendorEmail    `json:"email,omitempty"`
	FileType             string          `json:"file_type"` // image, file_and_folder
	FileName             string          `json:"filename,omitempty"`
	FileNameTemplate     string          `json:"filename_template,omitempty"`
	Intelligent          bool            `json:"intelligent_sector_copy"`
	LimitFileSize        bool            `json:"limit_file_size"`
	Shutdown             *VendorShutdown `json:"post_backup_shutdown,omitempty"`
}

// VendorDisk is a disk that is imaged, by the numbers it had then.
type VendorDisk struct {
	Number     int    `json:"number"`
	Partitions []int  `json:"partitions"`
	Signature  string `json:"signature"`
}

// VendorSpace are the rules of retention.
type VendorSpace struct {
	AllSets      bool         `json:"apply_to_all_sets_in_folder"`
	Differential VendorRetain `json:"differential_retention"`
	Full         VendorRetain `json:"full_retention"`
	Incremental  VendorRetain `json:"incremental_retention"`
	Forever      bool         `json:"incrementals_forever"`
	LowGB        int64        `json:"low_space_gb_threshold"`
	LowPurge     bool         `json:"low_space_purge"`
	RunBefore    bool         `json:"run_before"`
}

// VendorRetain is a limit on one type of backup.
type VendorRetain struct {
	Enable   bool   `json:"enable"`
	Interval int    `json:"interval"`
	Period   string `json:"period"` // count, days, weeks
}

// VendorEmail says who gets which mail. The mail server is no part of it.
type VendorEmail struct {
	FailureEnable     bool   `json:"failure_enable"`
	FailureRecipients string `json:"failure_recipients"`
	FailureSubject    string `json:"failure_subject"`
	FailureContent    string `json:"failure_content"`
	FailureLog        bool   `json:"failure_attach_log"`
	SuccessEnable     bool   `json:"success_enable"`
	SuccessRecipients string `json:"success_recipients"`
	SuccessSubject    string `json:"success_subject"`
	SuccessContent    string `json:"success_content"`
	SuccessLog        bool   `json:"success_attach_log"`
	WarningEnable     bool   `json:"warning_enable"`
	WarningRecipients string `json:"warning_recipients"`
	WarningSubject    string `json:"warning_subject"`
	WarningContent    string `json:"warning_content"`
	WarningLog        bool   `json:"warning_attach_log"`
}

// VendorShutdown is what becomes of the machine.
type VendorShutdown struct {
	Enable bool   `json:"enable"`
	Force  bool   `json:"force"`
	Level  string `json:"level,omitempty"` // none, shutdown, hibernate, suspend, reboot
}

// VendorDefinition is the definition as images embed it. What it images (Disks)
// is filled in from what is found when it runs.
func (d *Definition) VendorDefinition() *VendorDefinition {
	v := &VendorDefinition{
		AutoVerify: d.Options.Verify, File: d.Name + ".xml", Format: "partition", Comment: d.Comment,
		Compression: cmp.Or(d.Options.Compression, "medium"), CPU: vendorCPU(d.Options.CPU), Disks: []VendorDisk{},
		Space: d.Retention.vendor(), FileType: "image", FileNameTemplate: d.FileName,
		Intelligent: !d.Options.AllSectors, LimitFileSize: d.Options.Split > 0,
		Shutdown: &VendorShutdown{Enable: d.After.Power != PowerNothing, Level: string(d.After.Power)},
	}
	v.Consolidation = "incremental_merge"
	if d.Retention.SyntheticFull {
		v.Consolidation = "synthetic_full"
	}
	if len(d.Destinations) > 1 {
		for _, p := range d.Destinations[1:] {
			v.AlternativeLocations = append(v.AlternativeLocations, p.Path)
		}
	}
	if len(d.Notify.Mail) > 0 {
		v.Email = d.Notify.Mail[0].vendor()
	}
	return v
}

func vendorCPU(p Priority) string {
	switch p {
	case PriorityIdle:
		return "idle"
	case PriorityNormal:
		return "normal"
	case PriorityHigh:
		return "above_normal"
	}
	return "below_normal"
}

func (r *Retention) vendor() *VendorSpace {
	return &VendorSpace{
		AllSets: r.Scope == AllSets, Full: r.Full.vendor(), Differential: r.Differential.vendor(), Incremental: r.Incremental.vendor(),
		Forever: r.SyntheticFull, LowGB: r.MinFree / gib, LowPurge: r.MinFree > 0, RunBefore: r.PurgeBefore,
	}
}

// vendor is the limit in the units that the schema has. Months are so many
// weeks that nothing of them is cut off.
func (k Keep) vendor() VendorRetain {
	v := VendorRetain{Enable: k.On(), Interval: k.N, Period: "count"}
	switch k.Unit {
	case Days:
		v.Period = "days"
	case Weeks:
		v.Period = "weeks"
	case Months:
		v.Period, v.Interval = "weeks", (k.N*52+11)/12
	}
	return v
}

func (m *Mail) vendor() *VendorEmail {
	join := func(to []string) string { return strings.Join(to, ";") }
	return &VendorEmail{
		FailureEnable: m.Failure.On(), FailureRecipients: join(m.Failure.To), FailureSubject: m.Failure.Subject, FailureContent: m.Failure.Body, FailureLog: m.Failure.AttachLog,
		SuccessEnable: m.Success.On(), SuccessRecipients: join(m.Success.To), SuccessSubject: m.Success.Subject, SuccessContent: m.Success.Body, SuccessLog: m.Success.AttachLog,
		WarningEnable: m.Warning.On(), WarningRecipients: join(m.Warning.To), WarningSubject: m.Warning.Subject, WarningContent: m.Warning.Body, WarningLog: m.Warning.AttachLog,
	}
}
