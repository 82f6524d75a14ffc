package casework_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aidloop/server/casework"
)

var beijing = time.FixedZone("Asia/Shanghai", 8*3600)

func day(s string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, s, beijing)
	if err != nil {
		panic(err)
	}
	return t
}

func TestFortyWorkingDays(t *testing.T) {
	for _, c := range []struct {
		received, due string
		provisional   bool
	}{
		{"2025-09-19", "2025-11-20", false}, {"2025-09-30", "2025-12-02", false}, {"2025-12-20", "2026-02-14", false}, {"2026-01-15", "2026-03-18", false},
		{"2026-03-20", "2026-05-20", false}, {"2026-08-15", "2026-10-15", false}, {"2026-11-24", "2027-01-20", true},
	} {
		for _, hour := range []int{0, 9, 23} {
			due, provisional, version := casework.Deadline(day(c.received).Add(time.Duration(hour)*time.Hour), 40, casework.Published())
			if due.Format(time.DateOnly) != c.due || provisional != c.provisional || version == "" {
				t.Errorf("%s at %d h: due %s, provisional %v, %s; want %s", c.received, hour, due, provisional, version, c.due)
			}
			if due.Format(time.TimeOnly) != "23:59:59" {
				t.Errorf("the day ends at %s", due)
			}
		}
	}
}

// naive counts day by day with nothing but the lists.
func naive(received time.Time, n int) time.Time {
	cals := casework.Published()
	d := received.In(beijing)
	for n > 0 {
		d = d.AddDate(0, 0, 1)
		s, weekend := d.Format(time.DateOnly), d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
		c, ok := cals[d.Year()]
		off := weekend
		if ok {
			off = (weekend || slices.Contains(c.Holidays, s)) && !slices.Contains(c.Workdays, s)
		} else {
			off = off || slices.Contains([]string{"2027-01-01", "2027-02-05", "2027-02-06", "2027-02-07", "2027-02-08", "2027-04-05", "2027-05-01",
				"2027-05-02", "2027-06-09", "2027-09-15", "2027-10-01", "2027-10-02", "2027-10-03"}, s)
		}
		if !off {
			n--
		}
	}
	return d
}

func TestDeadlineCountsDayByDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		received := day("2025-01-01").Add(time.Duration(rapid.IntRange(0, 1000*24).Draw(t, "hours")) * time.Hour)
		n := rapid.IntRange(1, 45).Draw(t, "workdays")
		due, provisional, _ := casework.Deadline(received, n, casework.Published())
		want := naive(received, n)
		if due.Format(time.DateOnly) != want.Format(time.DateOnly) {
			t.Fatalf("%s + %d: %s, counted %s", received, n, due, want)
		}
		if provisional != (due.Year() > 2026) {
			t.Fatalf("%s + %d: provisional %v", received, n, provisional)
		}
		if left := casework.WorkdaysLeft(received, due, casework.Published()); left != n {
			t.Fatalf("%d working days left of %d", left, n)
		}
		if later, _, _ := casework.Deadline(received.Add(24*time.Hour), n, casework.Published()); later.Before(due) {
			t.Fatal("received later, due earlier")
		}
	})
}

// The calendars are what the generator writes.
func TestCalendarIsGenerated(t *testing.T) {
	out := filepath.Join(t.TempDir(), "calendar_data.go")
	if b, err := exec.Command("go", "run", "./internal/gencal", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if b, err := exec.Command("gofmt", "-s", "-w", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("calendar_data.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("calendar_data.go is not what internal/gencal writes: run go generate ./server/casework")
	}
}
