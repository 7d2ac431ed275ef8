-- Several tokens of a directory, told apart by name. A token is named by the first
-- 32 digits of its hash. allow: networks that it may be used from, with commas
-- between; empty = any. last_used_ip goes with last_used_at.
ALTER TABLE directory_tokens ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_tokens ADD COLUMN allow TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_tokens ADD COLUMN last_used_ip TEXT NOT NULL DEFAULT '';
