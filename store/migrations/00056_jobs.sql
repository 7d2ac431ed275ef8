-- Work on many at once; package jobs owns these tables. ended_at is 0 until a job is
-- over; once is of the form that started it. position is how far work has come.
CREATE TABLE jobs (
  org_id      {{id}} NOT NULL,
  id          {{id}} NOT NULL,
  kind        {{key}} NOT NULL,
  state       TEXT NOT NULL,
  once        {{key}},
  undoes      {{id}},
  undone_by   {{id}},
  input       {{json}} NOT NULL,
  starter     {{json}} NOT NULL,
  total       {{int}} NOT NULL,
  done        {{int}} NOT NULL DEFAULT 0,
  undoable    {{int}} NOT NULL DEFAULT 0,
  position    {{int}} NOT NULL DEFAULT 0,
  counts      {{json}} NOT NULL DEFAULT '{}',
  why         {{json}} NOT NULL DEFAULT '{}',
  tries       {{int}} NOT NULL DEFAULT 0,
  worker      {{key}} NOT NULL DEFAULT '',
  lease_until {{int}} NOT NULL DEFAULT 0,
  served_at   {{int}} NOT NULL DEFAULT 0,
  created_at  {{int}} NOT NULL,
  started_at  {{int}} NOT NULL DEFAULT 0,
  ended_at    {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX jobs_once ON jobs (org_id, once);
CREATE INDEX jobs_open ON jobs (served_at) WHERE ended_at = 0;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at > 0;

-- What is still to be done, many items a row.
CREATE TABLE job_parts (
  org_id {{id}} NOT NULL,
  job_id {{id}} NOT NULL,
  part   {{int}} NOT NULL,
  items  {{json}} NOT NULL,
  PRIMARY KEY (org_id, job_id, part)
){{strict}};

-- What was done, one row for each item. undo is what it needs to be taken back; empty: nothing.
CREATE TABLE job_results (
  org_id {{id}} NOT NULL,
  job_id {{id}} NOT NULL,
  n      {{int}} NOT NULL,
  state  {{key}} NOT NULL,
  did    TEXT NOT NULL,
  target TEXT NOT NULL,
  name   TEXT NOT NULL,
  why    TEXT NOT NULL,
  undo   TEXT NOT NULL,
  PRIMARY KEY (org_id, job_id, n)
){{strict}};
CREATE INDEX job_results_state ON job_results (org_id, job_id, state, n);
