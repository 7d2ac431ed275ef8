-- What the roles and entitlements that a directory sends mean here; see mapping.go.
-- value is spelled as it was entered, value_key folded. role is empty for no role.
CREATE TABLE role_mappings (
  org_id       {{id}} NOT NULL,
  directory_id {{id}} NOT NULL,
  attr         {{key}} NOT NULL,
  value_key    {{key}} NOT NULL,
  value        TEXT NOT NULL,
  display      TEXT NOT NULL,
  kind         TEXT NOT NULL,
  role         {{key}} NOT NULL,
  created_at   {{int}} NOT NULL,
  PRIMARY KEY (org_id, directory_id, attr, value_key)
){{strict}};

-- Which of the values that a directory sent gave the role.
ALTER TABLE user_roles ADD COLUMN reason_detail TEXT NOT NULL DEFAULT '';

-- The values that directories have sent so far. Nobody gets a role by an upgrade:
-- they count with the person's next change, or that of the directory's mapping.
INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
  SELECT DISTINCT u.org_id, 'roles', lower(e.value ->> 'value'), lower(COALESCE(e.value ->> 'type', '')), u.id
  FROM users u, {{u_roles}}
  WHERE u.status <> 'deleted' AND length(e.value ->> 'value') BETWEEN 1 AND 250 AND length(COALESCE(e.value ->> 'type', '')) <= 100;
INSERT INTO user_values (org_id, attr, value_key, kind, user_id)
  SELECT DISTINCT u.org_id, 'entitlements', lower(e.value ->> 'value'), lower(COALESCE(e.value ->> 'type', '')), u.id
  FROM users u, {{u_entitlements}}
  WHERE u.status <> 'deleted' AND length(e.value ->> 'value') BETWEEN 1 AND 250 AND length(COALESCE(e.value ->> 'type', '')) <= 100;
