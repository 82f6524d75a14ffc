-- +goose Up
-- Rows of a life of the database that was lost, brought back by devices that had received them.
CREATE TABLE witnesses (
  n      INTEGER PRIMARY KEY,
  hash   BLOB NOT NULL UNIQUE,
  device TEXT NOT NULL,
  at     INTEGER NOT NULL,
  kind   TEXT NOT NULL,
  id     TEXT NOT NULL,
  env    BLOB NOT NULL,
  body   BLOB NOT NULL
) STRICT;
