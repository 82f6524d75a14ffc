-- +goose Up
-- Signed parts of bundles that wait for what comes before them. data is last, so that reading the other columns does
-- not walk its pages.
CREATE TABLE parked (
  n        INTEGER PRIMARY KEY,
  device   TEXT    NOT NULL,
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  prev     BLOB    NOT NULL,
  head     BLOB    NOT NULL,
  at       INTEGER NOT NULL,
  bytes    INTEGER NOT NULL,
  encoding TEXT    NOT NULL,
  data     BLOB    NOT NULL
) STRICT;
CREATE INDEX parked_of ON parked (device, first);
