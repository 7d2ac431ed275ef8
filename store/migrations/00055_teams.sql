-- What a local group has beside its name and members; package store owns this table. A
-- group without a row has neither.
CREATE TABLE teams (
  org_id      {{id}} NOT NULL,
  group_id    {{id}} NOT NULL,
  description TEXT NOT NULL,
  lead_id     {{id}},
  version     {{int}} NOT NULL,
  PRIMARY KEY (org_id, group_id)
){{strict}};

-- Who put somebody in by hand; the name as it was then.
ALTER TABLE member_reasons ADD COLUMN given_by TEXT NOT NULL DEFAULT '';
