-- Reviews of who has what; package review owns these tables. names has what directories,
-- connections and roles were called at the start; reminded is the last mail to reviewers.
CREATE TABLE reviews (
  org_id         {{id}} NOT NULL,
  id             {{id}} NOT NULL,
  name           TEXT NOT NULL,
  scope          {{key}} NOT NULL,
  scope_ref      TEXT NOT NULL,
  scope_name     TEXT NOT NULL,
  managers       {{bool}} NOT NULL,
  state          TEXT NOT NULL,
  total          {{int}} NOT NULL,
  names          {{json}} NOT NULL,
  once           {{key}},
  started_by     TEXT NOT NULL,
  started_by_id  TEXT NOT NULL,
  started_at     {{int}} NOT NULL,
  due_at         {{int}} NOT NULL,
  finished_by    TEXT NOT NULL DEFAULT '',
  finished_by_id TEXT NOT NULL DEFAULT '',
  finished_at    {{int}} NOT NULL DEFAULT 0,
  reminded       TEXT NOT NULL DEFAULT '',
  remind_at      {{int}} NOT NULL,
  repeat_months  {{int}} NOT NULL,
  repeat_at      {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX reviews_once ON reviews (org_id, once);
CREATE INDEX reviews_remind ON reviews (remind_at) WHERE remind_at > 0;
CREATE INDEX reviews_repeat ON reviews (repeat_at) WHERE repeat_at > 0;

CREATE TABLE review_reviewers (
  org_id    {{id}} NOT NULL,
  review_id {{id}} NOT NULL,
  user_id   {{id}} NOT NULL,
  PRIMARY KEY (org_id, review_id, user_id)
){{strict_narrow}};

-- One role or one membership of one person for one reason, as it was at the start, and
-- what was decided. Rows stay when the person is removed for good, without the name:
-- therefore there is no column user_id.
CREATE TABLE review_rows (
  org_id        {{id}} NOT NULL,
  review_id     {{id}} NOT NULL,
  n             {{int}} NOT NULL,
  person_id     {{id}} NOT NULL,
  person        TEXT NOT NULL,
  email         TEXT NOT NULL,
  status        TEXT NOT NULL,
  manager_id    {{id}},
  role          {{key}} NOT NULL,
  group_id      {{id}},
  team          TEXT NOT NULL,
  reason_kind   TEXT NOT NULL,
  reason_ref    TEXT NOT NULL,
  reason_detail TEXT NOT NULL,
  given_by      TEXT NOT NULL,
  at_source     {{bool}} NOT NULL,
  since         {{int}} NOT NULL,
  signed_in_at  {{int}} NOT NULL,
  deed_at       {{int}} NOT NULL,
  idle          {{bool}} NOT NULL,
  decision      {{key}} NOT NULL DEFAULT '',
  note          TEXT NOT NULL DEFAULT '',
  decided_by    TEXT NOT NULL DEFAULT '',
  decided_by_id {{key}} NOT NULL DEFAULT '',
  decided_at    {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, review_id, n)
){{strict}};
CREATE INDEX review_rows_decision ON review_rows (org_id, review_id, decision, n);
CREATE INDEX review_rows_role ON review_rows (org_id, review_id, role, n);
CREATE INDEX review_rows_team ON review_rows (org_id, review_id, group_id, n) WHERE group_id IS NOT NULL;
CREATE INDEX review_rows_idle ON review_rows (org_id, review_id, n) WHERE idle;
CREATE INDEX review_rows_person ON review_rows (org_id, person_id, review_id, n);
CREATE INDEX review_rows_manager ON review_rows (org_id, manager_id, review_id, n) WHERE manager_id IS NOT NULL;
CREATE INDEX review_rows_decider ON review_rows (org_id, decided_by_id) WHERE decided_by_id <> '';
