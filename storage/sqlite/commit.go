package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"aidloop/server/loop"
	"aidloop/syncproto"
)

// One goroutine, the committer, owns the only connection that writes. It takes a write from the queue, then those
// that came meanwhile, runs them one after another in one transaction and commits once for all of them. Nobody waits
// for company: a write that finds the queue empty is committed at once.
//
// The first write of a transaction needs no savepoint, for the transaction is one; those behind it have their own, so
// that an error takes back one write only. After anything that could have cost the whole transaction, a failed commit
// or a failing disk, the connection is replaced and every write is run once more, alone; the errors of that run are
// the callers'.

// The bounds of one shared commit.
const (
	maxBatch      = 64
	maxBatchBytes = 16 << 20
)

// job is one call of Write.
type job struct {
	fn    func(loop.Tx) error
	taken atomic.Bool // by the committer, or by a caller who gave up
	err   error
	done  chan struct{}
}

// Write queues fn for the committer. A context that ends before fn was started takes it out of the queue; from then
// on it runs to its end. fn must not call Write itself.
func (s *Store) Write(ctx context.Context, fn func(loop.Tx) error) error {
	j := &job{fn: fn, done: make(chan struct{})}
	if err := s.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return waitable(j.err)
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.done
		return waitable(j.err)
	}
}

// waitable adds to a disk that is full or failing that the caller may come again: nothing of the write remains, and it
// goes through once there is room.
func waitable(err error) error {
	var e *Error
	if errors.As(err, &e) && e.passes() {
		return fmt.Errorf("%w: %w", syncproto.Refuse(syncproto.CodeUnavailable, "the store cannot write at the moment"), err)
	}
	return err
}

func (s *Store) enqueue(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) commitLoop() {
	defer close(s.idle)
	batch := make([]*job, 0, maxBatch)
	for j := range s.queue {
		if !j.taken.CompareAndSwap(false, true) {
			continue
		}
		batch = s.shared(append(batch[:0], j))
		for i, j := range batch {
			close(j.done)
			batch[i] = nil
		}
	}
}

// shared runs the first write and whatever is waiting behind it in one transaction, and returns all of them with
// their errors set.
func (s *Store) shared(batch []*job) []*job {
	c, err := s.begin()
	if err != nil {
		batch[0].err = err
		return batch
	}
	t := &tx{view: view{s: s, c: c, ctx: context.Background(), writes: true}}
	kept := 0
	for i := 0; ; i++ {
		if s.try(t, batch[i], kept > 0) {
			kept++
		}
		if c.broken != nil || len(batch) == maxBatch || c.bound > maxBatchBytes {
			break
		}
		if i == len(batch)-1 {
			if batch = s.waiting(batch); i == len(batch)-1 {
				break
			}
		}
	}
	if c.broken == nil && s.end(kept > 0) == nil {
		return batch
	}
	s.again(batch)
	return batch
}

// waiting adds the next write of the queue, if there is one.
func (s *Store) waiting(batch []*job) []*job {
	for {
		select {
		case j, ok := <-s.queue:
			if !ok {
				return batch
			}
			if j.taken.CompareAndSwap(false, true) {
				return append(batch, j)
			}
		default:
			return batch
		}
	}
}

// again runs every write in a transaction of its own after the shared one was lost.
func (s *Store) again(batch []*job) {
	s.log.Warn("a shared commit failed: its writes are run again one by one", "writes", len(batch), "err", s.writerFault())
	s.renew()
	for _, j := range batch {
		c, err := s.begin()
		if err != nil {
			j.err = err
			continue
		}
		t := &tx{view: view{s: s, c: c, ctx: context.Background(), writes: true}}
		kept := s.try(t, j, false)
		if fault := c.broken; fault == nil {
			fault = s.end(kept)
			if fault != nil && kept {
				j.err = fmt.Errorf("commit: %w", fault)
			}
		} else if kept {
			j.err = fault
		}
		if c.broken != nil {
			s.renew()
		}
	}
}

func (s *Store) writerFault() error {
	if s.writer == nil {
		return nil
	}
	return s.writer.broken
}

// begin starts a transaction, on a new connection where the last one was given up.
func (s *Store) begin() (*conn, error) {
	if s.writer == nil {
		c, err := openConn(s.path, modeWriter, writerCache)
		if err != nil {
			return nil, fmt.Errorf("open to write: %w", err)
		}
		s.writer = c
	}
	c := s.writer
	c.bound, c.broken = 0, nil
	s.roots.begin()
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		s.renew()
		return nil, fmt.Errorf("begin to write: %w", err)
	}
	return c, nil
}

// end commits, or rolls back where nothing is to be kept. What the transaction named becomes known to readers after
// the commit only.
func (s *Store) end(keep bool) error {
	if !keep {
		return s.writer.exec("ROLLBACK")
	}
	if err := s.writer.exec("COMMIT"); err != nil {
		return err
	}
	s.roots.keep(&s.names)
	return nil
}

// renew gives the connection up. Closing it takes back whatever it had not committed.
func (s *Store) renew() {
	if s.writer == nil {
		return
	}
	if err := s.writer.close(); err != nil {
		s.log.Error("close the writer", "err", err)
	}
	s.writer = nil
}

// try runs one write and reports whether it is to be kept. Where it is not, nothing of it remains in the transaction.
func (s *Store) try(t *tx, j *job, savepoint bool) bool {
	c := t.c
	t.reset()
	if savepoint {
		if j.err = c.exec("SAVEPOINT w"); j.err != nil {
			return false
		}
	}
	j.err = s.call(t, j.fn)
	if c.broken != nil {
		if j.err == nil {
			j.err = c.broken
		}
		return false
	}
	if j.err == nil {
		if !savepoint {
			return true
		}
		j.err = c.exec("RELEASE w")
		return j.err == nil
	}
	s.undo(c, savepoint)
	return false
}

// undo takes one write back. Errors leave their mark in c.broken.
func (s *Store) undo(c *conn, savepoint bool) {
	steps := []string{"ROLLBACK", "BEGIN IMMEDIATE"}
	if savepoint {
		steps = []string{"ROLLBACK TO w", "RELEASE w"}
	}
	for _, sql := range steps {
		if err := c.exec(sql); err != nil && c.broken == nil {
			c.broken = err
		}
	}
	s.roots.undo()
}

func (s *Store) call(t *tx, fn func(loop.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a write panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("a write panicked: %v", p)
		}
	}()
	return fn(t)
}
