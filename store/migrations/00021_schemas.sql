-- What an organization adds to its users and groups (RFC 7643 §7). All its schemas are one document, which is
-- read and replaced as a whole; each change gives it a new revision. due_at: when the loop has to look at it
-- again, 0 = not at all; see store/schema.go.
CREATE TABLE org_schemas (
  org_id     {{id}} NOT NULL,
  revision   {{id}} NOT NULL,
  doc        {{json}} NOT NULL,
  due_at     {{int}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id)
){{strict}};
CREATE INDEX org_schemas_due ON org_schemas (due_at) WHERE due_at > 0;

-- The values of those attributes that are to be found by an index, or to be unique (uniq = 1): one row each.
CREATE TABLE extra_values (
  org_id    {{id}} NOT NULL,
  attr      {{key}} NOT NULL,
  value_key {{key}} NOT NULL,
  owner_id  {{id}} NOT NULL,
  uniq      {{int}} NOT NULL,
  PRIMARY KEY (org_id, attr, value_key, owner_id)
){{strict_narrow}};
CREATE UNIQUE INDEX extra_values_unique ON extra_values (org_id, attr, value_key) WHERE uniq = 1;
CREATE INDEX extra_values_owner ON extra_values (org_id, owner_id);
