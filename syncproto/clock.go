package syncproto

// Clock is one reading of a phone's clocks. Wall is milliseconds since 1970 UTC as the phone believes, years off at
// worst. Mono is milliseconds since an arbitrary start and only goes forward while Boot stays the same.
type Clock struct {
	Wall int64
	Mono int64
	Boot string
}

// CorrectTime says when a change was made, in milliseconds since 1970 UTC: the time between capture and push is
// measured on the phone, by the monotonic clock where it was not restarted in between, else by its wall clock, and
// counted back from the receipt. The result never lies behind the receipt or before floor, the time of the value
// that the change was based on (0 where there is none). It is fixed once, at receipt.
func CorrectTime(captured, atPush Clock, received, floor int64) int64 {
	ago := atPush.Wall - captured.Wall
	if captured.Boot != "" && captured.Boot == atPush.Boot && atPush.Mono >= captured.Mono {
		ago = atPush.Mono - captured.Mono
	}
	t := received
	if ago > 0 && ago < received {
		t = received - ago
	}
	return min(max(t, floor), received)
}
