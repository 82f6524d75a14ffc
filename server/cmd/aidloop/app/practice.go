package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofiber/fiber/v2"

	"aidloop/storage/sqlite"
)

// practiceMark is the file that says that a data folder is for practice.
const practiceMark = "PRACTICE"

// keepApart refuses to practise on real data, and to work on those of practice: a data folder is one or the other from
// its first day on.
func (c *Config) keepApart() error {
	mark := filepath.Join(c.Data, practiceMark)
	_, err := os.Stat(mark)
	marked := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--data: %w", err)
	}
	_, err = os.Stat(filepath.Join(c.Data, sqlite.FileName))
	switch {
	case marked == c.Practice:
		return nil
	case marked:
		return fmt.Errorf("--data: %s is a folder for practice: name another one, or practise with --practice-addr", c.Data)
	case err == nil:
		return fmt.Errorf("--practice-addr: %s holds real data and is not practised on: move it away", c.Data)
	}
	return os.WriteFile(mark, []byte("Invented data, for practice. Nothing in this folder is real.\n"), 0o600)
}

// PracticeHeader stands on every answer of a server for practice.
const PracticeHeader = "Aidloop-Practice"

// sayPractice says with every answer that nothing here is real.
func (a *App) sayPractice() {
	if a.cfg.Practice {
		a.fiber.Use(func(c *fiber.Ctx) error {
			c.Set(PracticeHeader, "true")
			return c.Next()
		})
	}
}

// ForgetPractice takes a folder for practice away, so that people begin anew. It touches no other folder.
func ForgetPractice(data string) error {
	if _, err := os.Stat(filepath.Join(data, practiceMark)); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil // there is none, or it is not for practice: it is refused when it is opened
		}
		return err
	}
	return os.RemoveAll(data)
}
