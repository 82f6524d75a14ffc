package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// The server's own keys lie in two files of the data folder, readable by its owner alone: 64 hex digits each. Whoever
// has them and the database can read everything, so a backup keeps them apart from it.
const (
	masterFile  = "keys/master.key"
	signingFile = "keys/signing.key"
)

// loadSecrets reads the keys, or makes them where the data folder is new. Keys that are missing beside a database are
// an error: new ones would make every sealed value unreadable.
func loadSecrets(dir string, fresh bool) (loop.Secrets, error) {
	var s loop.Secrets
	master, err := loadKey(filepath.Join(dir, masterFile), fresh)
	if err != nil {
		return s, err
	}
	seed, err := loadKey(filepath.Join(dir, signingFile), fresh)
	if err != nil {
		return s, err
	}
	return loop.Secrets{Master: master, Signing: ed25519.NewKeyFromSeed(seed[:])}, nil
}

func loadKey(path string, fresh bool) (key syncproto.Key, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return key, fmt.Errorf("%s is missing although the database exists: put the key back from its backup; without it sealed values cannot be read", path)
		}
		_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
		return key, writeKey(path, key)
	}
	if err != nil {
		return key, err
	}
	text := strings.TrimSpace(string(b))
	if n, err := hex.Decode(key[:], []byte(text)); err != nil || n != len(key) || len(text) != 64 {
		return key, fmt.Errorf("%s is damaged: want 64 hex digits", path)
	}
	return key, nil
}

// writeKey writes a new key so that it is whole or absent after a crash.
func writeKey(path string, key syncproto.Key) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
