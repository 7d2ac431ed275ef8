-- Bearer tokens of directories; package scim owns this table. token_hash is SHA-256.
-- expires_at: 0 = until it is rotated. last_used_at is written at most once a minute.
CREATE TABLE directory_tokens (
  org_id       {{id}} NOT NULL,
  directory_id {{id}} NOT NULL,
  token_hash   {{key}} NOT NULL,
  created_at   {{int}} NOT NULL,
  expires_at   {{int}} NOT NULL DEFAULT 0,
  last_used_at {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, directory_id, token_hash)
){{strict}};
-- A request starts from its token, before the organization is known.
CREATE UNIQUE INDEX directory_tokens_hash ON directory_tokens (token_hash);
