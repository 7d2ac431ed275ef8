-- The order of the list of people stands where its filters are, so that a page is found by
-- walking along it.
CREATE INDEX roster_sort ON roster (org_id, sort_key, user_id);
DROP INDEX users_sort;
