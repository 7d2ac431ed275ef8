-- Own attributes that everybody in a list gets, and what the lists of invitations look
-- for; package invite owns these tables.
ALTER TABLE invitation_batches ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
CREATE INDEX invitations_asked ON invitations (org_id, id) WHERE asked_at > 0 AND state = 'pending';
CREATE INDEX invitations_bounced ON invitations (org_id, id) WHERE bounced_at > 0 AND state = 'pending';
