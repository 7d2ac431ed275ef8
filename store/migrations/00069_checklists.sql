-- What is to be done when people join and leave; package checklist owns these tables.
-- tasks and sources are lists; since is from when on they are given, looked_at until when
-- the activity was looked through.
CREATE TABLE checklist_templates (
  org_id    {{id}} NOT NULL,
  list      {{key}} NOT NULL,
  tasks     {{json}} NOT NULL,
  sources   {{json}} NOT NULL,
  version   {{int}} NOT NULL,
  since     {{int}} NOT NULL,
  looked_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, list)
){{strict}};

-- That somebody got a list; event is the last row of activity that counted.
CREATE TABLE checklist_runs (
  org_id  {{id}} NOT NULL,
  user_id {{id}} NOT NULL,
  list    {{key}} NOT NULL,
  event   {{id}} NOT NULL,
  active  {{bool}} NOT NULL,
  PRIMARY KEY (org_id, user_id, list)
){{strict_narrow}};

-- One task of one person. told: somebody was told that it is overdue.
CREATE TABLE checklist_items (
  org_id      {{id}} NOT NULL,
  id          {{id}} NOT NULL,
  user_id     {{id}} NOT NULL,
  list        {{key}} NOT NULL,
  title       TEXT NOT NULL,
  note        TEXT NOT NULL,
  assignee_id {{id}},
  auto        {{key}} NOT NULL,
  started_at  {{int}} NOT NULL,
  due_at      {{int}} NOT NULL,
  state       TEXT NOT NULL DEFAULT 'open',
  told        {{bool}} NOT NULL,
  ended_by    TEXT NOT NULL DEFAULT '',
  ended_by_id {{key}} NOT NULL DEFAULT '',
  ended_at    {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX checklist_items_user ON checklist_items (org_id, user_id, due_at, id);
CREATE INDEX checklist_items_open ON checklist_items (org_id, due_at, id) WHERE state = 'open';
CREATE INDEX checklist_items_done ON checklist_items (org_id, due_at, id) WHERE state = 'done';
CREATE INDEX checklist_items_assignee ON checklist_items (org_id, assignee_id, due_at, id) WHERE assignee_id IS NOT NULL;
CREATE INDEX checklist_items_auto ON checklist_items (org_id, auto, user_id) WHERE state = 'open' AND auto <> '';
CREATE INDEX checklist_items_late ON checklist_items (due_at) WHERE state = 'open' AND NOT told;
CREATE INDEX checklist_items_ender ON checklist_items (org_id, ended_by_id) WHERE ended_by_id <> '';
