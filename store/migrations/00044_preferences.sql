-- How a person wants pages and mails. Empty: not chosen. more is what features keep
-- beside it, by their names.
CREATE TABLE preferences (
  org_id     {{id}} NOT NULL,
  user_id    {{id}} NOT NULL,
  language   TEXT NOT NULL,
  time_zone  TEXT NOT NULL,
  theme      TEXT NOT NULL,
  more       {{json}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id)
){{strict}};
