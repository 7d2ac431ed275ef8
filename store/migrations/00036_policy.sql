-- How people of an organization may sign in; package policy owns these tables. No row:
-- the defaults. Spans are microseconds, 0 is the server's setting. domains is JSON: the
-- rule of single sign-on for a mail domain.
CREATE TABLE policies (
  org_id     {{id}} NOT NULL,
  password   {{bool}} NOT NULL,
  sso        TEXT NOT NULL,
  domains    {{json}} NOT NULL,
  idle       {{int}} NOT NULL,
  absolute   {{int}} NOT NULL,
  fresh      {{int}} NOT NULL,
  version    {{int}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id)
){{strict}};

-- Accounts for the day when single sign-on fails. hidden: no directory saw the
-- account before either.
CREATE TABLE break_glass (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  hidden     {{bool}} NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict}};

-- Their recovery codes, as hashes: a used one is gone.
CREATE TABLE break_glass_codes (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  code_hash  {{key}} NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, code_hash)
){{strict}};

-- Their sign-ins, shown in the console until an admin has seen them.
CREATE TABLE break_glass_signins (
  org_id  {{id}} NOT NULL,
  id      {{id}} NOT NULL,
  user_id {{id}} NOT NULL,
  name    TEXT NOT NULL,
  ip      TEXT NOT NULL,
  at      {{int}} NOT NULL,
  seen_at {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX break_glass_signins_new ON break_glass_signins (org_id, at) WHERE seen_at = 0;

-- When a session's person last proved who they are, and how.
ALTER TABLE sessions ADD COLUMN auth_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN acr TEXT NOT NULL DEFAULT '';
UPDATE sessions SET auth_at = created_at;
