-- Sign-in through identity providers; package sso owns these tables.

-- config: what only one protocol needs (endpoints, scopes, attribute map). client_secret is sealed.
CREATE TABLE connections (
  org_id        {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  protocol      TEXT NOT NULL,
  vendor        TEXT NOT NULL,
  name          TEXT NOT NULL,
  status        TEXT NOT NULL,
  accounts      TEXT NOT NULL,
  issuer        TEXT NOT NULL,
  config        {{json}} NOT NULL,
  client_secret {{bytes}},
  created_at    {{int}} NOT NULL,
  updated_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
-- A sign-in starts from the id in the URL, before the organization is known.
CREATE UNIQUE INDEX connections_id ON connections (id);

CREATE TABLE sso_certificates (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  fingerprint   {{key}} NOT NULL,
  der           {{bytes}} NOT NULL,
  not_after     {{int}} NOT NULL,
  created_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, fingerprint)
){{strict}};

-- Our own keys towards one identity provider; the private part is sealed.
CREATE TABLE sp_keys (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  use_for       TEXT NOT NULL,
  state         TEXT NOT NULL,
  certificate   {{bytes}} NOT NULL,
  sealed_key    {{bytes}} NOT NULL,
  created_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, id)
){{strict}};

-- connection_id: the connection that speaks for the domain; NULL = any of the organization.
CREATE TABLE domains (
  org_id        {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  domain        {{key}} NOT NULL,
  token         TEXT NOT NULL,
  connection_id {{id}},
  verified_at   {{int}} NOT NULL DEFAULT 0,
  created_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX domains_own ON domains (org_id, domain);
-- Anybody may claim a domain; one organization can prove it.
CREATE UNIQUE INDEX domains_verified ON domains (domain) WHERE verified_at > 0;

CREATE TABLE identities (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  subject_kind  {{key}} NOT NULL,
  subject       {{key}} NOT NULL,
  user_id       {{id}} NOT NULL,
  first_seen_at {{int}} NOT NULL,
  last_seen_at  {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, subject_kind, subject)
){{strict}};
CREATE UNIQUE INDEX identities_user ON identities (org_id, connection_id, user_id);

-- Sign-ins on their way: one row from the redirect to the identity provider until
-- its answer. handle and browser are hashes; verifier is sealed.
CREATE TABLE sso_requests (
  org_id        {{id}} NOT NULL,
  handle        {{key}} NOT NULL,
  connection_id {{id}} NOT NULL,
  browser       TEXT NOT NULL,
  request_id    TEXT NOT NULL,
  nonce         TEXT NOT NULL,
  verifier      {{bytes}},
  return_to     TEXT NOT NULL,
  created_at    {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, handle)
){{strict}};
CREATE INDEX sso_requests_expiry ON sso_requests (expires_at);

-- Answers that have been used.
CREATE TABLE sso_replays (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  answer        {{key}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, answer)
){{strict}};
CREATE INDEX sso_replays_expiry ON sso_replays (expires_at);
