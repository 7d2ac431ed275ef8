-- Files with people on their way in; package importer owns these tables. settings: how
-- the file is read. job_id: the job that does it, once it was started.
DROP TABLE imports;
CREATE TABLE import_runs (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  name       TEXT NOT NULL,
  feed_id    {{id}},
  state      TEXT NOT NULL,
  settings   {{json}} NOT NULL,
  found      {{json}} NOT NULL,
  counts     {{json}} NOT NULL DEFAULT '{}',
  lines      {{int}} NOT NULL DEFAULT 0,
  people     {{int}} NOT NULL DEFAULT 0,
  job_id     {{id}},
  made_by    TEXT NOT NULL,
  turn       {{key}} NOT NULL DEFAULT '',
  turn_until {{int}} NOT NULL DEFAULT 0,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX import_runs_age ON import_runs (created_at);
CREATE INDEX import_runs_job ON import_runs (org_id, job_id);

CREATE TABLE import_pieces (
  org_id {{id}} NOT NULL,
  run_id {{id}} NOT NULL,
  n      {{int}} NOT NULL,
  data   {{bytes}} NOT NULL,
  PRIMARY KEY (org_id, run_id, n)
){{strict}};

-- What each line would do. wave: managers come before their people.
CREATE TABLE import_rows (
  org_id  {{id}} NOT NULL,
  run_id  {{id}} NOT NULL,
  n       {{int}} NOT NULL,
  line    {{int}} NOT NULL,
  wave    {{int}} NOT NULL,
  action  {{key}} NOT NULL,
  email   TEXT NOT NULL,
  name    TEXT NOT NULL,
  user_id {{id}},
  data    {{json}} NOT NULL,
  PRIMARY KEY (org_id, run_id, n)
){{strict}};
CREATE INDEX import_rows_action ON import_rows (org_id, run_id, action, n);
