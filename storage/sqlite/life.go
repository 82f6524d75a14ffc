package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A restored database must not go on under its old name: devices hold cursors and stamps of the life that was lost.
// So every life has an incarnation, and a token lies both in the database and in a file beside it. The token changes
// with every start and every stop. A database that was put back from a copy holds a token that the file no longer
// names, or finds no file at all, and begins a new life. Both the file and the database put back together from one
// copy look like nothing happened; whoever restores a whole folder must delete the file, and Backup leaves it out.

const sidecarName = "aidloop.life"

// settle reads the token, begins a new life where the file beside the database does not know it, and changes it.
func (s *Store) settle() error {
	return s.alone(func(c *conn) error {
		token, err := lifeToken(c)
		if err != nil {
			return err
		}
		known, err := readSidecar(s.dir)
		if err != nil {
			return err
		}
		if token == "" || !slices.Contains(known, token) {
			if err := s.beginLife(c); err != nil {
				return err
			}
		}
		return nil
	}, s.rotate)
}

// alone runs the functions in one transaction of the writer, before the committer starts or after it ended.
func (s *Store) alone(fns ...func(*conn) error) error {
	c := s.writer
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, fn := range fns {
		if err := fn(c); err != nil {
			return errors.Join(err, c.exec("ROLLBACK"))
		}
	}
	return c.exec("COMMIT")
}

func lifeToken(c *conn) (string, error) {
	q := c.use("SELECT token FROM life WHERE n = 1")
	token := ""
	if q.row() {
		token = q.str(0)
	}
	return token, q.done()
}

// beginLife mints an incarnation and writes down how far the former one's cursors are true.
func (s *Store) beginLife(c *conn) error {
	q := c.use("SELECT n FROM incarnations ORDER BY n DESC LIMIT 1")
	former, had := int64(0), false
	if q.row() {
		former, had = q.get(0), true
	}
	if err := q.done(); err != nil {
		return err
	}
	if had {
		s.log.Warn("the database was put back from a copy or its life file is gone: a new incarnation begins", "dir", s.dir)
		if err := c.use("INSERT INTO incarnation_ends (incarnation, bucket, seq) SELECT ?, n, seq FROM buckets WHERE written = 1").
			int(former).run(); err != nil {
			return fmt.Errorf("ends of the former incarnation: %w", err)
		}
	}
	return c.use("INSERT INTO incarnations (id, born_at) VALUES (?, ?)").text(s.newID()).int(s.clock().UnixMilli()).run()
}

// rotate replaces the token. The file first names the old and the new one, so that a crash on either side of the
// commit is no restore; forget strikes the old one out afterwards.
func (s *Store) rotate(c *conn) error {
	old, err := lifeToken(c)
	if err != nil {
		return err
	}
	token := s.newID()
	tokens := []string{token}
	if old != "" {
		tokens = append(tokens, old)
	}
	if err := writeSidecar(s.dir, tokens); err != nil {
		return err
	}
	return c.use("INSERT INTO life (n, token) VALUES (1, ?) ON CONFLICT (n) DO UPDATE SET token = excluded.token").text(token).run()
}

// forget leaves only the present token in the file. It holds the write lock, lest another process be rotating.
func (s *Store) forget() error {
	return s.alone(func(c *conn) error {
		token, err := lifeToken(c)
		if err != nil {
			return err
		}
		return writeSidecar(s.dir, []string{token})
	})
}

func readSidecar(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, sidecarName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("life file: %w", err)
	}
	return strings.Fields(string(b)), nil
}

func writeSidecar(dir string, tokens []string) error {
	path := filepath.Join(dir, sidecarName)
	f, err := os.CreateTemp(dir, sidecarName+".*")
	if err != nil {
		return fmt.Errorf("life file: %w", err)
	}
	_, err = f.WriteString(strings.Join(tokens, "\n") + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("life file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return syncDir(dir)
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
