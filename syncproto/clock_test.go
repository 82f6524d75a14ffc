package syncproto

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Instants for the tables, in milliseconds since 1970 UTC.
const (
	noon   = int64(1_760_000_000_000)
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
)

var clockCases = []struct {
	name             string
	captured, atPush Clock
	received, floor  int64
	want             int64
}{
	{"a right clock", Clock{noon, 1000, "b"}, Clock{noon + hour, 1000 + hour, "b"}, noon + hour, 0, noon},
	{"five years slow, same boot", Clock{noon - 5*365*day, 1000, "b"}, Clock{noon - 5*365*day + hour, 1000 + hour, "b"}, noon + hour, 0, noon},
	{"a day fast, same boot", Clock{noon + day, 1000, "b"}, Clock{noon + day + hour, 1000 + hour, "b"}, noon + hour, 0, noon},
	{"set right between capture and push, same boot", Clock{0, 1000, "b"}, Clock{noon + hour, 1000 + hour, "b"}, noon + hour, 0, noon},
	{"in January 1970 before and after a restart", Clock{5000, 5000, "a"}, Clock{5000 + hour, 10, "b"}, noon + hour, 0, noon},
	{"set right after a restart: the wall clock says 1970", Clock{5000, 5000, "a"}, Clock{noon, 10, "b"}, noon, 0, 5000},
	{"the same, with a floor", Clock{5000, 5000, "a"}, Clock{noon, 10, "b"}, noon, noon - hour, noon - hour},
	{"restarted, wall clock right", Clock{noon, 90 * day, "a"}, Clock{noon + hour, 10, "b"}, noon + hour, 0, noon},
	{"set back after a restart", Clock{noon, 1000, "a"}, Clock{noon - day, 10, "b"}, noon + hour, 0, noon + hour},
	{"without boot ids the monotonic clock means nothing", Clock{noon, 5, ""}, Clock{noon + hour, 900, ""}, noon + hour, 0, noon},
	{"monotonic clock that went back", Clock{noon, 9000, "b"}, Clock{noon + hour, 10, "b"}, noon + hour, 0, noon},
	{"captured and pushed at once", Clock{noon, 10, "b"}, Clock{noon, 10, "b"}, noon, 0, noon},
	{"older than the base it was made on", Clock{noon, 10, "b"}, Clock{noon + hour, 10 + hour, "b"}, noon + hour, noon + minute, noon + minute},
	{"floor behind the receipt, after a restore", Clock{noon, 10, "b"}, Clock{noon + hour, 10 + hour, "b"}, noon + hour, noon + day, noon + hour},
	{"captured before 1970 as measured", Clock{-noon, 1, "a"}, Clock{noon, 1, "b"}, noon, 0, noon},
}

func TestCorrectTime(t *testing.T) {
	for _, c := range clockCases {
		if got := CorrectTime(c.captured, c.atPush, c.received, c.floor); got != c.want {
			t.Errorf("%s: %d, want %d (off by %d min)", c.name, got, c.want, (got-c.want)/minute)
		}
	}
}

func TestCorrectTimeLaws(t *testing.T) {
	clock := rapid.Custom(func(t *rapid.T) Clock {
		return Clock{rapid.Int64().Draw(t, "wall"), rapid.Int64().Draw(t, "mono"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "boot")}
	})
	rapid.Check(t, func(t *rapid.T) {
		captured, push := clock.Draw(t, "captured"), clock.Draw(t, "push")
		received, floor := rapid.Int64Range(0, 1<<43).Draw(t, "received"), rapid.Int64Range(0, 1<<43).Draw(t, "floor")
		got := CorrectTime(captured, push, received, floor)
		if got > received {
			t.Fatalf("%d lies behind the receipt %d", got, received)
		}
		if floor <= received && got < floor {
			t.Fatalf("%d lies before the floor %d", got, floor)
		}
		if floor > received && got != received {
			t.Fatalf("a floor behind the receipt gives %d", got)
		}
	})
}

// TestWallClockDoesNotMatterWithinOneBoot: whatever somebody does to the clock, the monotonic one tells the time.
func TestWallClockDoesNotMatterWithinOneBoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ago := rapid.Int64Range(0, 400*day).Draw(t, "ago")
		mono := rapid.Int64Range(0, 1<<40).Draw(t, "mono")
		w1, w2 := rapid.Int64Range(-noon, 2*noon).Draw(t, "wall at capture"), rapid.Int64Range(-noon, 2*noon).Draw(t, "wall at push")
		if got := CorrectTime(Clock{w1, mono, "b"}, Clock{w2, mono + ago, "b"}, noon, 0); got != noon-ago {
			t.Fatalf("%d, want %d", got, noon-ago)
		}
	})
}

// TestTheOrderOfCapturesIsKept: of two captures of one phone, pushed together, the later one is never earlier.
func TestTheOrderOfCapturesIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mono := rapid.Int64Range(0, 1<<40).Draw(t, "mono")
		gap, rest := rapid.Int64Range(0, day).Draw(t, "gap"), rapid.Int64Range(0, day).Draw(t, "rest")
		floor := rapid.Int64Range(0, noon).Draw(t, "floor")
		push := Clock{rapid.Int64Range(0, 2*noon).Draw(t, "wall"), mono + gap + rest, "b"}
		first := CorrectTime(Clock{0, mono, "b"}, push, noon, floor)
		second := CorrectTime(Clock{0, mono + gap, "b"}, push, noon, floor)
		if second < first {
			t.Fatalf("%d before %d", second, first)
		}
	})
}

