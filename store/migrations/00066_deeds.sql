-- What people did in the applications, as the applications tell; package records owns the
-- table. ref is the application's own name of it: the same again is the same row.
CREATE TABLE deeds (
  org_id      {{id}} NOT NULL,
  user_id     {{id}} NOT NULL,
  at          {{int}} NOT NULL,
  id          {{id}} NOT NULL,
  app_id      {{key}} NOT NULL,
  app         TEXT NOT NULL,
  ref         {{key}} NOT NULL,
  kind        {{key}} NOT NULL,
  title       TEXT NOT NULL,
  url         TEXT NOT NULL,
  n           {{int}} NOT NULL,
  received_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, at, id)
){{strict}};
CREATE UNIQUE INDEX deeds_ref ON deeds (org_id, app_id, ref);
CREATE INDEX deeds_age ON deeds (received_at);
