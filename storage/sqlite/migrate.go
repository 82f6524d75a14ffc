package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // database/sql for goose
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer says that a newer program wrote the database. Opening it would risk what that program keeps in it.
type ErrNewer struct {
	Have  int64 // the schema version of the database
	Known int64 // the newest one that this program knows
}

// Error names both versions.
func (e *ErrNewer) Error() string {
	return fmt.Sprintf("the database has schema version %d, this program knows versions up to %d: use the newer program", e.Have, e.Known)
}

// migrate brings the schema up to date, or returns an ErrNewer and changes nothing.
func migrate(ctx context.Context, path string) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	sources := p.ListSources()
	known := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("schema version: %w", err)
	}
	if have > known {
		return &ErrNewer{Have: have, Known: known}
	}
	if have == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate from schema version %d: %w", have, err)
	}
	return nil
}

// dsn says to database/sql what openConn says to SQLite. busy_timeout must come first.
func dsn(path string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(10000)", "foreign_keys(1)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(2)"} {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}
