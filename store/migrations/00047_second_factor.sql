-- Whether people must have a second factor: off, optional, admins, all.
ALTER TABLE policies ADD COLUMN second_factor TEXT NOT NULL DEFAULT 'optional';
