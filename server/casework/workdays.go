package casework

import (
	"fmt"
	"slices"
	"time"
)

//go:generate go run ./internal/gencal

// Calendar is one year's official arrangement: days off (holidays and the rest days that they are joined with) and
// weekend days on which people work in exchange, as "2006-01-02".
type Calendar struct {
	Year     int
	Version  string
	Source   string
	Holidays []string
	Workdays []string
}

// Calendars are calendars by year.
type Calendars map[int]Calendar

// shanghai is the zone in which days begin and end.
var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// Published returns the arrangements that this program was built with.
func Published() Calendars {
	c := make(Calendars, len(publishedCalendars))
	for _, cal := range publishedCalendars {
		c[cal.Year] = cal
	}
	return c
}

// IsWorkday says whether people work on the day. In a year without a published arrangement only weekends and the
// statutory days are off, and the answer is provisional.
func IsWorkday(day time.Time, cals Calendars) (work, provisional bool) {
	day = day.In(shanghai)
	date := day.Format(time.DateOnly)
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	cal, ok := cals[day.Year()]
	if !ok {
		return !weekend && !slices.Contains(statutoryDays[day.Year()], date) && !fixedHoliday(day), true
	}
	switch {
	case slices.Contains(cal.Workdays, date):
		return true, false
	case slices.Contains(cal.Holidays, date):
		return false, false
	}
	return !weekend, false
}

// fixedHoliday knows the statutory days with a fixed date, in force since 2025: New Year, Labour Day (two days) and
// National Day (three days). Those by the moon and the sun stand in statutoryDays.
func fixedHoliday(day time.Time) bool {
	_, m, d := day.Date()
	return m == time.January && d == 1 || m == time.May && d <= 2 || m == time.October && d <= 3
}

// Deadline is the end of the last of so many working days: 23:59:59 Asia/Shanghai. The day of receipt does not count,
// make-up workdays do. The version names the calendars that were counted with; provisional says that one of the years
// has no published arrangement yet, so that the deadline is to be computed again when it appears.
func Deadline(received time.Time, workdays int, cals Calendars) (due time.Time, provisional bool, version string) {
	day := received.In(shanghai)
	day = time.Date(day.Year(), day.Month(), day.Day(), 23, 59, 59, 0, shanghai)
	years := []int{day.Year()}
	for n := 0; n < workdays; {
		day = day.AddDate(0, 0, 1)
		if years[len(years)-1] != day.Year() {
			years = append(years, day.Year())
		}
		work, p := IsWorkday(day, cals)
		provisional = provisional || p
		if work {
			n++
		}
	}
	for _, y := range years {
		v := fmt.Sprintf("%d-statutory", y)
		if c, ok := cals[y]; ok {
			v = c.Version
		}
		if version != "" {
			version += "+"
		}
		version += v
	}
	return day, provisional, version
}

// WorkdaysLeft counts the working days behind now up to and with the day of the deadline; it is negative once the
// deadline is over.
func WorkdaysLeft(now, due time.Time, cals Calendars) int {
	from, to, sign := midday(now), midday(due), 1
	if from.After(to) {
		from, to, sign = to, from, -1
	}
	n := 0
	for day := from.AddDate(0, 0, 1); !day.After(to); day = day.AddDate(0, 0, 1) {
		if work, _ := IsWorkday(day, cals); work {
			n++
		}
	}
	return sign * n
}

func midday(t time.Time) time.Time {
	t = t.In(shanghai)
	return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, shanghai)
}

// Warnings are the numbers of working days left at which people are told.
var Warnings = []int{10, 5, 2}

// maxDaysOff bounds a year's lists.
const maxDaysOff = 120

// Check says what is wrong with an arrangement that somebody typed in: every day must be a date of the year, none may
// be both, and a day on which people work in exchange must fall on a weekend.
func (c Calendar) Check() error {
	if c.Year < 2000 || c.Year > 2200 || c.Version == "" || len(c.Version) > 64 || len(c.Holidays)+len(c.Workdays) > maxDaysOff || len(c.Holidays) == 0 {
		return NewError(CodeInvalidValue, "请填写年份、版本和放假安排。")
	}
	seen := map[string]bool{}
	for i, s := range slices.Concat(c.Holidays, c.Workdays) {
		day, err := time.Parse(time.DateOnly, s)
		switch {
		case err != nil || day.Year() != c.Year:
			return NewError(CodeInvalidValue, "日期应在该年内,格式如 2027-02-06:"+clip(s))
		case seen[s]:
			return NewError(CodeInvalidValue, "同一天出现了两次:"+s)
		case i >= len(c.Holidays) && day.Weekday() != time.Saturday && day.Weekday() != time.Sunday:
			return NewError(CodeInvalidValue, "调休上班的日期应是周末:"+s)
		}
		seen[s] = true
	}
	return nil
}

// clip shortens a text that a message repeats.
func clip(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), 32)])
}
