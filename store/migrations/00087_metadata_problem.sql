-- Why metadata could not be read, in a form that a page says in its reader's language; package sso owns it.
ALTER TABLE sso_metadata ADD COLUMN problem_said {{json}};
