-- By what a sign-in is found: one row beside each row of activity that tells of one, with
-- its id. Package store owns it. The activity row says what happened and stays; these are
-- kept for some months. org_id is zero where no organization is known. repeats: how many more were
-- refused in that minute and have no row each.
CREATE TABLE signins (
  org_id        {{id}} NOT NULL,
  at            {{int}} NOT NULL,
  id            {{id}} NOT NULL,
  result        {{key}} NOT NULL,
  reference     {{key}} NOT NULL,
  method        {{key}} NOT NULL,
  connection_id {{id}},
  user_id       {{id}},
  check_name    {{key}} NOT NULL,
  email_key     {{key}} NOT NULL,
  subject       {{key}} NOT NULL,
  repeats       {{int}} NOT NULL,
  PRIMARY KEY (org_id, at, id)
){{strict}};
-- A reference is looked up across organizations too, by the operator.
CREATE INDEX signins_reference ON signins (reference, org_id, at, id) WHERE reference <> '';
CREATE INDEX signins_connection ON signins (org_id, connection_id, at, id);
CREATE INDEX signins_user ON signins (org_id, user_id, at, id);
CREATE INDEX signins_email ON signins (org_id, email_key, at, id) WHERE email_key <> '';
CREATE INDEX signins_subject ON signins (org_id, subject, at, id) WHERE subject <> '';
CREATE INDEX signins_refused ON signins (org_id, at, id) WHERE result = 'refused';
CREATE INDEX signins_check ON signins (org_id, check_name, at, id) WHERE result = 'refused';
CREATE INDEX signins_age ON signins (at);
