package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"aidloop/storage/blob"
	"aidloop/storage/blob/s3"
	"aidloop/storage/storagetest/blobtest"
)

var buckets atomic.Int64

// newBucket names a bucket that no other test uses; opening the store creates it.
func newBucket() s3.Config {
	cfg := running.cfg
	cfg.Bucket, cfg.Prefix = fmt.Sprintf("test-%d", buckets.Add(1)), "county/"
	return cfg
}

func open(t *testing.T, cfg s3.Config, c blob.StagingConfig) blob.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), cfg, c)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func read(t *testing.T, bucket, key string) []byte {
	t.Helper()
	object, err := running.client.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t *testing.T, bucket, key string, raw []byte) {
	t.Helper()
	if _, err := running.client.PutObject(t.Context(), bucket, key, bytes.NewReader(raw), int64(len(raw)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, bucket string) []string {
	t.Helper()
	var all []string
	for found := range running.client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if found.Err != nil {
			t.Fatal(found.Err)
		}
		all = append(all, found.Key)
	}
	return all
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Backend {
		cfg, staging := newBucket(), t.TempDir()
		return blobtest.Backend{
			Open: func(t *testing.T, c blob.StagingConfig) blob.Store {
				c.Dir = staging
				return open(t, cfg, c)
			},
			Rewrite: func(t *testing.T, sha string, edit func([]byte) []byte) {
				key := "county/blobs/" + sha
				write(t, cfg.Bucket, key, edit(read(t, cfg.Bucket, key)))
			},
			AtRest: func(t *testing.T) [][]byte {
				all := blobtest.Files(t, staging)
				for _, key := range keys(t, cfg.Bucket) {
					all = append(all, read(t, cfg.Bucket, key))
				}
				return all
			},
		}
	})
}

func openSome(t *testing.T, cfg s3.Config) blob.Store {
	c := blobtest.Config(t)
	c.Dir = t.TempDir()
	return open(t, cfg, c)
}

func TestUploadsUnderWayStayLocal(t *testing.T) {
	cfg := newBucket()
	store := openSome(t, cfg)
	data := []byte("half a photo")
	up, err := store.Create(t.Context(), blob.Info{ID: "u1", Owner: "d1", SHA256: blob.Sum(data), Length: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Append(t.Context(), 0, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if found := keys(t, cfg.Bucket); len(found) != 0 {
		t.Fatalf("the bucket shows %q of an unfinished upload", found)
	}
	if err := up.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if found := keys(t, cfg.Bucket); len(found) != 1 || found[0] != "county/blobs/"+blob.Sum(data) {
		t.Fatalf("the bucket shows %q", found)
	}
}

// Two processes, each with a staging folder of its own, share one bucket.
func TestTwoProcessesShareABucket(t *testing.T) {
	cfg := newBucket()
	one, two := openSome(t, cfg), openSome(t, cfg)
	data := bytes.Repeat([]byte("photo"), 50_000)
	sha := blobtest.Put(t, one, data)
	if err := two.Verify(t.Context(), sha); err != nil {
		t.Fatal(err)
	}
	// A young healthy object is not written again: what only this copy carries is still there.
	key := "county/blobs/" + sha
	raw := read(t, cfg.Bucket, key)
	options := minio.PutObjectOptions{UserMetadata: map[string]string{"Copy": "first"}}
	if _, err := running.client.PutObject(t.Context(), cfg.Bucket, key, bytes.NewReader(raw), int64(len(raw)), options); err != nil {
		t.Fatal(err)
	}
	blobtest.Put(t, two, data)
	stat, err := running.client.StatObject(t.Context(), cfg.Bucket, key, minio.StatObjectOptions{})
	if err != nil || stat.UserMetadata["Copy"] != "first" {
		t.Fatalf("the object was replaced: %v, %v", stat.UserMetadata, err)
	}
}

func TestSweepAbortsMultipartUploads(t *testing.T) {
	cfg := newBucket()
	store := openSome(t, cfg)
	core := minio.Core{Client: running.client}
	for _, key := range []string{"county/blobs/" + blob.Sum(nil), "other/blobs/" + blob.Sum(nil)} {
		id, err := core.NewMultipartUpload(t.Context(), cfg.Bucket, key, minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.PutObjectPart(t.Context(), cfg.Bucket, key, id, 1, bytes.NewReader(make([]byte, 1000)), 1000, minio.PutObjectPartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	keep := func(string) bool { return true }
	for _, step := range []struct {
		later time.Duration
		want  int
	}{{0, 0}, {48 * time.Hour, 1}, {48 * time.Hour, 0}} {
		swept, err := store.Sweep(t.Context(), keep, blob.MinGrace, time.Now().Add(step.later))
		if err != nil || swept.Leftovers != step.want {
			t.Fatalf("after %v: swept %+v, %v; want %d leftovers", step.later, swept, err, step.want)
		}
	}
	left := 0
	for found := range running.client.ListIncompleteUploads(t.Context(), cfg.Bucket, "", true) {
		if left++; found.Err != nil || !strings.HasPrefix(found.Key, "other/") {
			t.Errorf("left: %s, %v", found.Key, found.Err)
		}
	}
	if left != 1 {
		t.Fatalf("%d multipart uploads are left, want the one under another prefix", left)
	}
}

func TestForeignObjectsAreNotBlobs(t *testing.T) {
	cfg := newBucket()
	store := openSome(t, cfg)
	write(t, cfg.Bucket, "county/blobs/notes.txt", []byte("x"))
	write(t, cfg.Bucket, blob.Sum(nil), []byte("x"))
	if err := store.Walk(t.Context(), func(sha string, _ int64) error { t.Errorf("walked over %s", sha); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestBucketErrors(t *testing.T) {
	c := blobtest.Config(t)
	c.Dir = t.TempDir()
	wrong := newBucket()
	wrong.SecretKey = "wrong"
	if _, err := s3.Open(t.Context(), wrong, c); err == nil {
		t.Error("a wrong secret was accepted")
	}
	slash := newBucket()
	slash.Prefix = "county"
	if _, err := s3.Open(t.Context(), slash, c); err == nil {
		t.Error("a prefix without a slash was accepted")
	}

	// While the bucket is away an upload stays as it is, complete and unfinished, and finishes when the bucket is back.
	gone := newBucket()
	store := openSome(t, gone)
	if err := running.client.RemoveBucket(t.Context(), gone.Bucket); err != nil {
		t.Fatal(err)
	}
	data := []byte("photo")
	info := blob.Info{ID: "u1", Owner: "d1", SHA256: blob.Sum(data), Length: int64(len(data))}
	up, err := store.Create(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Append(t.Context(), 0, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := up.Finish(t.Context(), nil); err == nil {
		t.Fatal("finished without a bucket")
	}
	if offset, finished, err := up.Offset(t.Context()); offset != info.Length || finished || err != nil {
		t.Fatalf("after a failed finish: %d, %v, %v", offset, finished, err)
	}
	if err := running.client.MakeBucket(t.Context(), gone.Bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := up.Finish(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Verify(t.Context(), info.SHA256); err != nil {
		t.Fatal(err)
	}
}

func TestMissingServerBinaryIsNamed(t *testing.T) {
	t.Setenv("AIDLOOP_S3_SERVER", t.TempDir()+"/none")
	if _, err := binary(); err == nil || !strings.Contains(err.Error(), "make s3-server") {
		t.Fatalf("the message does not say what to do: %v", err)
	}
	if _, err := os.Stat(os.Getenv("AIDLOOP_S3_SERVER")); err == nil {
		t.Fatal("the test's own path exists")
	}
}
