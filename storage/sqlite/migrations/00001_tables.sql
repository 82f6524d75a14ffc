-- The tables of a single server's store.
--
-- records is the centre: one row per record, as devices hash it (env and body are canonical JSON, never rewritten),
-- with the columns that it is found by copied beside it. The column n is the rowid, so that rows of about 1 KB lie in
-- the order in which they came and an insert appends. Every index is paid by every insert, so there are few: the key,
-- the feed, the root, one for queues, and three partial ones that rows without an owner, a date or a parent never see.
-- Absent text is '' and never NULL, which keeps comparisons plain.
--
-- Names that repeat in every row are kept once: a bucket's in buckets, a root's in roots. Roots get their numbers in
-- the order in which households arrive, village by village, so the entries that one push adds to records_root lie
-- side by side instead of all over the index, as they would under the ids themselves.
--
-- Hashes, keys, signatures and request bodies are BLOBs, times are milliseconds since 1970 UTC, flags are 0 or 1.

-- +goose Up

CREATE TABLE buckets (
  n       INTEGER PRIMARY KEY,
  name    TEXT    NOT NULL UNIQUE,
  written INTEGER NOT NULL DEFAULT 0, -- 0 while only rows refer to the name and its head was never put
  seq     INTEGER NOT NULL DEFAULT 0,
  count   INTEGER NOT NULL DEFAULT 0,
  entries INTEGER NOT NULL DEFAULT 0,
  floor   INTEGER NOT NULL DEFAULT 0,
  digest  BLOB    NOT NULL DEFAULT x'',
  head    BLOB    NOT NULL DEFAULT x''
) STRICT;

