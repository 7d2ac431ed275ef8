-- Groups that are members of groups; package store owns this table. It stands apart from
-- members, so that a change of people costs the same whether groups are nested or not.
CREATE TABLE subgroups (
  org_id          {{id}} NOT NULL,
  group_id        {{id}} NOT NULL,
  member_group_id {{id}} NOT NULL,
  since           {{int}} NOT NULL,
  PRIMARY KEY (org_id, group_id, member_group_id)
){{strict_narrow}};
CREATE INDEX subgroups_member ON subgroups (org_id, member_group_id);
