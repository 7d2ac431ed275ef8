-- Package password owns these tables. hash is argon2id in PHC form.
CREATE TABLE credentials (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  hash       TEXT NOT NULL,
  created_at {{int}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict}};

-- Attempts by what was tried, before any organization is known: an address (as a
-- hash), an account, a network address. So it is no tenant table.
CREATE TABLE signin_attempts (
  subject      {{key}} NOT NULL PRIMARY KEY,
  attempts     {{int}} NOT NULL,
  locked_until {{int}} NOT NULL,
  last_at      {{int}} NOT NULL
){{strict}};
CREATE INDEX signin_attempts_last ON signin_attempts (last_at);
