-- The roles of organizations; package store owns this table. Admin has no row. Agent and
-- Viewer have one when an organization has changed what they allow in the applications;
-- it says the permissions and nothing else. permissions has their names, with blanks
-- between, so that a session's look-up takes them as they are.
CREATE TABLE org_roles (
  org_id      {{id}} NOT NULL,
  name        {{key}} NOT NULL,
  label       TEXT NOT NULL,
  label_key   {{key}} NOT NULL,
  description TEXT NOT NULL,
  permissions TEXT NOT NULL,
  version     {{int}} NOT NULL,
  created_at  {{int}} NOT NULL,
  updated_at  {{int}} NOT NULL,
  PRIMARY KEY (org_id, name)
){{strict}};
CREATE UNIQUE INDEX org_roles_label ON org_roles (org_id, label_key);

-- Who gave a role by hand; the name as it was then.
ALTER TABLE user_roles ADD COLUMN given_by TEXT NOT NULL DEFAULT '';
