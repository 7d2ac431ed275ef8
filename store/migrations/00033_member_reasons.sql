-- Why somebody is a member where a sign-in put them in; a membership without a row was made by hand.
-- member_since is that of the membership that is meant: one that was made anew later is another.
CREATE TABLE member_reasons (
  org_id        {{id}} NOT NULL,
  user_id       {{id}} NOT NULL,
  group_id      {{id}} NOT NULL,
  reason_kind   {{key}} NOT NULL,
  reason_ref    {{key}} NOT NULL,
  reason_detail TEXT NOT NULL,
  member_since  {{int}} NOT NULL,
  since         {{int}} NOT NULL,
  PRIMARY KEY (org_id, user_id, group_id, reason_kind, reason_ref)
){{strict_narrow}};

-- A first sign-in asks whether the person was here before.
CREATE INDEX users_gone_email ON users (org_id, email_key) WHERE deleted_at > 0;
CREATE INDEX users_gone_name ON users (org_id, user_name_key) WHERE deleted_at > 0;
