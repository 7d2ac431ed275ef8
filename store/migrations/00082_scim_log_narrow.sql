-- The same questions by narrower entries, of which each request writes four: an id of a
-- directory is in no other organization, and rows of one microsecond are few enough to be
-- sorted when they are read. SQLite takes no index that leaves something to sort.
DROP INDEX scim_log_request;
DROP INDEX scim_log_target;
DROP INDEX scim_log_target_key;
DROP INDEX scim_log_change;
CREATE INDEX scim_log_request ON scim_log ({{org_if_needed}}directory_id, request_id, at{{id_if_needed}});
CREATE INDEX scim_log_target ON scim_log ({{org_if_needed}}directory_id, target_id, at{{id_if_needed}});
CREATE INDEX scim_log_target_key ON scim_log ({{org_if_needed}}directory_id, target_key, at{{id_if_needed}});
CREATE INDEX scim_log_change ON scim_log ({{org_if_needed}}directory_id, method, resource, at{{id_if_needed}}) WHERE method <> 'GET';
