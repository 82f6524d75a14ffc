-- +goose Up
-- The feed's index in two halves, so that deletions can be taken out of it: deleted is 2 for a deleted record whose
-- entry was trimmed. The record itself stays for ever, under its key. Rows of the feed and tombstones are read by
-- their own halves, and a bucket's oldest tombstone is the first one of its half.
DROP INDEX records_feed;
CREATE INDEX records_feed ON records (bucket, seq) WHERE deleted = 0;
CREATE INDEX records_gone ON records (bucket, seq) WHERE deleted = 1;

-- How many entries of the bucket's ledger the newest seal covers.
ALTER TABLE buckets ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;

-- Signed Merkle roots of the ledgers' heads, chained. Appended, never changed.
CREATE TABLE seals (
  n     INTEGER PRIMARY KEY,
  bytes TEXT NOT NULL,
  sig   BLOB NOT NULL
) STRICT;
