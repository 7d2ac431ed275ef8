-- A feed that is paused is looked at by nobody until it is resumed.
ALTER TABLE import_feeds ADD COLUMN paused {{bool}} NOT NULL DEFAULT FALSE;
