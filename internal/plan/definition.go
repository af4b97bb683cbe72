package plan

import "time"

// Definition is everything Ingot has to know to make one backup, again and
// again. It is what a definition file holds. The zero value of each field is
// the default that its comment states; Check says what must be given.
type Definition struct {
	// Name is that of the definition and of its file, without ".xml": 1 to 64
	// letters, digits, '.', '_', '-' or blanks, of which the first is a letter
	// or digit. History and random delays go by it.
	Name string
	// Comment is kept in every image.
	Comment string
	// Disabled has no schedule start it; by hand it runs all the same.
	Disabled bool

	// Sources are what is imaged: at least one.
	Sources []Source
	// Destinations are where to, at least one. They are tried in order: the
	// next one when the first is absent, read-only or full.
	Destinations []Destination
	// Rotate has them be exchanged for each other instead, as drives that are
	// carried home in turn: the one that is there is taken and, when several
	// are, the one whose newest backup of this definition is the oldest.
	Rotate bool
	// FileName is the name of image files up to "-00-00.mrimgx"; "" is
	// "{IMAGEID}". See backup.Naming.
	FileName string

	// Template is the name of the template that Schedules and Retention were
	// taken from, for the record; they alone count.
	Template string
	// TimeZone is the zone whose clock the schedules go by, of the IANA
	// database ("Europe/Berlin"); "" is the machine's.
	TimeZone string
	// Schedules are when it runs; none: by hand only.
	Schedules []Schedule
	// Retention is which backups are kept.
	Retention Retention

	Options    Options
	Conditions Conditions
	Limits     Limits
	Hooks      []Hook
	Notify     Notify
	After      After
}

// SourceKind says how a Source names what is to be imaged.
type SourceKind string

// The kinds of sources.
const (
	SourceDisk    SourceKind = ""        // the disk in Disk, or its Partitions
	SourceWindows SourceKind = "windows" // the partitions needed to start Windows, of Disk or of the disk that has them
	SourceAll     SourceKind = "all"     // every fixed disk of the machine that is no destination
)

// Source is one disk, or what stands for several.
type Source struct {
	Kind SourceKind
	// Disk is for SourceDisk and may be given with SourceWindows.
	Disk DiskID
	// Partitions are those of Disk to image, for SourceDisk; none means all
	// that there are when it runs.
	Partitions []PartitionID
	// Gone says what happens when the disk, or one of the partitions, is not
	// there: GoneFail or GoneWarn.
	Gone Gone
}

// Gone says what a missing source is.
type Gone string

// The values of Gone.
const (
	GoneFail Gone = ""     // the run fails, and nothing is imaged
	GoneWarn Gone = "warn" // the rest is imaged, with a warning
)

// DiskID finds a disk again, whatever its number or letter is that day.
type DiskID struct {
	// ID is that of its partition table, as in disk.Layout: the disk GUID in
	// upper case (GPT) or the signature as eight upper-case hex digits (MBR).
	ID string
	// Serial is the serial number of the hardware. It decides between disks of
	// the same ID (clones), and stands in for an ID where there is none.
	Serial string
	// Model is for messages: "Samsung SSD 990".
	Model string
	// Path is a device or disk-image file. It is looked at when no disk of the
	// machine has ID or Serial, and taken if it has them; a Path alone is
	// taken as it is.
	Path string
}

// PartitionID finds a partition again on its disk: by its GUID, else (MBR) by
// where it begins. What has moved is followed by GUID, and said in the report.
type PartitionID struct {
	GUID   string // GPT: the unique GUID of the entry in upper case
	Off    int64  // bytes from the start of the disk
	Number int    // for messages, and for those who write a definition by hand: it counts only without GUID and Off
	Label  string // for messages
}

// Destination is a place for backups.
type Destination struct {
	// Path is a folder or a network share (\\server\share\folder).
	Path string
	// Volume is the UUID of the file system (Linux) or the GUID or serial
	// number of the volume (Windows) that Path must lie on. "" takes any: an
	// empty mount point too.
	Volume string
	// Mounted has Path lie on another volume than the system, so that backups
	// do not go to an empty mount point; for shares, which have no Volume.
	Mounted bool
}