func anyClock(boots ...string) *rapid.Generator[Clock] {
	return rapid.Custom(func(t *rapid.T) Clock {
		return Clock{rapid.Int64().Draw(t, "wall"), rapid.Int64().Draw(t, "mono"), rapid.SampledFrom(boots).Draw(t, "boot")}
	})
}

// TestTimingsHoldTogether: whatever a phone claims, its time is taken, stays within its bounds, and says how it came about.
func TestTimingsHoldTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		captured, push := anyClock("", "a", "b").Draw(t, "captured"), anyClock("", "a", "b").Draw(t, "push")
		received, floor := rapid.Int64Range(0, 1<<43).Draw(t, "received"), rapid.Int64Range(0, 1<<43).Draw(t, "floor")
		got := Correct(captured, push, received, floor)
		if got.Claimed != captured.Wall || got.Received != received || got.Corrected != CorrectTime(captured, push, received, floor) {
			t.Fatalf("%+v", got)
		}
		if got.Corrected > received || floor <= received && got.Corrected < floor {
			t.Fatalf("%+v lies outside of %d to %d", got, floor, received)
		}
		if (got.Clamp == ClampBase) != (got.Corrected == floor && floor > 0 && Correct(captured, push, received, 0).Corrected < floor && floor <= received) {
			t.Fatalf("%+v with floor %d", got, floor)
		}
		if got.By == ByMono && !captured.same(push) || got.By == ByReceipt && got.Clamp == "" && got.Corrected != received {
			t.Fatalf("%+v from %+v and %+v", got, captured, push)
		}
		if visit := got.Shift(rapid.Int64().Draw(t, "visit")); visit > received || visit < 0 {
			t.Fatalf("a visit at %d, received at %d", visit, received)
		}
	})
}

// TestJumpsAreSeen: within one boot a wall clock that is set by more than a minute and its drift is seen, by exactly as
// much; one that only drifts is not.
func TestJumpsAreSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := Clock{rapid.Int64Range(-noon, 2*noon).Draw(t, "wall"), rapid.Int64Range(0, 1<<40).Draw(t, "mono"), "b"}
		passed := rapid.Int64Range(0, 90*day).Draw(t, "passed")
		set := rapid.Int64Range(-noon, noon).Draw(t, "set")
		to := Clock{from.Wall + passed + set, from.Mono + passed, "b"}
		limit := minute + passed/2000
		want := set
		if set >= -limit && set <= limit {
			want = 0
		}
		if got := Jump(from, to); got != want {
			t.Fatalf("set by %d after %d: %d", set, passed, got)
		}
		if to.Boot = "c"; Jump(from, to) != 0 {
			t.Fatal("a jump across a restart cannot be measured")
		}
	})
}

// TestDoubtsNeverFail: any readings can be judged, and a healthy phone is never doubted.
func TestDoubtsNeverFail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prev, captured, push := anyClock("", "a", "b").Draw(t, "prev"), anyClock("", "a", "b").Draw(t, "captured"), anyClock("", "a", "b").Draw(t, "push")
		Doubts(prev, captured, push, rapid.Int64().Draw(t, "received"))

		one := Clock{rapid.Int64Range(EarliestWall, noon).Draw(t, "wall"), rapid.Int64Range(0, 1<<40).Draw(t, "mono"), "b"}
		gap, rest := rapid.Int64Range(0, 30*day).Draw(t, "gap"), rapid.Int64Range(0, 30*day).Draw(t, "rest")
		two := Clock{one.Wall + gap, one.Mono + gap, "b"}
		three := Clock{two.Wall + rest, two.Mono + rest, "b"}
		if got := Doubts(one, two, three, three.Wall+rapid.Int64Range(0, minute).Draw(t, "way")); len(got) > 0 {
			t.Fatalf("%v of a healthy phone", got)
		}
	})
}

func TestDoubts(t *testing.T) {
	for _, c := range []struct {
		name                   string
		prev, captured, atPush Clock
		want                   []Doubt
	}{
		{"healthy", Clock{}, Clock{noon - hour, 0, "b"}, Clock{noon, hour, "b"}, nil},
		{"set forward between capture and push", Clock{}, Clock{noon - day, 0, "b"}, Clock{noon, hour, "b"}, []Doubt{DoubtJump}},
		{"set back since the group before", Clock{noon - hour, 0, "b"}, Clock{noon - 2*hour, minute, "b"}, Clock{noon - 2*hour, minute, "b"}, []Doubt{DoubtJump}},
		{"set back over a restart", Clock{noon - hour, 0, "a"}, Clock{noon - 2*hour, minute, "b"}, Clock{noon - 2*hour, minute, "b"}, []Doubt{DoubtBack}},
		{"1970", Clock{}, Clock{5000, 0, "b"}, Clock{5000, 0, "b"}, []Doubt{DoubtEarly}},
		{"a year ahead", Clock{}, Clock{noon + 365*day, 0, "b"}, Clock{noon + 365*day, 0, "b"}, []Doubt{DoubtFuture}},
	} {
		if got := Doubts(c.prev, c.captured, c.atPush, noon); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestShift(t *testing.T) {
	slow := Correct(Clock{noon - 5*365*day, 1000, "b"}, Clock{noon - 5*365*day + hour, 1000 + hour, "b"}, noon+hour, 0)
	if got := slow.Shift(noon - 5*365*day - 2*hour); got != noon-2*hour {
		t.Errorf("a visit two hours before its capture: %d, want %d", got, noon-2*hour)
	}
}
