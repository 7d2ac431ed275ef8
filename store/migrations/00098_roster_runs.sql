-- What few people have, in the order in which lists show it: who is not active, and who has
-- signed in. Whoever is new has neither, so creating people writes none of these.
CREATE INDEX roster_status ON roster (org_id, status, user_id) WHERE status <> 'active';
CREATE INDEX roster_signed_in ON roster (org_id, signed_in_at, user_id) WHERE signed_in_at > 0;
