-- part: which operation of a Bulk the row is about, from 1; 0: the request itself.
-- repeats: how many more requests were refused in that minute and have no row each.
ALTER TABLE scim_log ADD COLUMN part {{int}} NOT NULL DEFAULT 0;
ALTER TABLE scim_log ADD COLUMN repeats {{int}} NOT NULL DEFAULT 0;
CREATE INDEX scim_log_request ON scim_log (org_id, directory_id, request_id, at, id);
CREATE INDEX scim_log_status ON scim_log (org_id, directory_id, status, at, id) WHERE refusal <> '';
CREATE INDEX scim_log_change ON scim_log (org_id, directory_id, method, resource, at, id) WHERE method <> 'GET';

-- allow and expires_at hold for a client as for a token, and for the tokens that it
-- fetches. The secret before the last rotation works until previous_ends_at. With
-- jwks_url, jwks is what was read there at jwks_at.
ALTER TABLE directory_clients ADD COLUMN allow TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_clients ADD COLUMN expires_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE directory_clients ADD COLUMN previous_hash {{key}} NOT NULL DEFAULT '';
ALTER TABLE directory_clients ADD COLUMN previous_ends_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE directory_clients ADD COLUMN jwks_url TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_clients ADD COLUMN jwks_at {{int}} NOT NULL DEFAULT 0;
