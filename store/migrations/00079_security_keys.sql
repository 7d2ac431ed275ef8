-- A security key whose button alone is pressed: it stands beside a password and never
-- opens an account by itself.
ALTER TABLE passkeys ADD COLUMN second_only {{bool}} NOT NULL DEFAULT FALSE;
