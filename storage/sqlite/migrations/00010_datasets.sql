-- +goose Up
-- What departments load for matching, as snapshots: a load is complete once done is 1, and the newest complete one of a
-- dataset counts. key is a keyed index of the identity number; cells is a JSON array of canonical text; subject is who
-- the row is about, sealed, or ''.
CREATE TABLE loads (
  n       INTEGER PRIMARY KEY,
  dataset TEXT    NOT NULL,
  sha256  TEXT    NOT NULL,
  by      TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  rows    INTEGER NOT NULL,
  done    INTEGER NOT NULL
) STRICT;
CREATE INDEX loads_of ON loads (dataset, n);

CREATE TABLE load_rows (
  n       INTEGER PRIMARY KEY,
  load    INTEGER NOT NULL REFERENCES loads (n),
  line    INTEGER NOT NULL,
  key     TEXT    NOT NULL,
  cells   TEXT    NOT NULL,
  subject TEXT    NOT NULL
) STRICT;
CREATE INDEX load_rows_of ON load_rows (load);

-- What matching found last of a person by a rule, and the lead that came of it.
CREATE TABLE matches (
  n     INTEGER PRIMARY KEY,
  id    TEXT    NOT NULL UNIQUE,
  print TEXT    NOT NULL,
  lead  TEXT    NOT NULL,
  at    INTEGER NOT NULL
) STRICT;
