// Package dir keeps sealed blobs in a folder: `blobs/<first two digits>/<sha>.sealed`, and uploads under way in `staging/`. A blob appears by
// one rename of a synced file, after which its folder is synced too, so a crash at any moment leaves the whole blob or none of it.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aidloop/storage/blob"
)

const ext = ".sealed"

// Open opens the store in the folder root, creating what is missing. c.Dir is left empty: the staging folder lies in root, since a rename
// cannot cross file systems.
func Open(root string, c blob.StagingConfig) (*blob.Vault, error) {
	if c.Dir != "" {
		return nil, fmt.Errorf("%w: the dir store has its own staging folder", blob.ErrInvalid)
	}
	c.Dir = filepath.Join(root, "staging")
	staging, err := blob.NewStaging(c)
	if err != nil {
		return nil, err
	}
	o := objects{root: filepath.Join(root, "blobs")}
	if err := os.MkdirAll(o.root, 0o700); err != nil {
		return nil, fmt.Errorf("blob/dir: %w", err)
	}
	return blob.NewVault(o, staging), nil
}

// objects implements blob.Objects.
type objects struct{ root string }

func (o objects) folder(name string) string { return filepath.Join(o.root, name[:2]) }
func (o objects) path(name string) string   { return filepath.Join(o.folder(name), name+ext) }

func (o objects) Put(_ context.Context, name, path string, replace bool) error {
	if !replace {
		// Two puts may both find nothing here and the second then replaces the first: their bytes are the same.
		if _, err := os.Stat(o.path(name)); err == nil {
			return blob.ErrExists
		}
	}
	if err := o.makeFolder(name); err != nil {
		return fmt.Errorf("blob/dir: put: %w", err)
	}
	if err := blob.MoveFile(path, o.path(name)); err != nil {
		return fmt.Errorf("blob/dir: put: %w", err)
	}
	return nil
}

// makeFolder creates a blob's folder and syncs the folder above, without which a crash could lose the new folder with the blob in it.
func (o objects) makeFolder(name string) error {
	err := os.Mkdir(o.folder(name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return blob.SyncDir(o.root)
}

func (o objects) Get(_ context.Context, name string) (blob.Object, blob.Source, error) {
	stat, err := os.Stat(o.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return blob.Object{}, nil, blob.ErrNotFound
	}
	if err != nil {
		return blob.Object{}, nil, fmt.Errorf("blob/dir: get: %w", err)
	}
	source := func(offset int64) (io.ReadCloser, error) {
		f, err := os.Open(o.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, blob.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	return blob.Object{Name: name, Size: stat.Size(), Modified: stat.ModTime()}, source, nil
}

func (o objects) List(ctx context.Context, fn func(blob.Object) error) error {
	folders, err := os.ReadDir(o.root)
	if err != nil {
		return fmt.Errorf("blob/dir: list: %w", err)
	}
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(o.root, folder.Name()))
		if err != nil {
			return fmt.Errorf("blob/dir: list: %w", err)
		}
		for _, file := range files {
			if err := o.listOne(ctx, folder.Name(), file, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o objects) listOne(ctx context.Context, folder string, file fs.DirEntry, fn func(blob.Object) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, found := strings.CutSuffix(file.Name(), ext)
	if !found || !blob.ValidSHA(name) || name[:2] != folder {
		return nil // not ours
	}
	stat, err := file.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since the folder was read
	}
	if err != nil {
		return fmt.Errorf("blob/dir: list: %w", err)
	}
	return fn(blob.Object{Name: name, Size: stat.Size(), Modified: stat.ModTime()})
}

func (o objects) Remove(_ context.Context, name string) error {
	if err := os.Remove(o.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("blob/dir: remove: %w", err)
	}
	return nil
}

// Tidy has nothing to do: a put that broke left its file in the staging folder, which has a sweep of its own.
func (o objects) Tidy(context.Context, time.Time) (int, error) { return 0, nil }
