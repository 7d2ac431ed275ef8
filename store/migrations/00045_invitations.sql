-- Invitations that wait, bounce, remind and are asked for. Of a pending one: sent = 0 is
-- saved and was not sent; bounced_at says that the mail came back, bounce with which
-- words. sent counts the links that ended the ones before; a link works while its
-- generation is sent, so a reminder or a copy can be a link beside the first.
-- kept holds the teams of a cancelled one's person.
ALTER TABLE invitations ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE invitations ADD COLUMN remind_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE invitations ADD COLUMN bounced_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE invitations ADD COLUMN bounce TEXT NOT NULL DEFAULT '';
ALTER TABLE invitations ADD COLUMN asked_at {{int}} NOT NULL DEFAULT 0;
ALTER TABLE invitations ADD COLUMN kept {{json}};
CREATE INDEX invitations_remind ON invitations (remind_at) WHERE state = 'pending' AND remind_at > 0;
CREATE INDEX invitations_state ON invitations (org_id, state, id);

ALTER TABLE invitation_links ADD COLUMN generation {{int}} NOT NULL DEFAULT 0;
ALTER TABLE invitation_links ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE invitation_links ADD COLUMN mail_id {{id}};
ALTER TABLE invitation_links ADD COLUMN opened_at {{int}} NOT NULL DEFAULT 0;
UPDATE invitation_links SET
  generation = COALESCE((SELECT i.sent FROM invitations i WHERE i.org_id = invitation_links.org_id AND i.token_hash = invitation_links.token_hash), 0),
  email = (SELECT i.email FROM invitations i WHERE i.org_id = invitation_links.org_id AND i.id = invitation_links.invitation_id);
CREATE INDEX invitation_links_mail ON invitation_links (org_id, mail_id) WHERE mail_id IS NOT NULL;
ALTER TABLE invitations DROP COLUMN token_hash;

-- What happened to an invitation, for its page; the activity log has it too, for longer.
CREATE TABLE invitation_events (
  org_id        {{id}} NOT NULL,
  user_id       {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  invitation_id {{id}} NOT NULL,
  at            {{int}} NOT NULL,
  what          TEXT NOT NULL,
  by_name       TEXT NOT NULL,
  detail        TEXT NOT NULL,
  PRIMARY KEY (org_id, user_id, id)
){{strict}};

-- Many addresses at once: what was pasted, line by line, and what became of each.
CREATE TABLE invitation_batches (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  roles      TEXT NOT NULL,
  teams      TEXT NOT NULL,
  note       TEXT NOT NULL,
  save       {{bool}} NOT NULL,
  made_by    TEXT NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX invitation_batches_age ON invitation_batches (created_at);

CREATE TABLE invitation_batch_rows (
  org_id      {{id}} NOT NULL,
  batch_id    {{id}} NOT NULL,
  line        {{int}} NOT NULL,
  typed       TEXT NOT NULL,
  given_name  TEXT NOT NULL,
  family_name TEXT NOT NULL,
  email       TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  why         TEXT NOT NULL,
  state       TEXT NOT NULL,
  user_id     {{id}},
  PRIMARY KEY (org_id, batch_id, line)
){{strict}};
