-- +goose Up
-- Buckets whose rows did not add up on a device: what they came to at the device's cursor, and the bucket's head when it
-- asked for a repair. leaves are those that differed, 64 hex digits, '' where the whole bucket was sent.
CREATE TABLE incidents (
  n             INTEGER PRIMARY KEY AUTOINCREMENT,
  at            INTEGER NOT NULL,
  device        TEXT    NOT NULL,
  bucket        TEXT    NOT NULL,
  cursor        TEXT    NOT NULL,
  count         INTEGER NOT NULL,
  digest        BLOB    NOT NULL,
  seq           INTEGER NOT NULL,
  server_count  INTEGER NOT NULL,
  server_digest BLOB    NOT NULL,
  leaves        TEXT    NOT NULL,
  UNIQUE (device, bucket, cursor)
) STRICT;
