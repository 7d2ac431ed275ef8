-- When somebody who runs the server was last in an organization that is not the own one;
-- package operate owns it.
CREATE TABLE operator_entries (
  org_id   {{id}} NOT NULL,
  actor_id {{id}} NOT NULL,
  at       {{int}} NOT NULL,
  PRIMARY KEY (org_id, actor_id)
){{strict_narrow}};
