-- What re-checks know of a mail domain, and which connections speak for it; package sso owns these.

-- checked_at: when the DNS was last asked; answer: what it said, as the console shows it.
-- recheck_at: when it is asked again; 0: never (not proved, or an operator's word).
-- lost_at: since when the record is missing; told_at: when the admins were last told so.
-- off_at: since when the domain routes and links nobody because of that. verified_at is 0
-- then, so that another organization can prove the domain.
ALTER TABLE domains ADD COLUMN checked_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN recheck_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN lost_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN told_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN off_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN answer TEXT NOT NULL DEFAULT '';
CREATE INDEX domains_due ON domains (recheck_at) WHERE recheck_at > 0;

-- The connections that speak for a domain; without a row: all of the organization.
-- domains.connection_id is not read any more.
CREATE TABLE domain_connections (
  org_id        {{id}} NOT NULL,
  domain_id     {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  PRIMARY KEY (org_id, domain_id, connection_id)
){{strict_narrow}};
INSERT INTO domain_connections (org_id, domain_id, connection_id) SELECT org_id, id, connection_id FROM domains WHERE connection_id IS NOT NULL;
