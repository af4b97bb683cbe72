package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String is the clock as "02:30".
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// ParseClock reads "02:30" and "2:30".
func ParseClock(text string) (Clock, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(h) > 2 || len(m) != 2 || hour > 23 || minute > 59 {
		return 0, fmt.Errorf("%q is no time of the day such as 02:30", text)
	}
	return Clock(hour*60 + minute), nil
}

// String is the date as "2026-12-31".
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// ParseDate reads "2026-12-31", of the years 1970 to 9999.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 {
		return Date{}, fmt.Errorf("%q is no date such as 2026-12-31", text)
	}
	return dateOf(t), nil
}

var dayWords = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var monthWords = [...]string{"", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// String is the set as "mon tue wed", from Monday on; "" is every day.
func (w Weekdays) String() string {
	var out []string
	for i := 1; i <= 7; i++ {
		if d := i % 7; w&(1<<d) != 0 {
			out = append(out, dayWords[d])
		}
	}
	return strings.Join(out, " ")
}

// ParseWeekdays reads days as String gives them, in any order.
func ParseWeekdays(text string) (Weekdays, error) {
	set, err := parseSet(text, dayWords[:], "days of the week such as mon tue")
	return Weekdays(set), err
}

// ParseWeekday reads one day.
func ParseWeekday(text string) (time.Weekday, error) {
	for d, word := range dayWords {
		if word == text {
			return time.Weekday(d), nil
		}
	}
	return 0, fmt.Errorf("%q is no day of the week (%s)", text, strings.Join(dayWords[:], ", "))
}

// String is the set as "jan jul"; "" is every month.
func (s MonthSet) String() string {
	var out []string
	for m, word := range monthWords {
		if s&(1<<m) != 0 {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

// ParseMonths reads months as String gives them, in any order.
func ParseMonths(text string) (MonthSet, error) {
	set, err := parseSet(text, monthWords[:], "months such as jan jul")
	return MonthSet(set), err
}

// parseSet reads words separated by blanks, at least one.
func parseSet(text string, words []string, what string) (set uint16, err error) {
	for _, f := range strings.Fields(text) {
		bit := uint16(0)
		for i, w := range words {
			if w == f {
				bit = 1 << i
			}
		}
		if bit == 0 {
			return 0, fmt.Errorf("%q are no %s", text, what)
		}
		set |= bit
	}
	if set == 0 {
		return 0, fmt.Errorf("%q are no %s", text, what)
	}
	return set, nil
}

// mostSpan is the longest span a definition may have, over three years.
const mostSpan = 99999999 * time.Second

var spanUnits = []struct {
	letter string
	length time.Duration
	digits int // at most
}{{"d", 24 * time.Hour, 4}, {"h", time.Hour, 5}, {"m", time.Minute, 7}, {"s", time.Second, 8}}

// FormatSpan writes a length of time as ParseSpan reads it, in whole seconds:
// "90m", "7d".
func FormatSpan(d time.Duration) string {
	for _, u := range spanUnits {
		if d%u.length == 0 {
			return fmt.Sprintf("%d%s", d/u.length, u.letter)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// ParseSpan reads a length of time: a number and a unit, which is s, m, h or d.
// The number has at most 8, 7, 5 or 4 digits.
func ParseSpan(text string) (time.Duration, error) {
	for _, u := range spanUnits {
		digits, ok := strings.CutSuffix(text, u.letter)
		n, err := strconv.ParseUint(digits, 10, 32)
		if ok && err == nil && len(digits) <= u.digits {
			return time.Duration(n) * u.length, nil
		}
	}
	return 0, fmt.Errorf("%q is no length of time such as 90s, 30m, 4h or 7d", text)
}

var sizeUnits = []struct {
	letter string
	bytes  int64
	digits int // at most
}{{"T", 1 << 40, 3}, {"G", 1 << 30, 6}, {"M", 1 << 20, 9}, {"K", 1 << 10, 12}, {"", 1, 15}}

// FormatSize writes bytes as ParseSize reads them: "20G".
func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if n%u.bytes == 0 && n > 0 && len(strconv.FormatInt(n/u.bytes, 10)) <= u.digits {
			return fmt.Sprintf("%d%s", n/u.bytes, u.letter)
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseSize reads a number of bytes, or of units of 1024 of them: 650M, 20G. The
// number has at most 15 digits, 12 with K, 9 with M, 6 with G and 3 with T.
func ParseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGT")
	for _, u := range sizeUnits {
		n, err := strconv.ParseUint(digits, 10, 63)
		if text == digits+u.letter && err == nil && len(digits) <= u.digits {
			return int64(n) * u.bytes, nil
		}
	}
	return 0, fmt.Errorf("%q is no size such as 650M or 20G", text)
}

// String is the schedule in words, without the type: "every day at 02:30".
func (s *Schedule) String() string {
	on := func(days Weekdays) string {
		switch days {
		case EveryDay:
			return "every day"
		case WorkDays:
			return "on workdays"
		}
		return "on " + days.String()
	}
	switch s.Kind {
	case Daily:
		return fmt.Sprintf("%s at %s", on(s.Days), s.At)
	case Monthly:
		return fmt.Sprintf("%s at %s", s.monthDay(), s.At)
	case Interval:
		text := "every " + FormatSpan(s.Every)
		if s.From != s.To {
			text += fmt.Sprintf(" from %s to %s", s.From, s.To)
		}
		return text + " " + on(s.Days)
	case Once:
		return fmt.Sprintf("once on %s at %s", s.Date, s.At)
	case AtStart:
		return "when the machine has started"
	case OnIdle:
		return fmt.Sprintf("when the machine has been idle for %s", FormatSpan(s.idleFor()))
	case OnPlugged:
		return "when a destination is plugged in"
	}
	return fmt.Sprintf("of unknown kind %q", s.Kind)
}

// monthDay is the day of a Monthly in words.
func (s *Schedule) monthDay() string {
	months := "every month"
	if s.Months != 0 {
		months = s.Months.String()
	}
	switch {
	case s.Nth == Last:
		return fmt.Sprintf("on the last %s of %s", s.Weekday, months)
	case s.Nth != 0:
		return fmt.Sprintf("on the %s %s of %s", ordinal(s.Nth), s.Weekday, months)
	case s.Day == LastDay:
		return fmt.Sprintf("on the last day of %s", months)
	}
	return fmt.Sprintf("on the %s of %s", ordinal(s.Day), months)
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
