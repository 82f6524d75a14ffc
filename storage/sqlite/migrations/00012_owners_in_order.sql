-- +goose Up
-- Lists of an owner, and of what belongs to a record, come in order of ids without being sorted.
DROP INDEX records_owner;
CREATE INDEX records_owner ON records (kind, owner, id) WHERE owner <> '' AND deleted = 0;
DROP INDEX records_parent;
CREATE INDEX records_parent ON records (kind, parent, id) WHERE parent <> '' AND deleted = 0;
