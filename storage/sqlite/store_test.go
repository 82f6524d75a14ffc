package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aidloop/server/loop"
	"aidloop/storage/sqlite"
	"aidloop/storage/storagetest"
)

func options(dir string) sqlite.Options {
	n := time.Now().UnixNano()
	return sqlite.Options{Dir: dir, Clock: time.Now, NewID: func() string { n++; return fmt.Sprintf("id-%d", n) }}
}

func open(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) loop.Store {
		s := open(t, t.TempDir())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func incarnation(t *testing.T, s *sqlite.Store) (id string) {
	t.Helper()
	if err := s.Read(t.Context(), func(tx loop.ReadTx) error { id = tx.Incarnation(); return nil }); err != nil {
		t.Fatal(err)
	}
	return id
}

// A database that is put back from a copy begins a new life; one that is only opened again goes on.
func TestRestoreBeginsANewLife(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	first := incarnation(t, s)
	if err := s.Write(t.Context(), func(tx loop.Tx) error { return tx.PutBucket(loop.Bucket{Name: "ref", Seq: 4}) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if incarnation(t, s) != first {
		t.Error("opening it again began a new life")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, sqlite.FileName), copied, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	if incarnation(t, s) == first {
		t.Error("a restored database goes on under its old name")
	}
	if err := s.Write(t.Context(), func(tx loop.Tx) error { return tx.PutBucket(loop.Bucket{Name: "ref", Seq: 7}) }); err != nil {
		t.Fatal(err)
	}
	err = s.Read(t.Context(), func(tx loop.ReadTx) error {
		for _, x := range []struct {
			life, bucket string
			end          uint64
		}{{first, "ref", 4}, {first, "user:u", 0}, {tx.Incarnation(), "ref", 7}} {
			if end, err := tx.LifeEnd(x.life, x.bucket); err != nil || end != x.end {
				t.Errorf("%s of %s ended at %d, %v, want %d", x.bucket, x.life, end, err, x.end)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(context.Background(), options(dir))
	var newer *sqlite.ErrNewer
	if !errors.As(err, &newer) || newer.Have != 999 || !strings.Contains(err.Error(), "999") {
		t.Errorf("opened: %v", err)
	}
}

// A pull reads what changed and nothing else: all parts of the feed are searched by their indexes and merged in order.
// Whoever looks for tombstones reads those and no row, and whoever looks for one kind of a root's records no others.
func TestFeedIsNotSorted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if plan, err := s.FeedPlan(t.Context()); err != nil || !strings.Contains(strings.Join(plan, "\n"), "records_feed") {
		t.Errorf("the store's own word on its feed: %q, %v", plan, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		query string
		args  []any
		want  []string
	}{
		{sqlite.FeedSQL, []any{1, 2}, []string{"INDEX records_feed (bucket=? AND seq>?)", "INDEX records_gone (bucket=? AND seq>?)", "INDEX exits_feed (bucket=? AND seq>?)"}},
		{sqlite.TombstoneSQL, []any{1, 1}, []string{"COVERING INDEX records_gone (bucket=?)", "COVERING INDEX exits_feed (bucket=?)"}},
		{sqlite.KindOfRootSQL, []any{"household", "h", "key"}, []string{"INDEX records_root (root=? AND kind=?)"}},
		{"UPDATE records SET deleted = 2 WHERE bucket = ? AND deleted = 1 AND seq <= ?", []any{1, 2}, []string{"INDEX records_gone (bucket=? AND seq<?)"}},
	} {
		plan := explain(t, db, c.query, c.args...)
		for _, part := range c.want {
			if !strings.Contains(plan, part) {
				t.Errorf("%s is not in the plan:\n%s", part, plan)
			}
		}
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("the plan is\n%s", plan)
		}
	}
}

// Lists that name an owner or a parent are searched by it and come in order, however many others there are.
func TestListsAreSearched(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		q    loop.Query
		want string
	}{
		{loop.Query{Kind: "visit", Owner: "u"}, "INDEX records_owner (kind=? AND owner=?)"},
		{loop.Query{Kind: "visit", Owner: "u", Region: "430681", States: []string{"submitted", "returned"}}, "INDEX records_owner (kind=? AND owner=?)"},
		{loop.Query{Kind: "visit", Owner: "u", After: "v"}, "INDEX records_owner (kind=? AND owner=? AND id<?)"},
		{loop.Query{Kind: "objection", Parent: "a", States: []string{"received"}}, "INDEX records_parent (kind=? AND parent=?)"},
		{loop.Query{Kind: "lead", ByDue: true, DueTo: "2026-12-31"}, "INDEX records_due (kind=? AND due<?)"},
	} {
		text, list := sqlite.FindSQL(c.q)
		args := make([]any, 0, len(list)+1)
		for _, a := range list {
			args = append(args, a)
		}
		if plan := explain(t, db, text, append(args, 51)...); !strings.Contains(plan, c.want) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%+v:\n%s", c.q, plan)
		}
	}
}

func explain(t *testing.T, db *sql.DB, query string, args ...any) string {
	t.Helper()
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
