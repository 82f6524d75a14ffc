-- +goose Up
-- The records of one kind under a root are found without reading the others.
DROP INDEX records_root;
CREATE INDEX records_root ON records (root, kind, id) WHERE root IS NOT NULL;
