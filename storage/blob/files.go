package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// cut shortens a file and makes that durable.
func cut(f *os.File, size int64) error {
	if stat, err := f.Stat(); err == nil && stat.Size() == size {
		return nil
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// writeFile replaces path by data, whole or not at all, durable when it returns. temp is a path in the same folder.
func writeFile(path, temp string, data []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return MoveFile(temp, path)
}

// MoveFile renames a synced file over path, which must be on the same file system, and makes the new name durable.
func MoveFile(from, path string) error {
	if err := os.Rename(from, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes the names in a folder durable.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
