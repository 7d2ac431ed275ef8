-- One text for both databases; the words in double braces are filled in by store/dialect.go.
CREATE TABLE orgs (
  id         {{id}} NOT NULL PRIMARY KEY,
  slug       {{key}} NOT NULL,
  name       TEXT NOT NULL,
  settings   {{json}} NOT NULL DEFAULT '{}',
  created_at {{int}} NOT NULL,
  updated_at {{int}} NOT NULL
){{strict}};
CREATE UNIQUE INDEX orgs_slug ON orgs (slug);

CREATE TABLE directories (
  org_id       {{id}} NOT NULL,
  id           {{id}} NOT NULL,
  name         TEXT NOT NULL,
  vendor       TEXT NOT NULL,
  mode         TEXT NOT NULL,
  quirks       {{json}} NOT NULL DEFAULT '{}',
  created_at   {{int}} NOT NULL,
  last_seen_at {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX directories_id ON directories (id);

-- doc: a person's SCIM attributes without id, meta, groups, schemas and active, which are columns or rows.
-- Deleted people stay as tombstones; the partial indexes free their names.
CREATE TABLE users (
  org_id         {{id}} NOT NULL,
  id             {{id}} NOT NULL,
  directory_id   {{id}},
  source         TEXT NOT NULL,
  status         TEXT NOT NULL,
  ended_by       TEXT NOT NULL DEFAULT '',
  break_glass    {{bool}} NOT NULL,
  user_name      TEXT NOT NULL,
  user_name_key  {{key}} NOT NULL,
  external_id    {{key}},
  email          TEXT NOT NULL,
  email_key      {{key}} NOT NULL,
  display_name   TEXT NOT NULL,
  sort_key       {{key}} NOT NULL,
  search_key     {{key}} NOT NULL,
  manager_id     {{id}},
  doc            {{json}} NOT NULL,
  version        {{int}} NOT NULL,
  created_at     {{int}} NOT NULL,
  updated_at     {{int}} NOT NULL,
  signed_in_at   {{int}} NOT NULL DEFAULT 0,
  signed_in_with TEXT NOT NULL DEFAULT '',
  deleted_at     {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX users_user_name ON users (org_id, user_name_key) WHERE status <> 'deleted';
CREATE UNIQUE INDEX users_external_id ON users (org_id, directory_id, external_id) WHERE status <> 'deleted';
CREATE INDEX users_any_external_id ON users (org_id, external_id) WHERE status <> 'deleted';
CREATE INDEX users_email ON users (org_id, email_key) WHERE status <> 'deleted';
CREATE INDEX users_sort ON users (org_id, sort_key, id) WHERE status <> 'deleted';
CREATE INDEX users_manager ON users (org_id, manager_id) WHERE manager_id IS NOT NULL;
-- Addresses and names are looked up before the organization is known (sign-in).
CREATE INDEX users_email_any_org ON users (email_key) WHERE status <> 'deleted';
CREATE INDEX users_name_any_org ON users (user_name_key) WHERE status <> 'deleted';

-- The elements of multi-valued attributes that are searched by value: one row each.
CREATE TABLE user_values (
  org_id    {{id}} NOT NULL,
  attr      {{key}} NOT NULL,
  value_key {{key}} NOT NULL,
  kind      {{key}} NOT NULL,
  user_id   {{id}} NOT NULL,
  PRIMARY KEY (org_id, attr, value_key, kind, user_id)
){{strict_narrow}};
CREATE INDEX user_values_user ON user_values (org_id, user_id);

CREATE TABLE user_roles (
  org_id      {{id}} NOT NULL,
  user_id     {{id}} NOT NULL,
  role        {{key}} NOT NULL,
  reason_kind {{key}} NOT NULL,
  reason_ref  {{key}} NOT NULL,
  since       {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, role, reason_kind, reason_ref)
){{strict_narrow}};
CREATE INDEX user_roles_role ON user_roles (org_id, role);

CREATE TABLE groups (
  org_id       {{id}} NOT NULL,
  id           {{id}} NOT NULL,
  directory_id {{id}},
  name         TEXT NOT NULL,
  name_key     {{key}} NOT NULL,
  unique_name  {{bool}} NOT NULL,
  external_id  {{key}},
  doc          {{json}} NOT NULL,
  version      {{int}} NOT NULL,
  created_at   {{int}} NOT NULL,
  updated_at   {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX groups_name ON groups (org_id, directory_id, name_key) WHERE unique_name;
CREATE UNIQUE INDEX groups_local_name ON groups (org_id, name_key) WHERE directory_id IS NULL;
CREATE UNIQUE INDEX groups_external_id ON groups (org_id, directory_id, external_id);
CREATE INDEX groups_by_name ON groups (org_id, name_key);

-- How often a group's members changed, spread over slots: a counter in the group's
-- row would make all writers of a busy group wait for one another.
CREATE TABLE group_epochs (
  org_id     {{id}} NOT NULL,
  group_id   {{id}} NOT NULL,
  slot       {{int}} NOT NULL,
  n          {{int}} NOT NULL,
  changed_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, group_id, slot)
){{strict_narrow}};

CREATE TABLE members (
  org_id   {{id}} NOT NULL,
  group_id {{id}} NOT NULL,
  user_id  {{id}} NOT NULL,
  since    {{int}} NOT NULL,
  PRIMARY KEY (org_id, group_id, user_id)
){{strict_narrow}};
CREATE INDEX members_user ON members (org_id, user_id);

-- How many users and groups each directory manages (the zero id: nobody), spread over slots; see count.go.
CREATE TABLE counts (
  org_id       {{id}} NOT NULL,
  directory_id {{id}} NOT NULL,
  kind         {{key}} NOT NULL,
  slot         {{int}} NOT NULL,
  n            {{int}} NOT NULL,
  PRIMARY KEY (org_id, directory_id, kind, slot)
){{strict_narrow}};

CREATE TABLE activity (
  org_id      {{id}} NOT NULL,
  id          {{id}} NOT NULL,
  at          {{int}} NOT NULL,
  actor_kind  TEXT NOT NULL,
  actor_id    TEXT NOT NULL,
  actor_name  TEXT NOT NULL,
  action      {{key}} NOT NULL,
  target_kind TEXT NOT NULL,
  target_id   {{key}} NOT NULL,
  target_name TEXT NOT NULL,
  detail      {{json}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX activity_target ON activity (org_id, target_id, id);
