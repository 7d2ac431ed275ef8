-- Test sign-ins: they change nothing, and what they showed is kept for some days.
-- settings: a hash of what was tested, so that a test speaks for no other settings.
-- back (where its page is) and report are sealed; report goes when expires_at is over.
CREATE TABLE sso_tests (
  org_id        {{id}} NOT NULL,
  id            {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  settings      TEXT NOT NULL,
  actor_kind    TEXT NOT NULL,
  actor_id      TEXT NOT NULL,
  actor_name    TEXT NOT NULL,
  back          {{bytes}} NOT NULL,
  outcome       TEXT NOT NULL,
  failed_check  TEXT NOT NULL,
  report        {{bytes}},
  started_at    {{int}} NOT NULL,
  ended_at      {{int}} NOT NULL,
  expires_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX sso_tests_connection ON sso_tests (org_id, connection_id, started_at);
CREATE INDEX sso_tests_expiry ON sso_tests (expires_at);
