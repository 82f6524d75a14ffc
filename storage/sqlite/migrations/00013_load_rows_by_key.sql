-- +goose Up
-- A few persons' rows are read where only they have changed.
CREATE INDEX load_rows_by_key ON load_rows (load, key);
DROP INDEX load_rows_of;
