// Package timers writes the schedules of a definition for those who want no
// service: as units of systemd, or as a task of the Task Scheduler of Windows.
//
// Both start 'ingot run NAME' with the type of the schedule. What they cannot say
// is told: runs of several types that fall together are told apart by what their
// times exclude where that can be said, and by the lock of the set where not; a
// limit on how late a missed run is made up is not known to them.
//
// It writes no file and starts nothing.
package timers
