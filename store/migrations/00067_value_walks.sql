-- Organizations whose rows in user_values are made anew from the documents of people, which
-- store/values_build.go does. due_at: when a server goes on with it; after_id: who was the
-- last; rounds: how often it begins again with the first, to be done.
CREATE TABLE value_walks (
  org_id   {{id}} NOT NULL,
  due_at   {{int}} NOT NULL,
  after_id {{id}} NOT NULL,
  rounds   {{int}} NOT NULL,
  PRIMARY KEY (org_id)
){{strict}};
-- Whoever was written before there were words in user_values (00057) has none there.
INSERT INTO value_walks (org_id, due_at, after_id, rounds) SELECT id, 0, '00000000-0000-0000-0000-000000000000', 2 FROM orgs;
