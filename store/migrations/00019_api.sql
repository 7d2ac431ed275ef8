-- Keys of the REST API; package api owns this table. key_hash is SHA-256. An operator's
-- key belongs to the whole server: its org_id is the zero id.
CREATE TABLE api_keys (
  org_id       {{id}} NOT NULL,
  id           {{id}} NOT NULL,
  key_hash     {{key}} NOT NULL,
  name         TEXT NOT NULL,
  role         TEXT NOT NULL,
  operator     {{bool}} NOT NULL,
  created_at   {{int}} NOT NULL,
  last_used_at {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX api_keys_hash ON api_keys (key_hash);
