-- What applications keep of people: their agents, contacts and so on; package records
-- owns these tables. id is the application's own. attributes is JSON.
CREATE TABLE external_records (
  org_id     {{id}} NOT NULL,
  kind       {{key}} NOT NULL,
  id         {{key}} NOT NULL,
  name       TEXT NOT NULL,
  name_key   {{key}} NOT NULL,
  address    TEXT NOT NULL,
  search_key {{key}} NOT NULL,
  attributes {{json}} NOT NULL,
  version    {{int}} NOT NULL,
  created_at {{int}} NOT NULL,
  updated_at {{int}} NOT NULL,
  PRIMARY KEY (org_id, kind, id)
){{strict}};
CREATE INDEX external_records_name ON external_records (org_id, kind, name_key, id);

-- A person is linked to one record of a kind at most, a record to one person. name is how
-- it was called when it was linked: the record may go, the link stays and says so.
CREATE TABLE record_links (
  org_id    {{id}} NOT NULL,
  user_id   {{id}} NOT NULL,
  kind      {{key}} NOT NULL,
  record_id {{key}} NOT NULL,
  name      TEXT NOT NULL,
  linked_by TEXT NOT NULL,
  since     {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, kind)
){{strict}};
CREATE UNIQUE INDEX record_links_record ON record_links (org_id, kind, record_id);