// Options are how an image is made. They are those of backup.Options, as far
// as these are for the user.
type Options struct {
	Compression string // none, medium or high; "" is medium
	// Encrypt is aes-128, aes-192 or aes-256; "" is aes-256 when there is a
	// Password, and no encryption when there is none.
	Encrypt  string
	Conceal  bool        // keyed hashes instead of MD5s; Ingot alone restores it
	Password PasswordRef // of encrypted sets
	// Split is how large a file may become in bytes; 0 is what the destination
	// can hold, NoSplit is without limit.
	Split int64
	// Verify reads the finished image back and checks every block.
	Verify bool
	// AllSectors copies free space too, and page and hibernation files: the
	// contrary of intelligent copy.
	AllSectors bool
	// Exclude are patterns of files whose contents are left out.
	Exclude []string
	// Changes is how changes are found: all, which "" is too, or mft.
	Changes       string
	FullReadEvery int    // with mft; 0 is 10
	FullIndex     bool   // diffs and incs list every block
	OnReadError   string // zero, which "" is too, or stop
	BlockSize     int64  // bytes; 0 is chosen by the volume's size
	// AllowMounted images partitions that are mounted writable without a
	// snapshot. Their files may not fit together.
	AllowMounted bool
	TempDir      string // "" is the system's
	Workers      int    // 0 is chosen by cores and memory

	CPU Priority // of the run; "" is PriorityLow
	IO  Priority // "" is PriorityLow
	// Rate is the most that is written to the destination, in bytes a second;
	// 0 is no limit.
	Rate int64
	// AllowSleep lets the machine go to sleep while it runs.
	AllowSleep bool
}

// NoSplit is the Options.Split of files without limit.
const NoSplit = -1

// Priority is how much of the machine a run may have.
type Priority string

// The priorities.
const (
	PriorityLow    Priority = ""       // below all else: a backup is not to be noticed
	PriorityNormal Priority = "normal" // like any program
	PriorityHigh   Priority = "high"   // before others
	PriorityIdle   Priority = "idle"   // only what nobody else wants
)

// PasswordRef says where a password is. The password itself never stands in a
// definition. At most one of its fields is set; none: there is no password.
type PasswordRef struct {
	// File is an absolute path; the first line counts. Only the owner may
	// read it, see internal/trust.
	File string
	// Command is a program by its absolute path and its arguments, without a
	// shell; the first line it prints counts.
	Command []string
	// Protected is the absolute path of a file that Windows (DPAPI, for this
	// machine) keeps the password in.
	Protected string
}

// Given says whether there is a reference.
func (p PasswordRef) Given() bool { return p.File != "" || len(p.Command) > 0 || p.Protected != "" }

// Conditions are under which a scheduled run begins. One that does not is
// skipped and made up like a missed one. Runs by hand do not ask.
type Conditions struct {
	// SkipOnBattery has it not begin while the machine runs on battery, and
	// stop when mains power goes.
	SkipOnBattery bool
	// MinBattery in percent has it begin on battery while more than this is
	// left; 0 with SkipOnBattery is never on battery.
	MinBattery int
	// SkipOnMetered is for network destinations over a line that is paid by
	// volume, where the system says so.
	SkipOnMetered bool
}

// Limits bound a run.
type Limits struct {
	// Duration is how long a run may take before it is stopped; 0 is no limit.
	Duration time.Duration
	// Retries is how often a failed run is tried again, each RetryAfter later;
	// 0 is never.
	Retries    int
	RetryAfter time.Duration // 0 is DefaultRetryAfter
}

// DefaultRetryAfter is what 0 is for Limits.RetryAfter.
const DefaultRetryAfter = 10 * time.Minute

// HookPoint is when a Hook runs.
type HookPoint string

// The points, in the order of a run. Exactly one of the last three is passed.
const (
	BeforeSnapshot HookPoint = "before-snapshot"
	AfterSnapshot  HookPoint = "after-snapshot"
	AfterSuccess   HookPoint = "after-success"
	AfterWarning   HookPoint = "after-warning" // done, with warnings
	AfterFailure   HookPoint = "after-failure"
)

// Hook is a command of the user's that runs with a backup.
type Hook struct {
	At HookPoint
	// Command is a program by its absolute path and its arguments. No shell
	// takes part.
	Command []string
	Dir     string        // where it runs; "" is the root folder
	Timeout time.Duration // after which it is killed and has failed; 0 is DefaultHookTimeout
	// Stop has the run fail when this hook does, for the two points of the
	// snapshot. Otherwise that is a warning.
	Stop bool
}

// DefaultHookTimeout is what 0 is for Hook.Timeout.
const DefaultHookTimeout = 10 * time.Minute

// After is what happens when a run is over.
type After struct {
	// Detach syncs, unmounts and powers off the drive with the destination,
	// whatever became of the run, so that malware cannot reach it.
	Detach bool
	// Power is what becomes of the machine then.
	Power PowerAction
	// EvenIfFailed has Power act after a failed run too.
	EvenIfFailed bool
	// Delay is how long somebody has to stop Power; 0 is DefaultPowerDelay.
	Delay time.Duration
}

// DefaultPowerDelay is what 0 is for After.Delay.
const DefaultPowerDelay = time.Minute

// PowerAction is what is done with the machine.
type PowerAction string

// The actions.
const (
	PowerNothing   PowerAction = ""
	PowerShutDown  PowerAction = "shutdown"
	PowerHibernate PowerAction = "hibernate"
	PowerSuspend   PowerAction = "suspend"
	PowerReboot    PowerAction = "reboot"
)
