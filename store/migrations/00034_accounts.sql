-- How sign-ins find accounts and what they bring along; package sso owns these tables.

-- state: live; next = the key that a re-key will change to; retired = kept for undoing and for the record.
-- keys: other lasting identifiers that came with the last sign-in, for a re-key.
ALTER TABLE identities ADD COLUMN state {{key}} NOT NULL DEFAULT 'live';
ALTER TABLE identities ADD COLUMN state_by TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN how TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN keys {{json}} NOT NULL DEFAULT '{}';
DROP INDEX identities_user;
CREATE UNIQUE INDEX identities_user_state ON identities (org_id, connection_id, user_id, state) WHERE state <> 'retired';
CREATE INDEX identities_of ON identities (org_id, user_id);

-- A row of a connection's mapping: what an attribute of the answer gives. rule is the row as JSON; see mapping.go.
CREATE TABLE sso_mappings (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  rule          {{json}} NOT NULL,
  created_at    {{int}} NOT NULL,
  updated_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, id)
){{strict}};

-- Where an attribute of a person came from. value is a hash: once the attribute says something else, it came from elsewhere.
-- locked: sign-ins leave it alone.
CREATE TABLE sso_attributes (
  org_id        {{id}} NOT NULL,
  user_id       {{id}} NOT NULL,
  attr          {{key}} NOT NULL,
  connection_id {{id}},
  source        TEXT NOT NULL,
  value         TEXT NOT NULL,
  locked        {{bool}} NOT NULL,
  since         {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, attr)
){{strict}};

-- An account that may be linked once its address has confirmed it. browser and token_hash are hashes.
CREATE TABLE sso_confirmations (
  org_id        {{id}} NOT NULL,
  token_hash    {{key}} NOT NULL,
  connection_id {{id}} NOT NULL,
  subject_kind  {{key}} NOT NULL,
  subject       {{key}} NOT NULL,
  user_id       {{id}} NOT NULL,
  email         TEXT NOT NULL,
  browser       TEXT NOT NULL,
  created_at    {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};
CREATE INDEX sso_confirmations_user ON sso_confirmations (org_id, user_id);
CREATE INDEX sso_confirmations_expiry ON sso_confirmations (expires_at);

-- Who signed in at a provider and has no account: one row for each subject. state: open, approved, declined.
-- mailed_at: when the admins were told, 0 = not yet.
CREATE TABLE access_requests (
  org_id        {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  subject_kind  {{key}} NOT NULL,
  subject       {{key}} NOT NULL,
  email         TEXT NOT NULL,
  user_name     TEXT NOT NULL,
  given_name    TEXT NOT NULL,
  family_name   TEXT NOT NULL,
  display_name  TEXT NOT NULL,
  reference     TEXT NOT NULL,
  state         {{key}} NOT NULL,
  times         {{int}} NOT NULL,
  user_id       {{id}},
  decided_by    TEXT NOT NULL DEFAULT '',
  created_at    {{int}} NOT NULL,
  last_at       {{int}} NOT NULL,
  decided_at    {{int}} NOT NULL DEFAULT 0,
  mailed_at     {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX access_requests_subject ON access_requests (org_id, connection_id, subject_kind, subject);
CREATE INDEX access_requests_unmailed ON access_requests (org_id) WHERE state = 'open' AND mailed_at = 0;

-- A change of the subject's source. state: transition, finished, undone.
CREATE TABLE sso_rekeys (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  was           TEXT NOT NULL,
  subject       TEXT NOT NULL,
  state         {{key}} NOT NULL,
  started_by    TEXT NOT NULL,
  started_at    {{int}} NOT NULL,
  ended_at      {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, connection_id, id)
){{strict}};
CREATE UNIQUE INDEX sso_rekeys_one ON sso_rekeys (org_id, connection_id) WHERE state = 'transition';

-- People who shall sign in over another connection. state: open, undone.
CREATE TABLE sso_moves (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  from_id    {{id}} NOT NULL,
  to_id      {{id}} NOT NULL,
  state      {{key}} NOT NULL,
  started_by TEXT NOT NULL,
  started_at {{int}} NOT NULL,
  ended_at   {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};

-- Whom a move expects at the other connection, and by what: kind is key or email.
CREATE TABLE sso_expected (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  kind          {{key}} NOT NULL,
  value_key     {{key}} NOT NULL,
  user_id       {{id}} NOT NULL,
  move_id       {{id}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, kind, value_key)
){{strict}};
CREATE INDEX sso_expected_move ON sso_expected (org_id, move_id);
