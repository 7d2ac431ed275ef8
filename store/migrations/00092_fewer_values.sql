-- An address that stands in users.email_key, and a telephone number that is found by its
-- digits, have no rows in user_values any more; store/values_build.go takes away those of
-- everybody who is there.
INSERT INTO value_walks (org_id, due_at, after_id, rounds) SELECT id, 0, '00000000-0000-0000-0000-000000000000', 2 FROM orgs WHERE 1 = 1
  ON CONFLICT (org_id) DO UPDATE SET due_at = 0, after_id = '00000000-0000-0000-0000-000000000000', rounds = 2;
-- The externalId of somebody whom no directory manages need not be the only one.
DROP INDEX users_external_id;
CREATE UNIQUE INDEX users_external_id ON users (org_id, directory_id, external_id) WHERE deleted_at = 0 AND directory_id IS NOT NULL;