CREATE TABLE roots (
  n    INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id   TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT;

CREATE TABLE records (
  n       INTEGER PRIMARY KEY,
  kind    TEXT    NOT NULL,
  id      TEXT    NOT NULL,
  bucket  INTEGER NOT NULL REFERENCES buckets (n),
  seq     INTEGER NOT NULL,
  root    INTEGER REFERENCES roots (n),
  deleted INTEGER NOT NULL,
  state   TEXT    NOT NULL,
  region  TEXT    NOT NULL,
  owner   TEXT    NOT NULL,
  due     TEXT    NOT NULL,
  parent  TEXT    NOT NULL,
  env     TEXT    NOT NULL,
  body    TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX records_key ON records (kind, id);
CREATE INDEX records_feed ON records (bucket, seq);
CREATE INDEX records_root ON records (root) WHERE root IS NOT NULL;
CREATE INDEX records_queue ON records (kind, state, region) WHERE deleted = 0;
CREATE INDEX records_owner ON records (kind, owner, state) WHERE owner <> '' AND deleted = 0;
CREATE INDEX records_due ON records (kind, due, id) WHERE due <> '' AND deleted = 0;
CREATE INDEX records_parent ON records (parent, kind) WHERE parent <> '' AND deleted = 0;

-- A record that left a bucket. Its row in records lies elsewhere by then.
CREATE TABLE exits (
  n      INTEGER PRIMARY KEY,
  bucket INTEGER NOT NULL REFERENCES buckets (n),
  seq    INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  UNIQUE (bucket, kind, id)
) STRICT;
CREATE INDEX exits_feed ON exits (bucket, seq);

-- What records were before. Appended, never changed.
CREATE TABLE past (
  n      INTEGER PRIMARY KEY,
  kind   TEXT    NOT NULL,
  id     TEXT    NOT NULL,
  by     TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  env    TEXT    NOT NULL,
  body   TEXT    NOT NULL
) STRICT;
CREATE INDEX past_of ON past (kind, id);

CREATE TABLE devices (
  n          INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  user       TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  public_key BLOB    NOT NULL,
  state      TEXT    NOT NULL,
  have       INTEGER NOT NULL,
  head       BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  day_bytes  INTEGER NOT NULL,
  day        TEXT    NOT NULL
) STRICT;
CREATE INDEX devices_user ON devices (user);

-- What devices pushed, as it came. data is last, so that reading the other columns does not walk its pages.
CREATE TABLE batches (
  n        INTEGER PRIMARY KEY,
  device   TEXT    NOT NULL,
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  is_foreign INTEGER NOT NULL,
  prev     BLOB    NOT NULL,
  head     BLOB    NOT NULL,
  sig      BLOB    NOT NULL,
  at       INTEGER NOT NULL,
  encoding TEXT    NOT NULL,
  outcomes BLOB    NOT NULL,
  data     BLOB    NOT NULL
) STRICT;
CREATE INDEX batches_chain ON batches (device, is_foreign, first, last);
CREATE INDEX batches_device ON batches (device);

CREATE TABLE held (
  n         INTEGER PRIMARY KEY,
  device    TEXT    NOT NULL,
  dseq      INTEGER NOT NULL,
  batch     INTEGER NOT NULL,
  user      TEXT    NOT NULL,
  root      TEXT    NOT NULL, -- "kind/id" or ''
  code      TEXT    NOT NULL,
  refs      TEXT    NOT NULL, -- "kind/id", separated by blanks
  at        INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  bytes     BLOB    NOT NULL, -- as signed, so perhaps not even text
  UNIQUE (device, dseq)
) STRICT;

CREATE TABLE ledger (
  n      INTEGER PRIMARY KEY,
  bucket INTEGER NOT NULL REFERENCES buckets (n),
  entry  INTEGER NOT NULL,
  bytes  TEXT    NOT NULL,
  head   BLOB    NOT NULL,
  UNIQUE (bucket, entry)
) STRICT;

CREATE TABLE audit (
  n       INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  actor   TEXT    NOT NULL,
  role    TEXT    NOT NULL,
  verb    TEXT    NOT NULL,
  ref     TEXT    NOT NULL, -- "kind/id" or ''
  root    TEXT    NOT NULL,
  details TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_root ON audit (root) WHERE root <> '';

-- Keyed hashes of identity numbers and phones, one per field. They never leave the server.
CREATE TABLE blind (
  n     INTEGER PRIMARY KEY,
  kind  TEXT NOT NULL,
  id    TEXT NOT NULL,
  field TEXT NOT NULL,
  hash  TEXT NOT NULL,
  UNIQUE (kind, id, field)
) STRICT;
CREATE INDEX blind_hash ON blind (hash);

CREATE TABLE blob_refs (
  n      INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL,
  kind   TEXT NOT NULL,
  id     TEXT NOT NULL,
  UNIQUE (sha256, kind, id)
) STRICT;

CREATE TABLE users (
  n         INTEGER PRIMARY KEY,
  id        TEXT    NOT NULL UNIQUE,
  login     TEXT    NOT NULL UNIQUE,
  name      TEXT    NOT NULL,
  role      TEXT    NOT NULL,
  region    TEXT    NOT NULL,
  dept      TEXT    NOT NULL,
  password  TEXT    NOT NULL,
  failed    INTEGER NOT NULL,
  locked_to INTEGER NOT NULL,
  disabled  INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  version   INTEGER NOT NULL
) STRICT;

CREATE TABLE enrol_codes (
  n       INTEGER PRIMARY KEY,
  hash    TEXT    NOT NULL UNIQUE,
  user    TEXT    NOT NULL,
  by      TEXT    NOT NULL,
  expires INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  device  TEXT    NOT NULL
) STRICT;

CREATE TABLE sessions (
  n          INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  user       TEXT    NOT NULL,
  device     TEXT    NOT NULL,
  token      TEXT    NOT NULL,
  prev       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
  n     INTEGER PRIMARY KEY,
  name  TEXT NOT NULL UNIQUE,
  value TEXT NOT NULL
) STRICT;

-- The lives of this database. The last row is the present one; last_number is the newest change number given out in
-- it. The ends say, for every former life, up to which seq of a bucket its cursors are still true.
CREATE TABLE incarnations (
  n           INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  born_at     INTEGER NOT NULL,
  last_number INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE incarnation_ends (
  n           INTEGER PRIMARY KEY,
  incarnation INTEGER NOT NULL REFERENCES incarnations (n),
  bucket      INTEGER NOT NULL REFERENCES buckets (n),
  seq         INTEGER NOT NULL,
  UNIQUE (incarnation, bucket)
) STRICT;

-- One row: the token that must agree with the file beside the database (see life.go).
CREATE TABLE life (
  n     INTEGER PRIMARY KEY CHECK (n = 1),
  token TEXT NOT NULL
) STRICT;
