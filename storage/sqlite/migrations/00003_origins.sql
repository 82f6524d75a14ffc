-- +goose Up
-- Groups that a phone reissued under a new identity after its history forked: where they were first captured, and the
-- change that last brought them.
CREATE TABLE origins (
  n           INTEGER PRIMARY KEY,
  device      TEXT    NOT NULL,
  dseq        INTEGER NOT NULL,
  hash        BLOB    NOT NULL,
  by_device   TEXT    NOT NULL,
  by_dseq     INTEGER NOT NULL,
  UNIQUE (device, dseq, hash)
) STRICT;
