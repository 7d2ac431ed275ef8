-- Of the words by which people are found, most have three at most: the first of their names
-- that no other index finds, the employee number, the digits of the telephone. These stand
-- beside the document, an entry of an index each; in user_values each was a row with two.
-- store/values_build.go moves those of everybody who is there.
ALTER TABLE users ADD COLUMN word_key {{key}};
ALTER TABLE users ADD COLUMN number_key {{key}};
ALTER TABLE users ADD COLUMN phone_key {{key}};
CREATE INDEX users_word ON users (org_id, word_key, id) WHERE word_key IS NOT NULL;
CREATE INDEX users_number ON users (org_id, number_key, id) WHERE number_key IS NOT NULL;
CREATE INDEX users_phone ON users (org_id, phone_key, id) WHERE phone_key IS NOT NULL;
INSERT INTO value_walks (org_id, due_at, after_id, rounds) SELECT id, 0, '00000000-0000-0000-0000-000000000000', 2 FROM orgs WHERE 1 = 1
  ON CONFLICT (org_id) DO UPDATE SET due_at = 0, after_id = '00000000-0000-0000-0000-000000000000', rounds = 2;
