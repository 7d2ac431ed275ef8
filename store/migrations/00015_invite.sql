-- Invitations; package invite owns these tables. state: pending, accepted or
-- cancelled; expired is a pending one past expires_at. token_hash is of the newest link.
CREATE TABLE invitations (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  email      TEXT NOT NULL,
  state      TEXT NOT NULL,
  token_hash {{key}} NOT NULL,
  invited_by TEXT NOT NULL,
  sent       {{int}} NOT NULL,
  created_at {{int}} NOT NULL,
  sent_at    {{int}} NOT NULL,
  expires_at {{int}} NOT NULL,
  ended_at   {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX invitations_user ON invitations (org_id, user_id, id);
CREATE UNIQUE INDEX invitations_open ON invitations (org_id, user_id) WHERE state = 'pending';

-- Every link that was ever sent, so that an old one can say what became of it.
CREATE TABLE invitation_links (
  org_id        {{id}} NOT NULL,
  token_hash    {{key}} NOT NULL,
  invitation_id {{id}} NOT NULL,
  sent_by       TEXT NOT NULL,
  sent_at       {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, token_hash)
){{strict}};

-- CSV files between upload and confirmation: good for an hour, removed by the import
-- or by the next upload after that.
CREATE TABLE imports (
  org_id     {{id}} NOT NULL,
  id         {{id}} NOT NULL,
  name       TEXT NOT NULL,
  invite     {{bool}} NOT NULL,
  data       {{bytes}} NOT NULL,
  created_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
