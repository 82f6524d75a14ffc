package blobs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"aidloop/storage/blob"
)

func TestRanges(t *testing.T) {
	w := newWorld(t)
	data := w.photo(200_000)
	w.upload(data)
	w.allow(phone, data)
	path := "/blobs/v1/" + blob.Sum(data)
	for _, test := range []struct {
		header     string
		start, end int // of the bytes wanted
		status     int
		header2    string // Content-Range
	}{
		{"bytes=0-9", 0, 10, 206, "bytes 0-9/200000"},
		{"bytes=65530-65545", 65_530, 65_546, 206, "bytes 65530-65545/200000"},
		{"bytes=199990-", 199_990, 200_000, 206, "bytes 199990-199999/200000"},
		{"bytes=199990-999999", 199_990, 200_000, 206, "bytes 199990-199999/200000"},
		{"bytes=-5", 199_995, 200_000, 206, "bytes 199995-199999/200000"},
		{"bytes=-999999", 0, 200_000, 206, "bytes 0-199999/200000"},
		{"bytes=0-0", 0, 1, 206, "bytes 0-0/200000"},
		{"bytes=1-2,4-5", 0, 200_000, 200, ""},
		{"lines=1-2", 0, 200_000, 200, ""},
	} {
		got := w.wants(w.send("GET", path, phone, nil, "Range", test.header), test.status, "")
		if !bytes.Equal(got.body, data[test.start:test.end]) || got.Header.Get("Content-Range") != test.header2 {
			t.Errorf("%s: %d bytes, %q", test.header, len(got.body), got.Header.Get("Content-Range"))
		}
	}
	for _, header := range []string{"bytes=200000-", "bytes=5-4", "bytes=-0", "bytes=x-", "bytes=-", "bytes=+1-2", "bytes=0--1"} {
		got := w.wants(w.send("GET", path, phone, nil, "Range", header), 416, "range_invalid")
		if got.Header.Get("Content-Range") != "bytes */200000" {
			t.Errorf("%s: %q", header, got.Header.Get("Content-Range"))
		}
	}
	etag := `"` + blob.Sum(data) + `"`
	w.wants(w.send("GET", path, phone, nil, "If-None-Match", etag), 304, "")
	w.wants(w.send("GET", path, phone, nil, "Range", "bytes=0-9", "If-Range", etag), 206, "")
	w.wants(w.send("GET", path, phone, nil, "Range", "bytes=0-9", "If-Range", `"other"`), 200, "")
}

func TestEmptyBlob(t *testing.T) {
	w := newWorld(t)
	w.wants(w.post(phone, nil), 201, "")
	w.allow(phone, nil)
	got := w.wants(w.send("GET", "/blobs/v1/"+blob.Sum(nil), phone, nil), 200, "")
	if len(got.body) != 0 {
		t.Fatalf("%d bytes", len(got.body))
	}
	w.wants(w.send("GET", "/blobs/v1/"+blob.Sum(nil), phone, nil, "Range", "bytes=0-"), 416, "range_invalid")
}

func TestHeadOfABlob(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	w.upload(data)
	w.allow(phone, data)
	got := w.wants(w.send("HEAD", "/blobs/v1/"+blob.Sum(data), phone, nil), 200, "")
	if got.ContentLength != 1000 || got.Header.Get("Accept-Ranges") != "bytes" || got.Header.Get("ETag") != `"`+blob.Sum(data)+`"` {
		t.Fatalf("%d, %v", got.ContentLength, got.Header)
	}
}

// Whoever sees no record that refers to a blob cannot tell it from one that does not exist.
func TestHiddenBlobsLookMissing(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	w.upload(data)
	for _, method := range []string{"GET", "HEAD"} {
		hidden := w.wants(w.send(method, "/blobs/v1/"+blob.Sum(data), spy, nil), 404, "not_found")
		missing := w.wants(w.send(method, "/blobs/v1/"+blob.Sum([]byte("never")), spy, nil), 404, "not_found")
		hidden.Header.Del("Date")
		missing.Header.Del("Date")
		if !bytes.Equal(hidden.body, missing.body) || len(hidden.Header) != len(missing.Header) {
			t.Errorf("%s: hidden %v %s, missing %v %s", method, hidden.Header, hidden.body, missing.Header, missing.body)
		}
		w.wants(w.send(method, "/blobs/v1/"+blob.Sum(data), "", nil), 401, "unauthenticated")
		w.wants(w.send(method, "/blobs/v1/"+blob.Sum(data), "outage", nil), 503, "unavailable")
		w.wants(w.send(method, "/blobs/v1/nonsense", phone, nil), 404, "not_found")
	}
	// Visible, but never uploaded.
	never := []byte("never")
	w.allow(phone, never)
	w.wants(w.send("GET", "/blobs/v1/"+blob.Sum(never), phone, nil), 404, "not_found")
}

func TestOnlyPicturesAreShownInTheBrowser(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ data, kind, disposition string }{
		{"\xff\xd8\xff\xe0 a photo", "image/jpeg", "inline"},
		{"\x89PNG\x0d\x0a\x1a\x0a a signature", "image/png", "inline"},
		{"<html><script>alert(1)</script>", "application/octet-stream", "attachment"},
		{"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream", "attachment"},
		{"text", "application/octet-stream", "attachment"},
	} {
		data := []byte(test.data)
		w.upload(data)
		w.allow(phone, data)
		got := w.wants(w.send("GET", "/blobs/v1/"+blob.Sum(data), phone, nil), 200, "")
		want := map[string]string{
			"Content-Type": test.kind, "Content-Disposition": test.disposition, "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; sandbox",
		}
		for name, value := range want {
			if got.Header.Get(name) != value {
				t.Errorf("%q: %s is %q, want %q", test.data, name, got.Header.Get(name), value)
			}
		}
	}
}

func TestDamagedBlobIsNotServed(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	w.upload(data)
	w.allow(phone, data)
	sha := blob.Sum(data)
	path := filepath.Join(w.root, "store", "blobs", sha[:2], sha+".sealed")
	raw, err := os.ReadFile(path)
	w.must(err)
	raw[17] ^= 1
	w.must(os.WriteFile(path, raw, 0o600))
	w.wants(w.send("GET", "/blobs/v1/"+sha, phone, nil), 500, "blob_corrupt")
	// Sending it again heals it, although the device may read it.
	w.must(os.WriteFile(path, raw[:100], 0o600))
	w.wants(w.send("GET", "/blobs/v1/"+sha, phone, nil), 500, "blob_corrupt")
	w.upload(data)
	w.wants(w.send("GET", "/blobs/v1/"+sha, phone, nil), 200, "")
}
