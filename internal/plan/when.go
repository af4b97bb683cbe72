package plan

import "time"

// Kind is what makes a Schedule due.
type Kind string

// The kinds. The first four are of the clock, the others of events.
const (
	Daily    Kind = ""         // at At on Days: daily, on weekdays, weekly
	Monthly  Kind = "monthly"  // at At on Day, or on the Nth Weekday, of Months
	Interval Kind = "interval" // every Every between From and To on Days
	Once     Kind = "once"     // at At on Date

	AtStart   Kind = "startup" // when the machine, or the service, has started
	OnIdle    Kind = "idle"    // when nobody has used the machine for IdleFor
	OnPlugged Kind = "plugged" // when a destination of the definition appears
)

// Schedule is when one type of backup is made. Several schedules of a
// definition that are due together make one run, of the type that holds most:
// full before differential before incremental.
type Schedule struct {
	// Type of the backup. "" is incremental; what has nothing to be based on
	// becomes a full anyway.
	Type Type
	Kind Kind

	At   Clock    // Daily, Monthly, Once: when the day's clock says so
	Days Weekdays // Daily, Interval: 0 is all

	// Monthly: the Day of the month from 1 to 31, or LastDay, when Nth is 0. A
	// day that a month does not have is its last. Else the Nth Weekday, from 1
	// to 4, or Last.
	Day     int
	Nth     int
	Weekday time.Weekday
	Months  MonthSet // 0 is all

	Date Date // Once

	// Interval: the day's runs begin at From, each Every after the one before,
	// up to and with To. Equal (as when both are 0) is the whole day; To before
	// From is over midnight. Every is whole minutes from 1 minute to 24 hours.
	Every    time.Duration
	From, To Clock

	IdleFor time.Duration // OnIdle: 0 is DefaultIdle
	// Gap is for events: not sooner than this after the last run of the
	// definition; 0 is DefaultGap.
	Gap time.Duration

	// Delay is the most by which a run is put off, so that many machines do
	// not begin at once. How much it is depends on definition, machine and
	// occurrence and is otherwise the same each time it is asked.
	Delay time.Duration

	Missed Missed
}

// Missed is what becomes of a run whose time has passed while the machine was
// off, asleep or otherwise unable. The zero value makes up for it at the next
// chance, however late that is. However many were missed, one run makes up for
// them.
type Missed struct {
	Skip   bool          // it is not made up
	Within time.Duration // it is, but only so long after its time; 0 is however late
}

// LastDay and Last are for Schedule.Day and Schedule.Nth.
const (
	LastDay = -1
	Last    = -1
)

// Defaults of event schedules.
const (
	DefaultIdle = 10 * time.Minute
	DefaultGap  = 12 * time.Hour
)

// Clock is a time of the day in minutes after midnight, as clocks on the wall
// show it: 0 to 1439.
type Clock int

// Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Weekdays is a set of days of the week: bit n is time.Weekday n.
type Weekdays uint8

// Weekdays of common use.
const (
	EveryDay Weekdays = 0
	WorkDays Weekdays = 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Thursday | 1<<time.Friday
	Weekend  Weekdays = 1<<time.Saturday | 1<<time.Sunday
)

// Has says whether d is in the set, in which an empty one has every day.
func (w Weekdays) Has(d time.Weekday) bool { return w == 0 || w&(1<<d) != 0 }

// MonthSet is a set of months: bit n is time.Month n.
type MonthSet uint16

// Has says whether m is in the set, in which an empty one has every month.
func (s MonthSet) Has(m time.Month) bool { return s == 0 || s&(1<<m) != 0 }
