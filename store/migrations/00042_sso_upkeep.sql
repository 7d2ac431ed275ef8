-- What becomes of keys, certificates and metadata in the course of time; package sso.

-- A key is next until active_from, then active until another one is, then old until
-- retire_at (0: not yet known). state is as of the last look of the background loop.
ALTER TABLE sp_keys ADD COLUMN active_from {{int}} NOT NULL DEFAULT 0;
ALTER TABLE sp_keys ADD COLUMN retire_at {{int}} NOT NULL DEFAULT 0;

-- In how many readings of the metadata in a row the certificate was missing.
ALTER TABLE sso_certificates ADD COLUMN absent {{int}} NOT NULL DEFAULT 0;

-- What is known of the metadata URL of a connection. problem is empty while reading
-- works. pending is a change that waits for an administrator; rejected is the hash of
-- one that was turned down.
CREATE TABLE sso_metadata (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  next_at       {{int}} NOT NULL,
  read_at       {{int}} NOT NULL,
  etag          TEXT NOT NULL,
  modified      TEXT NOT NULL,
  problem       TEXT NOT NULL,
  problem_at    {{int}} NOT NULL,
  pending       {{json}},
  pending_at    {{int}} NOT NULL,
  rejected      TEXT NOT NULL,
  PRIMARY KEY (org_id, connection_id)
){{strict}};
CREATE INDEX sso_metadata_next ON sso_metadata (next_at);

-- Warnings that were given: each certificate and each number of days once.
CREATE TABLE sso_certificate_warnings (
  org_id        {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  fingerprint   {{key}} NOT NULL,
  days          {{int}} NOT NULL,
  warned_at     {{int}} NOT NULL,
  PRIMARY KEY (org_id, connection_id, fingerprint, days)
){{strict}};
