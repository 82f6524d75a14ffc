-- +goose Up
-- How often the key of a bucket was rotated, and how far the case keys of its households are wrapped anew. The key of
-- "user:<id>" is that user's own. What has no row was never rotated. The keys themselves are never here.
CREATE TABLE key_versions (
  bucket  TEXT    PRIMARY KEY,
  version INTEGER NOT NULL, -- from 1
  cases   INTEGER NOT NULL, -- whether the case keys are renewed on the way
  pending INTEGER NOT NULL,
  after   INTEGER NOT NULL, -- the bucket's seq up to which every key record is done
  done    INTEGER NOT NULL, -- key records so far
  begun   INTEGER NOT NULL
) STRICT;
CREATE INDEX key_versions_pending ON key_versions (bucket) WHERE pending = 1;

-- What a phone says of itself: the last change that it captured, the photos that wait on it, and since when its keys
-- and rows are erased.
ALTER TABLE devices ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN photos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN erased_at INTEGER NOT NULL DEFAULT 0;
-- Why it is in its state, in words, and since when.
ALTER TABLE devices ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN since INTEGER NOT NULL DEFAULT 0;

-- What a phone said it holds of a bucket, or held when it dropped it.
CREATE TABLE holdings (
  n      INTEGER PRIMARY KEY,
  device TEXT    NOT NULL,
  bucket TEXT    NOT NULL,
  cursor TEXT    NOT NULL,
  count  INTEGER NOT NULL, -- -1: not said
  digest TEXT    NOT NULL,
  gone   INTEGER NOT NULL, -- 1: dropped or erased
  at     INTEGER NOT NULL,
  UNIQUE (device, bucket)
) STRICT;

-- Grants are found by the bucket that they open, as every record is by what it belongs to.
UPDATE records SET parent = json_extract(body, '$.bucket') WHERE kind = 'grant' AND deleted = 0;
