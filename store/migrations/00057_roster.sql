-- The list of people by what it is filtered and sorted by, in rows so narrow that all of
-- them are read in milliseconds; store/roster.go says how it is kept.
CREATE TABLE roster (
  org_id       {{id}} NOT NULL,
  user_id      {{id}} NOT NULL,
  status       TEXT NOT NULL,
  source       TEXT NOT NULL,
  directory_id {{id}},
  break_glass  {{bool}} NOT NULL,
  sort_key     {{key}} NOT NULL,
  email_key    {{key}} NOT NULL,
  created_at   {{int}} NOT NULL,
  signed_in_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict_narrow}};
CREATE INDEX roster_break_glass ON roster (org_id) WHERE break_glass;
INSERT INTO roster (org_id, user_id, status, source, directory_id, break_glass, sort_key, email_key, created_at, signed_in_at)
  SELECT org_id, id, status, source, directory_id, break_glass, sort_key, email_key, created_at, signed_in_at FROM users;
{{keep_roster}}
