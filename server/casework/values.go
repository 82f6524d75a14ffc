package casework

import (
	"strings"
	"time"
)

func plausibleDate(quoted string) bool {
	_, err := time.Parse(time.DateOnly, strings.Trim(quoted, `"`))
	return err == nil
}

func plausibleTime(quoted string) bool {
	_, err := time.Parse(time.RFC3339, strings.Trim(quoted, `"`))
	return err == nil
}
