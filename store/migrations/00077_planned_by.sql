-- What whoever planned a change might do then, with blanks between; package life owns the
-- table. Plans from before are of admins, as far as anybody could say otherwise.
ALTER TABLE planned_changes ADD COLUMN by_may TEXT NOT NULL DEFAULT 'org.configure';
