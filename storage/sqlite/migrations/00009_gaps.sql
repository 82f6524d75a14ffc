-- +goose Up
-- Changes that a device declared lost: the database was put back from a backup older than what the device still holds.
-- Its chain goes on from head, and its next change is last + 1.
CREATE TABLE gaps (
  n      INTEGER PRIMARY KEY,
  device TEXT    NOT NULL,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL,
  head   BLOB    NOT NULL,
  sig    BLOB    NOT NULL,
  at     INTEGER NOT NULL,
  UNIQUE (device, first)
) STRICT;
