-- A phone's data: one ordered map from text keys to bytes. What the keys mean is the device engine's business; see
-- engine.go there. n keeps rows of some KB in the order in which they came.

-- +goose Up

CREATE TABLE entries (
  n     INTEGER PRIMARY KEY,
  key   TEXT NOT NULL UNIQUE,
  value BLOB NOT NULL
) STRICT;
