-- The provisioning log: one row for each request of a directory; package scim owns
-- this table. path, reason and body are redacted before they come here; body is kept
-- of refused requests alone. took is microseconds. activities are the ids of the rows
-- of activity that the request made (the first of them; changes counts all).
CREATE TABLE scim_log (
  org_id       {{id}} NOT NULL,
  directory_id {{id}} NOT NULL,
  at           {{int}} NOT NULL,
  id           {{id}} NOT NULL,
  request_id   TEXT NOT NULL,
  method       {{key}} NOT NULL,
  resource     {{key}} NOT NULL,
  path         TEXT NOT NULL,
  target_id    {{key}} NOT NULL,
  target_name  TEXT NOT NULL,
  target_key   {{key}} NOT NULL,
  status       {{int}} NOT NULL,
  scim_type    TEXT NOT NULL,
  refusal      TEXT NOT NULL,
  reason       TEXT NOT NULL,
  took         {{int}} NOT NULL,
  ip           TEXT NOT NULL,
  agent        TEXT NOT NULL,
  body         TEXT NOT NULL,
  changes      {{int}} NOT NULL,
  activities   {{json}} NOT NULL,
  PRIMARY KEY (org_id, directory_id, at, id)
){{strict}};
CREATE INDEX scim_log_refused ON scim_log (org_id, directory_id, at, id) WHERE status >= 400;
CREATE INDEX scim_log_target ON scim_log (org_id, directory_id, target_id, at, id);
CREATE INDEX scim_log_target_key ON scim_log (org_id, directory_id, target_key, at, id);
CREATE INDEX scim_log_age ON scim_log (at);
