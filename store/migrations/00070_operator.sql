-- What an operator looks for and decides about organizations; package store owns these.
-- name_key: folded in Go with each change; here as far as the database can.
ALTER TABLE orgs ADD COLUMN name_key {{key}} NOT NULL DEFAULT '';
ALTER TABLE orgs ADD COLUMN suspended_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE orgs ADD COLUMN suspended_why TEXT NOT NULL DEFAULT '';
UPDATE orgs SET name_key = lower(name);
CREATE INDEX orgs_name ON orgs (name_key, id);
CREATE INDEX orgs_suspended ON orgs (name_key, id) WHERE suspended_at > 0;

-- What somebody did in any organization. What directories and sign-ins do, most of the
-- table, is left out.
CREATE INDEX activity_anywhere ON activity (actor_id, id) WHERE actor_kind IN ('person', 'key');

-- Who waits for an answer, counted for many organizations at once.
CREATE INDEX access_requests_open ON access_requests (org_id) WHERE state = 'open';
