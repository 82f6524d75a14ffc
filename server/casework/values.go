package casework

import (
	"strings"
	"time"
)

func plausibleDate(quoted string) bool {
	return plausibleDay(strings.Trim(quoted, `"`))
}

func plausibleTime(quoted string) bool {
	_, err := time.Parse(time.RFC3339, strings.Trim(quoted, `"`))
	return err == nil
}

func plausibleDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
