-- OAuth clients of directories (RFC 6749 4.4); package scim owns these tables.
-- A client has a secret (its SHA-256) or public keys (a JWK set), never both.
CREATE TABLE directory_clients (
  org_id       {{id}} NOT NULL,
  client_id    {{id}} NOT NULL,
  directory_id {{id}} NOT NULL,
  name         TEXT NOT NULL,
  secret_hash  {{key}} NOT NULL,
  jwks         TEXT NOT NULL,
  created_at   {{int}} NOT NULL,
  last_used_at {{int}} NOT NULL DEFAULT 0,
  last_used_ip TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (org_id, client_id)
){{strict}};
-- A token request starts from the client, before the organization is known.
CREATE UNIQUE INDEX directory_clients_id ON directory_clients (client_id);
-- Access tokens are directory tokens of a client; empty: made by a person.
ALTER TABLE directory_tokens ADD COLUMN client_id TEXT NOT NULL DEFAULT '';

-- Assertions that were used (RFC 7523 3, jti), until nobody takes them any more.
CREATE TABLE directory_assertions (
  org_id     {{id}} NOT NULL,
  client_id  {{id}} NOT NULL,
  jti_hash   {{key}} NOT NULL,
  expires_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, client_id, jti_hash)
){{strict}};
