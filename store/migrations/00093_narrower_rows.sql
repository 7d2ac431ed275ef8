-- Most people whom no directory manages have no externalId, and nobody asks for those.
DROP INDEX users_any_external_id;
CREATE INDEX users_any_external_id ON users (org_id, external_id) WHERE external_id IS NOT NULL AND deleted_at = 0;
