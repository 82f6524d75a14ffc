package blobs_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"aidloop/mobile-api/blobs"
	"aidloop/storage/blob"
)

func TestUploadAndDownload(t *testing.T) {
	w := newWorld(t)
	data := w.photo(300_000)
	w.upload(data)
	if want := fmt.Sprintf("device-phone %s %d", blob.Sum(data), len(data)); len(w.completed) != 1 || w.completed[0] != want {
		t.Fatalf("the hook heard %q, want once %q", w.completed, want)
	}
	w.allow(phone, data)
	got := w.wants(w.send("GET", "/blobs/v1/"+blob.Sum(data), phone, nil), 200, "")
	if !bytes.Equal(got.body, data) {
		t.Fatal("other bytes came back")
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/blobs/v1", "/blobs/v1/", "/blobs/v1/uploads/x"} {
		got := w.wants(w.send("OPTIONS", path, "", nil, "Tus-Resumable", ""), 204, "")
		for name, want := range map[string]string{
			"Tus-Version": "1.0.0", "Tus-Extension": "creation,creation-with-upload,termination,checksum,expiration",
			"Tus-Max-Size": "67108864", "Tus-Checksum-Algorithm": "sha1,sha256",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
	}
}

func TestUploadInChunksAcrossRestarts(t *testing.T) {
	w := newWorld(t)
	data := w.photo(200_000)
	path := w.create(data)
	for offset := 0; offset < len(data); {
		if got := w.offset(path); got != offset {
			t.Fatalf("HEAD says %d, want %d", got, offset)
		}
		end := min(offset+70_001, len(data))
		got := w.wants(w.patch(path, offset, data[offset:end]), 204, "")
		if got.Header.Get("Upload-Offset") != strconv.Itoa(end) || (got.Header.Get("Upload-Expires") == "") != (end == len(data)) {
			t.Fatalf("after %d bytes: %v", end, got.Header)
		}
		offset = end
		w.restart()
	}
	w.must(w.store.Verify(t.Context(), blob.Sum(data)))
	if got := w.offset(path); got != len(data) {
		t.Fatalf("a finished upload reports %d", got)
	}
	w.wants(w.patch(path, len(data), nil, "Content-Type", "application/offset+octet-stream"), 204, "")
	if len(w.completed) != 1 {
		t.Fatalf("the hook ran %d times", len(w.completed))
	}
}

func TestHeadTellsWhatWasDeclared(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	got := w.wants(w.send("HEAD", w.create(data), phone, nil, "Tus-Resumable", ""), 200, "")
	want := map[string]string{
		"Upload-Length": "1000", "Upload-Offset": "0", "Cache-Control": "no-store",
		"Upload-Metadata": metadata("sha256", blob.Sum(data), "filename", "门口.jpg"),
		"Upload-Expires":  w.now.Add(w.limits.Lifetime).UTC().Format(http.TimeFormat),
	}
	for name, value := range want {
		if got.Header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
		}
	}
}

func TestCreationWithUpload(t *testing.T) {
	w := newWorld(t)
	data := w.photo(100_000)
	headers := []string{"Upload-Length", "100000", "Upload-Metadata", metadata("sha256", blob.Sum(data))}
	got := w.wants(w.send("POST", "/blobs/v1", phone, data[:60_000], headers...), 201, "")
	if got.Header.Get("Upload-Offset") != "60000" {
		t.Fatalf("offset %q", got.Header.Get("Upload-Offset"))
	}
	// The client that did not hear this sends the same again, and hears how far the first one came.
	again := w.wants(w.send("POST", "/blobs/v1", phone, data[:50_000], headers...), 201, "")
	if again.Header.Get("Location") != got.Header.Get("Location") || again.Header.Get("Upload-Offset") != "60000" {
		t.Fatalf("the repeated creation says %v", again.Header)
	}
	w.wants(w.patch(got.Header.Get("Location"), 60_000, data[60_000:]), 204, "")
	w.must(w.store.Verify(t.Context(), blob.Sum(data)))

	empty := w.wants(w.post(phone, nil), 201, "")
	if empty.Header.Get("Upload-Offset") != "0" || !w.stored(nil) {
		t.Fatal("an empty blob is not complete when it is created")
	}
}

func TestWrongOffset(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.wants(w.patch(path, 0, data[:400]), 204, "")
	for _, offset := range []int{0, 399, 401, 1000} {
		got := w.wants(w.patch(path, offset, data[400:500]), 409, "upload_offset_conflict")
		if got.Header.Get("Upload-Offset") != "400" {
			t.Errorf("a conflict says offset %q", got.Header.Get("Upload-Offset"))
		}
	}
	for _, offset := range []string{"", "x", "-1"} {
		w.wants(w.patch(path, 0, data, "Upload-Offset", offset), 400, "upload_offset_invalid")
	}
	if got := w.offset(path); got != 400 {
		t.Fatalf("offset %d", got)
	}
}

