-- No query takes these: what is due is asked of connections, and whoever was not told of a
-- request is found by access_requests_open; package sso owns the tables.
DROP INDEX sso_metadata_next;
DROP INDEX access_requests_unmailed;
