package dir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"aidloop/storage/blob"
	"aidloop/storage/blob/dir"
	"aidloop/storage/storagetest/blobtest"
)

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Backend {
		root := t.TempDir()
		return blobtest.Backend{
			Open: func(t *testing.T, c blob.StagingConfig) blob.Store {
				store, err := dir.Open(root, c)
				if err != nil {
					t.Fatal(err)
				}
				return store
			},
			Rewrite: func(t *testing.T, sha string, edit func([]byte) []byte) {
				path := filepath.Join(root, "blobs", sha[:2], sha+".sealed")
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, edit(raw), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			AtRest: func(t *testing.T) [][]byte { return blobtest.Files(t, root) },
		}
	})
}

func TestForeignFilesAreNotBlobs(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"blobs/ab/notes.txt", "blobs/ab/" + blob.Sum(nil) + ".sealed", "blobs/e3/" + blob.Sum(nil)} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := blobtest.OpenDir(t, root)
	if err := store.Walk(t.Context(), func(sha string, _ int64) error { t.Errorf("walked over %s", sha); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	root := t.TempDir()
	store := blobtest.OpenDir(t, root)
	blobtest.Put(t, store, []byte("photo"))
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStagingFolderCannotBeChosen(t *testing.T) {
	if _, err := dir.Open(t.TempDir(), blob.StagingConfig{Dir: t.TempDir()}); err == nil {
		t.Fatal("a staging folder on another file system was accepted")
	}
}
