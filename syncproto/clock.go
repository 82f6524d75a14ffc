package syncproto

import "slices"

// Clock is one reading of a phone's clocks. Wall is milliseconds since 1970 UTC as the phone believes, years off at
// worst. Mono is milliseconds since an arbitrary start and only goes forward while Boot stays the same.
type Clock struct {
	Wall int64
	Mono int64
	Boot string
}

// same reports whether the monotonic clock runs from c to later without a restart in between.
func (c Clock) same(later Clock) bool {
	return c.Boot != "" && c.Boot == later.Boot && later.Mono >= c.Mono
}

// Correction says by which clock of the phone a time was corrected.
type Correction string

// The corrections, the best first.
const (
	ByMono    Correction = "monotonic" // the monotonic clock ran from the capture to the push
	ByWall    Correction = "wall"      // the phone was started again in between: its wall clock tells how long ago it was
	ByReceipt Correction = "receipt"   // neither clock tells anything: the time of the receipt stands
	ByServer  Correction = "server"    // the server's own change, by its own clock
)

// Clamp says at which bound a corrected time was stopped.
type Clamp string

// The clamps; "" stands for none.
const (
	ClampBase    Clamp = "base"    // never before the value that the change was based on
	ClampReceipt Clamp = "receipt" // never behind the receipt
)

// Timing says when something was captured: as the phone claimed, when the server received it, and what the server takes
// for true. All are milliseconds since 1970 UTC.
type Timing struct {
	Claimed   int64
	Received  int64
	Corrected int64
	By        Correction
	Clamp     Clamp
}

// Offset is how much later than the truth the phone's wall clock was at the capture, milliseconds; negative: earlier.
func (t Timing) Offset() int64 { return t.Claimed - t.Corrected }

// Correct says when a change was made: the time between capture and push is measured on the phone, by the monotonic clock
// where it was not restarted in between, else by its wall clock, and counted back from the receipt. The result never lies
// behind the receipt or before floor, the time of the value that the change was based on (0 where there is none).
// Nothing is ever refused for a clock. It is fixed once, at receipt.
func Correct(captured, atPush Clock, received, floor int64) Timing {
	t := Timing{Claimed: captured.Wall, Received: received, Corrected: received, By: ByWall}
	ago := atPush.Wall - captured.Wall
	if captured.same(atPush) {
		t.By, ago = ByMono, atPush.Mono-captured.Mono
	}
	switch {
	case ago > 0 && ago < received:
		t.Corrected = received - ago
	case ago != 0:
		t.By = ByReceipt
	}
	if t.Corrected < floor {
		t.Corrected, t.Clamp = floor, ClampBase
	}
	if t.Corrected > received {
		t.Corrected, t.Clamp = received, ClampReceipt
	}
	return t
}

// CorrectTime is the corrected time of Correct alone.
func CorrectTime(captured, atPush Clock, received, floor int64) int64 {
	return Correct(captured, atPush, received, floor).Corrected
}

// Shift corrects another time that the same phone wrote down about when it captured a change, such as the time of a visit
// in its form: its clock is taken to have been off by as much as at the capture. The result is never behind the receipt
// and never negative.
func (t Timing) Shift(claimed int64) int64 {
	return min(max(claimed-t.Offset(), 0), t.Received)
}

// Doubt is something that makes a phone's clock look wrong. It is shown to people and never refuses anything.
type Doubt string

// The doubts, in the order in which Doubts lists them.
const (
	DoubtJump   Doubt = "clock_jumped"     // within one boot, the wall clock moved otherwise than the monotonic one
	DoubtBack   Doubt = "clock_set_back"   // after a restart the wall clock said less than before it
	DoubtEarly  Doubt = "clock_before_app" // captured before this protocol existed
	DoubtFuture Doubt = "clock_ahead"      // captured after the receipt
)

// What a healthy clock may be off by: a minute for a correction by the network, and 500 parts per million of the time
// that passed, five times what a phone's quartz drifts.
const (
	clockTolerance = 60_000
	clockDrift     = 2000 // one millisecond in so many
)

// EarliestWall is before anything that speaks this protocol: 2025-01-01 in UTC, milliseconds since 1970.
const EarliestWall = 1735689600000

// Jump is how far the wall clock moved away from the monotonic one between two readings, in milliseconds, forward or
// back. It is 0 for what a healthy clock does, and where the readings are not of one boot.
func Jump(from, to Clock) int64 {
	if !from.same(to) {
		return 0
	}
	mono := to.Mono - from.Mono
	wall, ok := minus(to.Wall, from.Wall)
	if !ok {
		return to.Wall
	}
	d, ok := minus(wall, mono)
	if ok && d >= -(clockTolerance+mono/clockDrift) && d <= clockTolerance+mono/clockDrift {
		return 0
	}
	if !ok {
		return wall
	}
	return d
}

// minus subtracts; ok is false where the difference is no int64.
func minus(a, b int64) (int64, bool) {
	d := a - b
	return d, (a >= b) == (d >= 0)
}

// Doubts says what is odd about the clock under which a group was captured. Prev is the reading of the device's group
// before it; the zero Clock where there is none.
func Doubts(prev, captured, atPush Clock, received int64) (list []Doubt) {
	if Jump(captured, atPush) != 0 || Jump(prev, captured) != 0 {
		list = append(list, DoubtJump)
	}
	if prev != (Clock{}) && !prev.same(captured) && captured.Wall < prev.Wall-clockTolerance {
		list = append(list, DoubtBack)
	}
	if captured.Wall < EarliestWall {
		list = append(list, DoubtEarly)
	}
	if captured.Wall > received && captured.Wall-clockTolerance > received {
		list = append(list, DoubtFuture)
	}
	return slices.Clip(list)
}

// ClockOff reports whether a wall clock that is off by so many milliseconds should be set right by its owner.
func ClockOff(offset int64) bool { return offset > clockTolerance || offset < -clockTolerance }
