package mobileapi

import (
	"slices"
	"testing"
)

// Whatever a client accepts, the answer is in one of three encodings; what it does not name is not chosen.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"", "gzip, zstd", "*;q=0", "zstd;q=0, *", "gzip;q=1.0000", ";;;,,,q="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if got := acceptEncoding(header); !slices.Contains([]string{"", "gzip", "zstd"}, got) {
			t.Fatalf("%q chooses %q", header, got)
		}
	})
}
