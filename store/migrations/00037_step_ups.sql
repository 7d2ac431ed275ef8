-- What somebody was about to do when a fresh sign-in was asked for, until that is
-- done; package policy owns this table. form is sealed: it is what was typed.
CREATE TABLE step_ups (
  org_id     {{id}} NOT NULL,
  token_hash {{key}} NOT NULL,
  session_id {{id}} NOT NULL,
  path       TEXT NOT NULL,
  form       {{bytes}} NOT NULL,
  expires_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};
CREATE INDEX step_ups_expiry ON step_ups (expires_at);
