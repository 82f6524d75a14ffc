package sqlite

import (
	"context"
	"fmt"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"aidloop/server/loop"
)

// Work is what SQLite did for a read, by its own counters.
type Work struct {
	Rows  int64 `json:"rows"`  // that statements handed over
	Steps int64 `json:"steps"` // of its virtual machine
	Scans int64 `json:"scans"` // rows stepped over in a table without an index
	Sorts int64 `json:"sorts"`
	Pages int64 `json:"pages"` // of the database that were looked at, in the cache or not
}

// Measure is Read for tests and benchmarks: it also counts the work.
func (s *Store) Measure(ctx context.Context, fn func(loop.ReadTx) error) (w Work, err error) {
	err = s.read(ctx, func(v *view) error {
		v.c.work = &w
		v.c.pages(true)
		defer func() {
			w.Pages = v.c.pages(false)
			v.c.work = nil
		}()
		return fn(v)
	})
	return w, err
}

// FeedPlan is how SQLite runs the feed of a bucket, a line a step (EXPLAIN QUERY PLAN).
func (s *Store) FeedPlan(ctx context.Context) (lines []string, err error) {
	err = s.read(ctx, func(v *view) error {
		return v.each(v.c.use("EXPLAIN QUERY PLAN "+feedSQL).int(1).int(1), func(q *stmt) (bool, error) {
			lines = append(lines, q.str(3))
			return true, nil
		})
	})
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("sqlite: no plan for the feed")
	}
	return lines, err
}

// count adds what a statement did since it was last counted.
func (w *Work) count(tls *libc.TLS, stmt uintptr) {
	w.Steps += int64(sqlite3.Xsqlite3_stmt_status(tls, stmt, sqlite3.SQLITE_STMTSTATUS_VM_STEP, 1))
	w.Scans += int64(sqlite3.Xsqlite3_stmt_status(tls, stmt, sqlite3.SQLITE_STMTSTATUS_FULLSCAN_STEP, 1))
	w.Sorts += int64(sqlite3.Xsqlite3_stmt_status(tls, stmt, sqlite3.SQLITE_STMTSTATUS_SORT, 1))
}

// pages is how many pages the connection looked at since it was last asked to begin anew.
func (c *conn) pages(anew bool) (n int64) {
	reset := int32(0)
	if anew {
		reset = 1
	}
	high := c.tls.Alloc(8)
	defer c.tls.Free(8)
	for _, op := range []int32{sqlite3.SQLITE_DBSTATUS_CACHE_HIT, sqlite3.SQLITE_DBSTATUS_CACHE_MISS} {
		if sqlite3.Xsqlite3_db_status(c.tls, c.db, op, c.out, high, reset) == sqlite3.SQLITE_OK {
			n += int64(*(*int32)(at(c.out)))
		}
	}
	return n
}
