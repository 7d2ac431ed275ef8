-- Package password owns these. must_change: somebody else chose the password, so it opens
-- nothing but the page that sets the person's own. until: when such a password ends; 0: never.
ALTER TABLE credentials ADD COLUMN must_change {{bool}} NOT NULL DEFAULT FALSE;
ALTER TABLE credentials ADD COLUMN until {{int}} NOT NULL DEFAULT 0;

-- Passwords that a person had before, for organizations that want no old one again.
CREATE TABLE password_history (
  org_id  {{id}} NOT NULL,
  user_id {{id}} NOT NULL,
  set_at  {{int}} NOT NULL,
  hash    TEXT NOT NULL,
  PRIMARY KEY (org_id, user_id, set_at)
){{strict}};
