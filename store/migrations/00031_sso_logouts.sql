-- Signing out at the identity provider too, on its way there and back. handle is a
-- hash; outgoing is the sealed message, gone once it was handed to the browser.
CREATE TABLE sso_logouts (
  org_id        {{id}} NOT NULL,
  handle        {{key}} NOT NULL,
  connection_id {{id}} NOT NULL,
  request_id    TEXT NOT NULL,
  outgoing      {{bytes}},
  outcome       TEXT NOT NULL,
  reference     TEXT NOT NULL,
  created_at    {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, handle)
){{strict}};
CREATE INDEX sso_logouts_expiry ON sso_logouts (expires_at);
