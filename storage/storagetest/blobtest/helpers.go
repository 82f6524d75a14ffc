package blobtest

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aidloop/storage/blob"
	"aidloop/storage/blob/dir"
)

// Files returns the content of every file under root.
func Files(t *testing.T, root string) [][]byte {
	t.Helper()
	var all [][]byte
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all = append(all, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Config is a staging configuration for tests that need some store: a fixed master key, the default limits, the wall clock.
func Config(t *testing.T) blob.StagingConfig {
	t.Helper()
	keys, err := blob.NewKeys(bytes.Repeat([]byte{7}, blob.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return blob.StagingConfig{Keys: keys, Limits: blob.DefaultLimits(), Now: time.Now, Random: rand.Reader}
}

// OpenDir opens a dir store with Config, for tests that need some store.
func OpenDir(t *testing.T, root string) blob.Store {
	t.Helper()
	store, err := dir.Open(root, Config(t))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Put puts a blob and returns its name.
func Put(t *testing.T, store blob.Store, data []byte) string {
	t.Helper()
	sha := blob.Sum(data)
	info := blob.Info{ID: "put-" + sha[:32], Owner: "test", SHA256: sha, Length: int64(len(data))}
	if err := blob.Import(t.Context(), store, info, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return sha
}
