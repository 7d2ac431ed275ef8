-- Links by which somebody without an account sets up one connection. token is a hash;
-- connection_id is NULL until a link for a new connection has chosen its provider.
CREATE TABLE setup_links (
  org_id        {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  connection_id {{id}},
  token         {{key}} NOT NULL,
  email         TEXT NOT NULL,
  may_activate  {{bool}} NOT NULL,
  created_by    TEXT NOT NULL,
  created_at    {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  revoked_at    {{int}} NOT NULL,
  opened_at     {{int}} NOT NULL,
  done_at       {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX setup_links_token ON setup_links (org_id, token);
