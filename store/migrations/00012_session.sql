-- Package session owns these tables. token_hash is of the whole cookie value,
-- which starts with the organization's id: the look-up leads with org_id.
CREATE TABLE sessions (
  org_id        {{id}} NOT NULL,
  token_hash    {{key}} NOT NULL,
  id            {{id}} NOT NULL,
  user_id       {{id}} NOT NULL,
  method        TEXT NOT NULL,
  connection_id {{id}},
  created_at    {{int}} NOT NULL,
  seen_at       {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  ip            TEXT NOT NULL,
  user_agent    TEXT NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};
CREATE INDEX sessions_user ON sessions (org_id, user_id, id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- The people who run the server: they may enter every organization.
CREATE TABLE operators (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict_narrow}};
