package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file is the whole of our acquaintance with SQLite's C interface. database/sql is used for migrations alone:
// measured on 20,000 records of 1.1 KB, each looked up and inserted under seven indexes in transactions of 200, the
// same statements took 18.3 µs a record through database/sql, 16.8 through the driver's own interfaces and 12.8 here,
// where arguments are copied once into memory that stays and results are read where they lie.

// Error is SQLite's refusal of a statement.
type Error struct {
	Code int // the extended result code
	Text string
}

// Error writes SQLite's message and code. It names tables and columns, never values.
func (e *Error) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.Text, e.Code) }

// spoils reports whether the transaction must be taken for lost. A broken constraint or a value of the wrong type
// leaves it as it was before the statement; after anything else (a full disk, a failing one) nothing is certain.
func (e *Error) spoils() bool {
	switch e.Code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return false
	}
	return true
}

// passes reports whether the same write may go through later without anybody changing it.
func (e *Error) passes() bool {
	switch e.Code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY:
		return true
	}
	return false
}

// conn is one connection. One goroutine uses it at a time.
type conn struct {
	tls    *libc.TLS
	db     uintptr
	out    uintptr // 8 bytes, where SQLite puts the handles that it returns
	stmts  map[string]*prepared
	bound  int64 // bytes bound to statements since the transaction began
	broken error // the first error that spoils the transaction
	kinds  map[string]string
	work   *Work // where what statements do is counted; nil but for tests and benchmarks
}

// prepared holds the idle statements of one SQL text. There is more than one where calls nest.
type prepared struct{ idle []*stmt }

const (
	modeWriter = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_CREATE | sqlite3.SQLITE_OPEN_NOMUTEX
	modeReader = sqlite3.SQLITE_OPEN_READONLY | sqlite3.SQLITE_OPEN_NOMUTEX
)

// pragmas holds for every connection. Pages of 8 KiB hold six records instead of the three of 4 KiB; a write-ahead
// log of 32 MiB between checkpoints writes pages that change often only once.
var pragmas = []string{
	"PRAGMA busy_timeout = 10000",
	"PRAGMA foreign_keys = ON",
	"PRAGMA page_size = 8192",
	"PRAGMA journal_mode = WAL",
	"PRAGMA synchronous = FULL",
	"PRAGMA temp_store = MEMORY",
	"PRAGMA wal_autocheckpoint = 4000",
	"PRAGMA journal_size_limit = 67108864",
	"PRAGMA trusted_schema = OFF",
}

// at turns an address that SQLite owns into a pointer. The memory is outside of Go's heap and never moves.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

func openConn(path string, mode int32, cacheKiB int) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), stmts: map[string]*prepared{}, kinds: map[string]string{}}
	c.out = c.tls.Alloc(8)
	name, err := libc.CString(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: name of the database: %w", err)
	}
	defer libc.Xfree(c.tls, name)
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, mode, 0)
	c.db = *(*uintptr)(at(c.out))
	if rc != sqlite3.SQLITE_OK {
		err := c.fail(rc)
		c.close()
		return nil, err
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	for _, p := range append(pragmas, fmt.Sprintf("PRAGMA cache_size = -%d", cacheKiB)) {
		if err := c.exec(p); err != nil {
			c.close()
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return c, nil
}

// close releases everything. Where a transaction is open, it is rolled back.
func (c *conn) close() error {
	for _, p := range c.stmts {
		for _, s := range p.idle {
			s.finalize()
		}
	}
	rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db)
	c.tls.Free(8)
	c.tls.Close()
	if rc != sqlite3.SQLITE_OK {
		return &Error{int(rc), "close"}
	}
	return nil
}

func (c *conn) fail(rc int32) error {
	e := &Error{int(rc), "no memory"}
	if c.db != 0 {
		e.Text = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	}
	if e.spoils() && c.broken == nil {
		c.broken = e
	}
	return e
}

// exec runs a statement without arguments.
func (c *conn) exec(sql string) error { return c.use(sql).run() }

// lastRow is the rowid of the newest insert.
func (c *conn) lastRow() int64 { return sqlite3.Xsqlite3_last_insert_rowid(c.tls, c.db) }

// use takes a prepared statement for the text. It must end with run or done.
func (c *conn) use(sql string) *stmt {
	p := c.stmts[sql]
	if p == nil {
		p = &prepared{}
		c.stmts[sql] = p
	}
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if c.work != nil {
			new(Work).count(c.tls, s.p) // what it did before is not asked for
		}
		return s
	}
	s := &stmt{c: c, home: p}
	text, err := libc.CString(sql)
	if err != nil {
		s.err = err
		return s
	}
	defer libc.Xfree(c.tls, text)
	if rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, 0); rc != sqlite3.SQLITE_OK {
		s.err = fmt.Errorf("prepare: %w", c.fail(rc))
		return s
	}
	s.p = *(*uintptr)(at(c.out))
	return s
}

// stmt is a prepared statement in use. Arguments are bound in order; the first error sticks and is reported at the
// end.
type stmt struct {
	c    *conn
	home *prepared
	p    uintptr
	next int32 // the argument bound last
	args []argument
	err  error
}

