// Package device keeps a phone's data in one SQLite file: an ordered map from text keys to bytes, as the device engine
// wants it. Every transaction is durable when it returns (synchronous=FULL).
package device

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver

	"aidloop/syncproto/device"
)

//go:embed migrations/*.sql
var migrations embed.FS

// FileName is the database's name in its folder.
const FileName = "device.db"

// Store implements device.Store.
type Store struct {
	db   *sql.DB
	mu   sync.Mutex // one transaction at a time: a phone has one person in front of it
	get  *sql.Stmt
	put  *sql.Stmt
	del  *sql.Stmt
	scan *sql.Stmt
}

// Open opens the store in a folder, which is made where it does not exist.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	dsn := "file:" + filepath.Join(dir, FileName) + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Join(dir, FileName), err), db.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.db, sub)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if known := sources[len(sources)-1].Version; have > known {
		return fmt.Errorf("the store has schema version %d, this app knows versions up to %d: use the newer app", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	for stmt, text := range map[**sql.Stmt]string{
		&s.get:  "SELECT value FROM entries WHERE key = ?",
		&s.put:  "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		&s.del:  "DELETE FROM entries WHERE key = ?",
		&s.scan: "SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
	} {
		if *stmt, err = s.db.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Update runs fn in one durable transaction.
func (s *Store) Update(fn func(device.Tx) error) error { return s.run(fn, false) }

// View runs fn on one state; writes fail.
func (s *Store) View(fn func(device.Tx) error) error { return s.run(fn, true) }

func (s *Store) run(fn func(device.Tx) error, readOnly bool) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sqlTx, err := s.db.Begin()
	if err != nil {
		return err
	}
	t := &tx{readOnly: readOnly, get: sqlTx.Stmt(s.get), put: sqlTx.Stmt(s.put), del: sqlTx.Stmt(s.del), scan: sqlTx.Stmt(s.scan)}
	if err := fn(t); err != nil || readOnly {
		return errors.Join(err, sqlTx.Rollback())
	}
	return sqlTx.Commit()
}

type tx struct {
	readOnly            bool
	get, put, del, scan *sql.Stmt
}

func (t *tx) Get(key string) ([]byte, error) {
	var value []byte
	err := t.get.QueryRow(key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

func (t *tx) Put(key string, value []byte) error {
	if t.readOnly {
		return device.ErrReadOnly
	}
	if value == nil {
		value = []byte{}
	}
	_, err := t.put.Exec(key, value)
	return err
}

func (t *tx) Delete(key string) error {
	if t.readOnly {
		return device.ErrReadOnly
	}
	_, err := t.del.Exec(key)
	return err
}

// scanPage is how many entries are read at a time. The connection is free between two pages, so that fn can read too.
const scanPage = 256

func (t *tx) Scan(prefix string, fn func(string, []byte) (bool, error)) error {
	from := prefix
	for {
		keys, values, err := t.page(from, prefix+"\U0010ffff")
		if err != nil {
			return err
		}
		for i := range keys {
			if more, err := fn(keys[i], values[i]); err != nil || !more {
				return err
			}
		}
		if len(keys) < scanPage {
			return nil
		}
		from = keys[len(keys)-1] + "\x00"
	}
}

func (t *tx) page(from, to string) (keys []string, values [][]byte, err error) {
	rows, err := t.scan.Query(from, to, scanPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k string
		var v []byte
		if err := rows.Scan(&k, &v); err != nil {
			return nil, nil, err
		}
		if v == nil {
			v = []byte{}
		}
		keys, values = append(keys, k), append(values, v)
	}
	return keys, values, rows.Err()
}