func TestWrongHashIsRefusedAtTheEnd(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	wrong := bytes.Clone(data)
	wrong[500] ^= 1
	w.wants(w.patch(path, 0, wrong), 422, "blob_hash_mismatch")
	w.wants(w.send("HEAD", path, phone, nil), 404, "")
	if w.stored(data) || w.stored(wrong) || len(w.completed) != 0 {
		t.Fatal("something of a refused upload is visible")
	}
	w.upload(data)
}

func TestTooManyBytes(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.wants(w.patch(path, 0, append(bytes.Clone(data), 0)), 413, "blob_too_large")
	w.wants(w.post(phone, data, "Upload-Length", strconv.Itoa(64<<20+1)), 413, "blob_too_large")
	// With chunked encoding nobody knows the length before the end.
	req, err := http.NewRequestWithContext(t.Context(), "PATCH", w.url+path, io.MultiReader(bytes.NewReader(data), strings.NewReader("more")))
	w.must(err)
	for name, value := range map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Authorization": "Bearer " + phone} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	w.must(res.Body.Close())
	if res.StatusCode != 413 {
		t.Fatalf("a chunked body that is too long: %d", res.StatusCode)
	}
	if got := w.offset(path); got != 0 {
		t.Fatalf("%d bytes of refused chunks were kept", got)
	}
	w.wants(w.patch(path, 0, data), 204, "")
}

func TestChunkChecksum(t *testing.T) {
	w := newWorld(t)
	data := w.photo(150_000)
	path := w.create(data)
	header := func(name string, sum []byte) string { return name + " " + base64.StdEncoding.EncodeToString(sum) }
	one, two := sha1.Sum(data[:100_000]), sha256.Sum256(data[100_000:])

	w.wants(w.patch(path, 0, data[:100_000], "Upload-Checksum", header("sha256", two[:])), 460, "chunk_checksum_mismatch")
	for _, bad := range []string{"md5 AAAA", "sha1", "sha1 !", header("sha1", two[:]), "sha256 " + base64.StdEncoding.EncodeToString(one[:])} {
		w.wants(w.patch(path, 0, data[:10], "Upload-Checksum", bad), 400, "upload_checksum_invalid")
	}
	if got := w.offset(path); got != 0 {
		t.Fatalf("%d bytes of discarded chunks were kept", got)
	}
	w.wants(w.patch(path, 0, data[:100_000], "Upload-Checksum", header("sha1", one[:])), 204, "")
	// The last chunk fills the upload: it must be discarded all the same.
	wrong := bytes.Clone(data[100_000:])
	wrong[0] ^= 1
	w.wants(w.patch(path, 100_000, wrong, "Upload-Checksum", header("sha256", two[:])), 460, "chunk_checksum_mismatch")
	w.wants(w.patch(path, 100_000, data[100_000:], "Upload-Checksum", header("sha256", two[:])), 204, "")
	w.must(w.store.Verify(t.Context(), blob.Sum(data)))
}

func TestTermination(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.wants(w.send("DELETE", path, spy, nil), 404, "not_found")
	w.wants(w.send("DELETE", path, phone, nil), 204, "")
	w.wants(w.send("HEAD", path, phone, nil), 404, "")
	w.wants(w.send("DELETE", path, phone, nil), 404, "not_found")
	w.upload(data)
}

func TestExpiration(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.now = w.now.Add(w.limits.Lifetime)
	w.wants(w.send("HEAD", path, phone, nil), 410, "")
	w.wants(w.patch(path, 0, data), 410, "upload_expired")
	_, err := w.store.Sweep(t.Context(), func(string) bool { return true }, blob.MinGrace, w.now)
	w.must(err)
	w.wants(w.patch(path, 0, data), 404, "not_found")
}

func TestMethodOverride(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.wants(w.send("POST", path, phone, data[:500], "Upload-Offset", "0", "X-HTTP-Method-Override", "PATCH"), 204, "")
	if got := w.offset(path); got != 500 {
		t.Fatalf("offset %d", got)
	}
	w.wants(w.send("POST", path, phone, nil), 405, "method_not_allowed")
	w.wants(w.send("POST", path, phone, nil, "X-HTTP-Method-Override", "DELETE"), 204, "")
}

func TestWhoMayUpload(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	w.wants(w.post("", data), 401, "unauthenticated")
	w.wants(w.post("reader", data), 403, "upload_forbidden")
	w.wants(w.post("outage", data), 503, "unavailable")
	// Another device's upload looks like none.
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		w.wants(w.send(method, path, spy, data, "Upload-Offset", "0"), 404, "not_found")
	}
	w.wants(w.send("PATCH", path, "", data, "Upload-Offset", "0"), 401, "unauthenticated")
}

