-- Package account owns these tables. A picture is one that was drawn anew here: a square
-- JPEG without anything else that the file may have held.
CREATE TABLE pictures (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  etag       {{key}} NOT NULL,
  image      {{bytes}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict}};

-- The browsers in which somebody has signed in, by a cookie of theirs, as a hash.
CREATE TABLE devices (
  org_id      {{id}} NOT NULL,
  user_id     {{id}} NOT NULL,
  device_hash {{key}} NOT NULL,
  first_at    {{int}} NOT NULL,
  seen_at     {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, device_hash)
){{strict}};
CREATE INDEX devices_seen ON devices (seen_at);

-- New addresses. state: asked, done, stopped (before) or undone (afterwards).
-- confirm_hash is of the link to the new address, stop_hash of that to the old one.
CREATE TABLE address_changes (
  org_id       {{id}} NOT NULL,
  id           {{id}} NOT NULL,
  user_id      {{id}} NOT NULL,
  old_email    TEXT NOT NULL,
  old_name     TEXT NOT NULL,
  new_email    TEXT NOT NULL,
  state        TEXT NOT NULL,
  confirm_hash {{key}} NOT NULL,
  stop_hash    {{key}} NOT NULL,
  asked_at     {{int}} NOT NULL,
  until        {{int}} NOT NULL,
  done_at      {{int}} NOT NULL DEFAULT 0,
  undo_until   {{int}} NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE UNIQUE INDEX address_changes_open ON address_changes (org_id, user_id) WHERE state = 'asked';
CREATE UNIQUE INDEX address_changes_confirm ON address_changes (org_id, confirm_hash);
CREATE UNIQUE INDEX address_changes_stop ON address_changes (org_id, stop_hash);
CREATE INDEX address_changes_user ON address_changes (org_id, user_id, id);
