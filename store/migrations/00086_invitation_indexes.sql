-- With the state in front, as the lists ask for it: SQLite took invitations_state instead,
-- and looked at every pending one; package invite owns the table.
DROP INDEX invitations_asked;
DROP INDEX invitations_bounced;
CREATE INDEX invitations_asked ON invitations (org_id, state, id) WHERE asked_at > 0;
CREATE INDEX invitations_bounced ON invitations (org_id, state, id) WHERE bounced_at > 0;
