-- Changes of state that are to come; package life owns the table. state: planned, done,
-- skipped (outcome says why), cancelled. zone is the one in which the time was written.
CREATE TABLE planned_changes (
  org_id       {{id}} NOT NULL,
  id           {{id}} NOT NULL,
  user_id      {{id}} NOT NULL,
  action       {{key}} NOT NULL,
  due_at       {{int}} NOT NULL,
  zone         TEXT NOT NULL,
  reason       TEXT NOT NULL,
  why          TEXT NOT NULL,
  successor_id {{id}},
  by_operator  {{bool}} NOT NULL,
  planned_by   TEXT NOT NULL,
  created_at   {{int}} NOT NULL,
  state        {{key}} NOT NULL,
  outcome      TEXT NOT NULL,
  ended_at     {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX planned_changes_one ON planned_changes (org_id, user_id, action) WHERE state = 'planned';
CREATE INDEX planned_changes_due ON planned_changes (due_at, id) WHERE state = 'planned';
CREATE INDEX planned_changes_state ON planned_changes (org_id, state, due_at, id);
CREATE INDEX planned_changes_user ON planned_changes (org_id, user_id, id);
