-- How many people an organization may have. The row with the license '' is of all of
-- them and is there whenever there is any row: who takes a seat locks it. most: -1 = no
-- limit. used is never less than are taken: taking counts, giving back is found out when
-- it seems full. roles: with blanks between; fallback: for people with none of them.
CREATE TABLE seats (
  org_id   {{id}} NOT NULL,
  license  {{key}} NOT NULL,
  name     TEXT NOT NULL,
  roles    TEXT NOT NULL,
  fallback {{bool}} NOT NULL,
  place    {{int}} NOT NULL,
  most     {{int}} NOT NULL,
  used     {{int}} NOT NULL,
  PRIMARY KEY (org_id, license)
){{strict}};

-- The list of deleted people, and who is to be removed for good.
CREATE INDEX users_deleted ON users (org_id, deleted_at, id) WHERE deleted_at > 0;
CREATE INDEX users_purge ON users (deleted_at) WHERE deleted_at > 0;
