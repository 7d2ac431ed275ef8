-- What an organization chose: one row for each group of settings, written by the
-- package that owns the group. No row: the group's defaults.
CREATE TABLE org_settings (
  org_id     {{id}} NOT NULL,
  name       {{key}} NOT NULL,
  value      {{json}} NOT NULL,
  version    {{int}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, name)
){{strict}};