func TestMalformedRequests(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	sha := "sha256 " + base64.StdEncoding.EncodeToString([]byte(blob.Sum(data)))
	for name, bad := range map[string]string{
		"none": "", "no hash": metadata("filename", "x"), "capital": metadata("sha256", strings.ToUpper(blob.Sum(data))), "short": metadata("sha256", "ab"),
		"no base64": "sha256 !", "twice": sha + "," + sha, "empty key": sha + ",", "many": sha + strings.Repeat(",k AA==", 20),
		"long": sha + ",k " + strings.Repeat("A", 2048),
	} {
		t.Run(name, func(*testing.T) { w.wants(w.post(phone, data, "Upload-Metadata", bad), 400, "upload_metadata_invalid") })
	}
	for _, bad := range []string{"", "-1", "x", "9999999999999999999"} {
		w.wants(w.post(phone, data, "Upload-Length", bad), 400, "upload_length_invalid")
	}
	w.wants(w.post(phone, data, "Upload-Concat", "partial"), 400, "upload_concat_unsupported")
	got := w.wants(w.post(phone, data, "Tus-Resumable", "0.2.2"), 412, "tus_version")
	if got.Header.Get("Tus-Version") != "1.0.0" {
		t.Error("a refused version does not say which one is spoken")
	}
	path := w.create(data)
	w.wants(w.patch(path, 0, data, "Tus-Resumable", ""), 412, "tus_version")
	w.wants(w.patch(path, 0, data, "Content-Type", "image/jpeg"), 415, "content_type_invalid")
	w.wants(w.send("PUT", path, phone, data), 405, "method_not_allowed")
	w.wants(w.send("GET", path, phone, nil), 404, "not_found")
	w.wants(w.send("HEAD", "/blobs/v1/uploads/none", phone, nil), 404, "")
}

func TestLimitOfADevice(t *testing.T) {
	w := newWorld(t)
	w.limits.MaxOpen = 2
	w.restart()
	one := w.photo(1000)
	path := w.create(one)
	w.create(w.photo(1001))
	got := w.wants(w.post(phone, w.photo(1002)), 429, "too_many_uploads")
	if got.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.wants(w.post(spy, w.photo(1002)), 201, "")
	if again := w.create(one); again != path {
		t.Fatalf("a repeated creation made %s beside %s", again, path)
	}
	w.wants(w.patch(path, 0, one), 204, "")
	w.create(w.photo(1002))
}

func TestAlreadyHere(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	w.upload(data)
	// Without a visible record an existing blob looks like a missing one, and is taken again.
	path := w.wants(w.post(spy, data), 201, "").Header.Get("Location")
	w.wants(w.send("PATCH", path, spy, data, "Upload-Offset", "0"), 204, "")
	w.allow(spy, data)
	got := w.wants(w.post(spy, data), 200, "")
	if got.Header.Get("Location") != "/blobs/v1/"+blob.Sum(data) || got.Header.Get("Upload-Offset") != "1000" {
		t.Fatalf("already here: %v", got.Header)
	}
	// A tus client that follows the Location finds a finished upload.
	head := w.wants(w.send("HEAD", got.Header.Get("Location"), spy, nil), 200, "")
	if head.Header.Get("Upload-Offset") != "1000" || head.Header.Get("Upload-Length") != "1000" {
		t.Fatalf("HEAD of the blob: %v", head.Header)
	}
	// Another length cannot be the same blob.
	w.wants(w.post(spy, data, "Upload-Length", "999"), 201, "")
}

func TestHookFailureLeavesTheUploadToBeFinished(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	w.hookError = errors.New("the database is away")
	path := w.create(data)
	w.wants(w.patch(path, 0, data), 503, "unavailable")
	w.wants(w.send("HEAD", path, phone, nil), 503, "")
	w.restart()
	w.hookError = nil
	if got := w.offset(path); got != 1000 {
		t.Fatalf("offset %d", got)
	}
	if len(w.completed) != 3 || !w.stored(data) {
		t.Fatalf("the hook ran %d times, stored %v", len(w.completed), w.stored(data))
	}
}

// A process may die after the last byte was stored and before the blob was made visible. The next HEAD finishes it: a tus client that
// hears that all bytes are there never sends anything again.
func TestCompleteUploadOfADeadProcessIsFinished(t *testing.T) {
	w := newWorld(t)
	data := w.photo(1000)
	path := w.create(data)
	up, err := w.store.Upload(t.Context(), strings.TrimPrefix(path, "/blobs/v1/uploads/"))
	w.must(err)
	_, err = up.Append(t.Context(), 0, bytes.NewReader(data))
	w.must(err)
	w.restart()
	if w.stored(data) {
		t.Fatal("stored already")
	}
	if got := w.offset(path); got != 1000 || !w.stored(data) || len(w.completed) != 1 {
		t.Fatalf("offset %d, stored %v, hook ran %d times", got, w.stored(data), len(w.completed))
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	if _, err := blobs.New(blobs.Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	if err := newWorld(t).handler.Mount(fiber.New()); err == nil {
		t.Error("an app that buffers bodies was accepted")
	}
}

var _ = time.Second
