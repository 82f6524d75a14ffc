package blobs

import (
	"testing"

	"aidloop/storage/blob"
)

// An Upload-Metadata header names one blob, or is refused.
func FuzzMetadata(f *testing.F) {
	f.Add("sha256 ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ==,filetype aW1hZ2UvanBlZw==")
	f.Add("sha256 ,sha256 ")
	f.Add(", ,")
	f.Fuzz(func(t *testing.T, header string) {
		sha, ok := parseMetadata(header)
		if ok && (!blob.ValidSHA(sha) || len(header) > blob.MaxMetadata) {
			t.Fatalf("%q names %q", header, sha)
		}
	})
}
