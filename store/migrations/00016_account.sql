-- Package account owns these tables; all of them hold hashes of one-time tokens.
CREATE TABLE password_resets (
  org_id     {{id}} NOT NULL,
  token_hash {{key}} NOT NULL,
  user_id    {{id}} NOT NULL,
  created_at {{int}} NOT NULL,
  expires_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};
CREATE INDEX password_resets_user ON password_resets (org_id, user_id);
CREATE INDEX password_resets_expiry ON password_resets (expires_at);

-- Links for the first operator: there is no organization yet.
CREATE TABLE setups (
  token_hash {{key}} NOT NULL PRIMARY KEY,
  created_at {{int}} NOT NULL,
  expires_at {{int}} NOT NULL
){{strict}};

-- A password that matched in several organizations, until the person has chosen one.
-- accounts is JSON: organization and user ids.
CREATE TABLE signin_choices (
  token_hash {{key}} NOT NULL PRIMARY KEY,
  accounts   {{json}} NOT NULL,
  next_path  TEXT NOT NULL,
  expires_at {{int}} NOT NULL
){{strict}};
CREATE INDEX signin_choices_expiry ON signin_choices (expires_at);