// argument is the memory that the statement keeps for one of its arguments.
type argument struct {
	p   uintptr
	cap int
}

// keepArgument is how much memory an argument keeps between uses.
const keepArgument = 64 << 10

func (s *stmt) int(v int64) *stmt {
	s.next++
	if s.err == nil {
		s.check(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, s.next, v))
	}
	return s
}

func (s *stmt) num(v uint64) *stmt { return s.int(int64(v)) }

func (s *stmt) flag(v bool) *stmt {
	if v {
		return s.int(1)
	}
	return s.int(0)
}

func (s *stmt) null() *stmt {
	s.next++
	if s.err == nil {
		s.check(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, s.next))
	}
	return s
}

func (s *stmt) text(v string) *stmt {
	if p := s.hold(unsafe.Slice(unsafe.StringData(v), len(v))); p != 0 {
		s.check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, s.next, p, int32(len(v)), 0))
	}
	return s
}

// json binds canonical JSON as text.
func (s *stmt) json(v []byte) *stmt {
	if p := s.hold(v); p != 0 {
		s.check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, s.next, p, int32(len(v)), 0))
	}
	return s
}

func (s *stmt) blob(v []byte) *stmt {
	if p := s.hold(v); p != 0 {
		s.check(sqlite3.Xsqlite3_bind_blob(s.c.tls, s.p, s.next, p, int32(len(v)), 0))
	}
	return s
}

// hold copies an argument into the statement's memory. It is never 0, even for nothing, unless there is an error.
func (s *stmt) hold(v []byte) uintptr {
	i := int(s.next)
	s.next++
	if s.err != nil {
		return 0
	}
	if len(v) > 1<<30 {
		s.err = errors.New("sqlite: argument over 1 GiB")
		return 0
	}
	for len(s.args) <= i {
		s.args = append(s.args, argument{})
	}
	a := &s.args[i]
	if a.p == 0 || a.cap < len(v) {
		s.release(i)
		n := max(64, len(v)+len(v)/4)
		if a.p = sqlite3.Xsqlite3_malloc64(s.c.tls, uint64(n)); a.p == 0 {
			s.err = s.c.fail(sqlite3.SQLITE_NOMEM)
			return 0
		}
		a.cap = n
	}
	copy(unsafe.Slice((*byte)(at(a.p)), len(v)), v)
	s.c.bound += int64(len(v))
	return a.p
}

func (s *stmt) release(i int) {
	if a := &s.args[i]; a.p != 0 {
		if s.p != 0 {
			sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(i)+1)
		}
		sqlite3.Xsqlite3_free(s.c.tls, a.p)
		*a = argument{}
	}
}

func (s *stmt) check(rc int32) {
	if rc != sqlite3.SQLITE_OK && s.err == nil {
		s.err = s.c.fail(rc)
	}
}

// row steps to the next row; false at the end and after an error.
func (s *stmt) row() bool {
	if s.err != nil {
		return false
	}
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		if s.c.work != nil {
			s.c.work.Rows++
		}
		return true
	case sqlite3.SQLITE_DONE:
		return false
	default:
		s.err = s.c.fail(rc)
		return false
	}
}

// done gives the statement back and returns the first error.
func (s *stmt) done() error {
	err := s.err
	if s.p == 0 {
		return err
	}
	if s.c.work != nil {
		s.c.work.count(s.c.tls, s.p)
	}
	sqlite3.Xsqlite3_reset(s.c.tls, s.p)
	for i := range s.args {
		if s.args[i].cap > keepArgument {
			s.release(i)
		}
	}
	s.next, s.err = 0, nil
	s.home.idle = append(s.home.idle, s)
	return err
}

// run executes the statement to its end.
func (s *stmt) run() error {
	for s.row() {
	}
	return s.done()
}

func (s *stmt) finalize() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.p)
	s.p = 0
	for i := range s.args {
		s.release(i)
	}
}

// view is a column's bytes where SQLite has them: until the next row or done.
func (s *stmt) view(col int32) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, col)
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, col)
	if p == 0 || n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(at(p)), n)
}

// str, bytes and the rest copy a column's value.
func (s *stmt) str(col int32) string { return string(s.view(col)) }

func (s *stmt) bytes(col int32) []byte { return append([]byte(nil), s.view(col)...) }

func (s *stmt) hash(col int32) (h [32]byte) {
	copy(h[:], s.view(col))
	return h
}

func (s *stmt) get(col int32) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, col) }

func (s *stmt) uget(col int32) uint64 { return uint64(s.get(col)) }

func (s *stmt) is(col int32) bool { return s.get(col) != 0 }

// kind is str for a column of few values, without fresh memory.
func (s *stmt) kind(col int32) string {
	v := s.view(col)
	if k, ok := s.c.kinds[string(v)]; ok {
		return k
	}
	k := string(v)
	if len(s.c.kinds) < 256 {
		s.c.kinds[k] = k
	}
	return k
}
