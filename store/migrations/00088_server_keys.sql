-- Which secret keys a server opens values with, as fingerprints; package operate owns it.
CREATE TABLE server_keys (
  server_id {{id}} NOT NULL PRIMARY KEY,
  prints    TEXT NOT NULL
){{strict}};
