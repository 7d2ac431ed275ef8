-- What a session was opened with at its identity provider; package sso owns the
-- table. name_id is the SAML NameID as it came, name_id_key the hash of its value;
-- session_index is SAML's SessionIndex or OIDC's sid; id_token is sealed. A row means
-- nothing without its session: who reads joins it, and the sweep takes what is left.
CREATE TABLE sso_sessions (
  org_id        {{id}} NOT NULL,
  session_id    {{id}} NOT NULL,
  user_id       {{id}} NOT NULL,
  connection_id {{id}} NOT NULL,
  subject_kind  {{key}} NOT NULL,
  subject       {{key}} NOT NULL,
  session_index {{key}} NOT NULL,
  name_id_key   {{key}} NOT NULL,
  name_id       {{json}},
  id_token      {{bytes}},
  created_at    {{int}} NOT NULL,
  PRIMARY KEY (org_id, session_id)
){{strict}};
CREATE INDEX sso_sessions_subject ON sso_sessions (org_id, connection_id, subject_kind, subject);
CREATE INDEX sso_sessions_index ON sso_sessions (org_id, connection_id, session_index) WHERE session_index <> '';
CREATE INDEX sso_sessions_name_id ON sso_sessions (org_id, connection_id, name_id_key) WHERE name_id_key <> '';
