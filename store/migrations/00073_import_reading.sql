-- A file of many lines is read by whichever server comes to it. reader: who wants that,
-- as jobs have it. total: lines of the file. problem: why it could not be read.
ALTER TABLE import_runs ADD COLUMN reader {{json}} NOT NULL DEFAULT '{}';
ALTER TABLE import_runs ADD COLUMN total {{int}} NOT NULL DEFAULT 0;
ALTER TABLE import_runs ADD COLUMN problem TEXT NOT NULL DEFAULT '';
CREATE INDEX import_runs_reading ON import_runs (turn_until) WHERE state = 'reading';
