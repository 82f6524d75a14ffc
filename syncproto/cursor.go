package syncproto

import (
	"fmt"
	"strconv"
	"strings"
)

func contains(s, sub string) bool { return strings.Contains(s, sub) }

// Cursor is a place in one bucket's feed: everything up to Seq, as numbered by the server's Incarnation. In text it
// is "incarnation:seq". Seq 0 is the beginning.
type Cursor struct {
	Incarnation string
	Seq         uint64
}

// String writes "incarnation:seq".
func (c Cursor) String() string { return c.Incarnation + ":" + strconv.FormatUint(c.Seq, 10) }

// ParseCursor reads "incarnation:seq".
func ParseCursor(s string) (Cursor, error) {
	inc, num, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(num, 10, 53)
	if !ok || err != nil || !ValidID(inc) || num != strconv.FormatUint(n, 10) {
		return Cursor{}, fmt.Errorf("bad cursor %q: want incarnation:seq", clip(s))
	}
	return Cursor{inc, n}, nil
}

// Buckets are the unit of order, scope and digest.
const (
	BucketRef  = "ref" // what everybody may know: regions, forms, standards, calendars
	BucketUser = "user:"
	BucketGrid = "grid:" // a village's 12-digit code, '-', the grid's 3-digit number
	BucketDesk = "desk:" // a region's or department's code; no phone ever receives one
)

// ValidBucket reports whether s is the name of a bucket.
func ValidBucket(s string) bool {
	if len(s) > MaxBucketLen {
		return false
	}
	if s == BucketRef {
		return true
	}
	for _, p := range []string{BucketUser, BucketGrid, BucketDesk} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return ValidID(rest)
		}
	}
	return false
}

// DeviceBucket reports whether phones may ever receive the bucket.
func DeviceBucket(s string) bool { return ValidBucket(s) && !strings.HasPrefix(s, BucketDesk) }
