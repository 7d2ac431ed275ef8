-- What people prove beside a password, or instead of it; package factor owns these
-- tables. credential_hash is of the authenticator's own id of the key pair; copied_at:
-- its counter went back, so there may be two of it.
CREATE TABLE passkeys (
  org_id          {{id}} NOT NULL,
  id              {{id}} NOT NULL,
  user_id         {{id}} NOT NULL,
  credential_hash {{key}} NOT NULL,
  credential      {{bytes}} NOT NULL,
  public_key      {{bytes}} NOT NULL,
  aaguid          TEXT NOT NULL,
  transports      TEXT NOT NULL,
  name            TEXT NOT NULL,
  sign_count      {{int}} NOT NULL,
  backup_eligible {{bool}} NOT NULL,
  backed_up       {{bool}} NOT NULL,
  created_at      {{int}} NOT NULL,
  used_at         {{int}} NOT NULL DEFAULT 0,
  copied_at       {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX passkeys_credential ON passkeys (org_id, credential_hash);
CREATE INDEX passkeys_user ON passkeys (org_id, user_id, id);

-- The shared secret of an authenticator app, sealed, and the last time step whose code
-- was used.
CREATE TABLE authenticators (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  seed       {{bytes}} NOT NULL,
  last_step  {{int}} NOT NULL,
  created_at {{int}} NOT NULL,
  used_at    {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, user_id)
){{strict}};

-- Recovery codes, as hashes: a used one is gone.
CREATE TABLE recovery_codes (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  code_hash  {{key}} NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, code_hash)
){{strict}};

-- Sign-ins that lack the second factor yet. The token is in one browser's cookie, and
-- starts with the organization's id. set_at is of the password that was right.
CREATE TABLE pending_signins (
  org_id     {{id}} NOT NULL,
  token_hash {{key}} NOT NULL,
  user_id    {{id}} NOT NULL,
  method     TEXT NOT NULL,
  set_at     {{int}} NOT NULL,
  next_path  TEXT NOT NULL,
  expires_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};
CREATE INDEX pending_signins_expiry ON pending_signins (expires_at);

-- Challenges that were answered: each is good once. Nobody is known yet when some are.
CREATE TABLE used_challenges (
  challenge_hash {{key}} NOT NULL PRIMARY KEY,
  expires_at     {{int}} NOT NULL
){{strict}};
CREATE INDEX used_challenges_expiry ON used_challenges (expires_at);
