-- The queue of mail as an operator sees it. A message that was given up keeps its text for
-- three days, so that it can be sent again.
CREATE INDEX mails_open ON mails (id) WHERE state = 'queued';
CREATE INDEX mails_failed ON mails (id) WHERE state = 'failed';

-- Who made a key, in words, and when it ends; 0: when it is revoked.
ALTER TABLE api_keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN expires_at {{int}} NOT NULL DEFAULT 0;

-- The servers that run over this database, and their background loops as of the last beat;
-- package operate owns them and what the doctor found last.
CREATE TABLE servers (
  id         {{id}} NOT NULL PRIMARY KEY,
  host       TEXT NOT NULL,
  version    TEXT NOT NULL,
  started_at {{int}} NOT NULL,
  seen_at    {{int}} NOT NULL,
  loops      {{json}} NOT NULL
){{strict}};
CREATE TABLE doctor_runs (
  id       {{id}} NOT NULL PRIMARY KEY,
  at       {{int}} NOT NULL,
  run_by   TEXT NOT NULL,
  took     {{int}} NOT NULL,
  findings {{json}} NOT NULL
){{strict}};
