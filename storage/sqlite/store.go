package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	driver "modernc.org/sqlite"

	"aidloop/server/loop"
)

// FileName is the database's name in its folder.
const FileName = "aidloop.db"

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("the store is closed")

// Options say where the database is and who it gets ids and times from. Logger may be nil.
type Options struct {
	Dir    string // made where it does not exist
	Logger *slog.Logger
	Clock  func() time.Time
	NewID  func() string // mints incarnations and life tokens, at most 64 characters
}

// Store implements loop.Store on one database file.
type Store struct {
	dir         string
	path        string
	log         *slog.Logger
	clock       func() time.Time
	newID       func() string
	incarnation string
	life        int64 // the incarnation's row

	names   names // of buckets, as far as they are committed
	readers chan *conn
	pool    int

	// The committer's own; see commit.go.
	writer *conn
	roots  *roots
	queue  chan *job
	idle   chan struct{} // closed when the committer has ended
	gate   sync.RWMutex  // held shared while a job is put into the queue
	closed bool
}

var _ loop.Store = (*Store)(nil)

// The page caches of a connection, in KiB. Inserts under random ids touch many index pages.
const (
	writerCache = 64 << 10
	readerCache = 8 << 10
)

// Open opens the database in a folder, makes or migrates it where needed, and starts the committer. It returns an
// *ErrNewer where a newer program wrote it.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Dir == "" || o.Clock == nil || o.NewID == nil {
		return nil, errors.New("sqlite: Dir, Clock and NewID are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: folder: %w", err)
	}
	// fdatasync is what SQLite commits with wherever its own build finds it; the port to Go has to be told. It makes
	// a commit as durable as fsync and leaves out the file's times. Where it does not exist, fsync stays.
	if _, err := driver.Fdatasync(true); err != nil && !errors.Is(err, driver.ErrFdatasyncUnavailable) {
		return nil, fmt.Errorf("sqlite: fdatasync: %w", err)
	}
	s := &Store{dir: o.Dir, path: filepath.Join(o.Dir, FileName), log: o.Logger, clock: o.Clock, newID: o.NewID,
		pool: max(4, 2*runtime.GOMAXPROCS(0)), queue: make(chan *job, maxBatch), idle: make(chan struct{})}
	s.readers = make(chan *conn, s.pool)
	if err := s.start(ctx); err != nil {
		s.release()
		return nil, fmt.Errorf("open %s: %w", s.path, err)
	}
	go s.commitLoop()
	return s, nil
}

func (s *Store) start(ctx context.Context) (err error) {
	if s.writer, err = openConn(s.path, modeWriter, writerCache); err != nil {
		return err
	}
	if err := migrate(ctx, s.path); err != nil {
		return err
	}
	s.names.init()
	s.roots = newRoots()
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.forget(); err != nil {
		return err
	}
	q := s.writer.use("SELECT n, id FROM incarnations ORDER BY n DESC LIMIT 1")
	if q.row() {
		s.life, s.incarnation = q.get(0), q.str(1)
	}
	if err := q.done(); err != nil {
		return err
	}
	for range s.pool {
		c, err := openConn(s.path, modeReader, readerCache)
		if err != nil {
			return err
		}
		s.readers <- c
	}
	return nil
}

// release closes every connection that is not in use.
func (s *Store) release() error {
	var errs []error
	for {
		select {
		case c := <-s.readers:
			errs = append(errs, c.close())
			continue
		default:
		}
		break
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
		s.writer = nil
	}
	return errors.Join(errs...)
}

// Close finishes the writes that were accepted, waits for reads to end, moves the write-ahead log into the database
// and closes it. A second call returns ErrClosed.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return ErrClosed
	}
	s.closed = true
	close(s.queue)
	s.gate.Unlock()
	<-s.idle
	var errs []error
	for range s.pool {
		errs = append(errs, (<-s.readers).close())
	}
	if s.writer != nil {
		errs = append(errs, s.alone(s.rotate), s.forget(), s.writer.exec("PRAGMA wal_checkpoint(TRUNCATE)"))
	}
	errs = append(errs, s.release())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}

// Read runs fn on one snapshot: the transaction begins with a read, so what is committed later is not in it.
func (s *Store) Read(ctx context.Context, fn func(loop.ReadTx) error) error {
	return s.read(ctx, func(v *view) error { return fn(v) })
}

func (s *Store) read(ctx context.Context, fn func(*view) error) error {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	if err := c.exec("BEGIN"); err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer func() {
		if err := c.exec("ROLLBACK"); err != nil {
			s.log.Error("a read did not end", "err", err)
		}
	}()
	if err := c.exec("SELECT 1 FROM life"); err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	return fn(&view{s: s, c: c, ctx: ctx})
}

func (s *Store) reader(ctx context.Context) (*conn, error) {
	s.gate.RLock()
	closed := s.closed
	s.gate.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c := <-s.readers:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Backup writes a consistent copy of the database to a new file while the store goes on working. The copy carries no
// life token, so a store opened on it begins a new incarnation.
func (s *Store) Backup(ctx context.Context, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("backup: %s exists", to)
	}
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(s.copyTo(ctx, part), ctx.Err()); err != nil {
		return errors.Join(fmt.Errorf("backup: %w", err), os.RemoveAll(part))
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return syncDir(filepath.Dir(to))
}

func (s *Store) copyTo(ctx context.Context, path string) error {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	if err := c.use("VACUUM INTO ?").text(path).run(); err != nil {
		return err
	}
	b, err := openConn(path, modeWriter, readerCache)
	if err != nil {
		return err
	}
	err = errors.Join(b.exec("DELETE FROM life"), b.exec("PRAGMA wal_checkpoint(TRUNCATE)"), b.exec("PRAGMA journal_mode = DELETE"))
	if err = errors.Join(err, b.close()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
