-- Files with people that are fetched on a schedule; package importer owns these tables.
-- secret: sealed password or private key. looked: what the folder held when it was
-- looked at last, by name. host_key is pinned, seen_key what the host has shown.
CREATE TABLE import_feeds (
  org_id      {{id}} NOT NULL,
  id          {{id}} NOT NULL,
  kind        TEXT NOT NULL,
  name        TEXT NOT NULL,
  settings    {{json}} NOT NULL,
  secret      {{bytes}},
  host_key    TEXT NOT NULL DEFAULT '',
  seen_key    TEXT NOT NULL DEFAULT '',
  active      {{bool}} NOT NULL,
  looked      {{json}} NOT NULL DEFAULT '{}',
  next_at     {{int}} NOT NULL,
  lease_until {{int}} NOT NULL DEFAULT 0,
  last_at     {{int}} NOT NULL DEFAULT 0,
  last_words  TEXT NOT NULL DEFAULT '',
  last_bad    {{bool}} NOT NULL,
  created_at  {{int}} NOT NULL,
  PRIMARY KEY (org_id, id)
){{strict}};
CREATE INDEX import_feeds_due ON import_feeds (next_at);

-- Contents that were taken in, so that each is taken once.
CREATE TABLE import_seen (
  org_id  {{id}} NOT NULL,
  feed_id {{id}} NOT NULL,
  hash    {{key}} NOT NULL,
  name    TEXT NOT NULL,
  run_id  {{id}} NOT NULL,
  at      {{int}} NOT NULL,
  PRIMARY KEY (org_id, feed_id, hash)
){{strict}};

-- told: the report of an import that a feed began has been mailed.
ALTER TABLE import_runs ADD COLUMN told {{int}} NOT NULL DEFAULT 0;
