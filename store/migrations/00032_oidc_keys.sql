-- Our own keys towards OpenID providers that want private_key_jwt; package sso owns
-- the table, the private part is sealed. A key signs from active_from until the next
-- one does, and is published until retire_at (0: no next one is in sight).
CREATE TABLE oidc_keys (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  certificate   {{bytes}} NOT NULL,
  sealed_key    {{bytes}} NOT NULL,
  active_from   {{int}} NOT NULL,
  retire_at     {{int}} NOT NULL DEFAULT 0,
  created_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, id)
){{strict}};
