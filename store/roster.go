package store

// The table roster has a narrow row for each person, so that any combination of filters
// is counted and sorted by reading it whole: 100,000 rows in 10 to 25 ms, where the rows of
// users, with their documents, took ten times that. An index on users for each filter is
// out of the question: a status in an index made each deactivation write all indexes.
//
// The databases keep it by triggers on users, so every door that writes a person, also
// one that is yet to come, writes the row in the same statement. Only a change of one of
// its columns fires them.

const rosterColumns = "org_id, user_id, status, source, directory_id, break_glass, sort_key, email_key, created_at, signed_in_at"

const rosterNew = "NEW.org_id, NEW.id, NEW.status, NEW.source, NEW.directory_id, NEW.break_glass, NEW.sort_key, NEW.email_key, NEW.created_at, NEW.signed_in_at"

const rosterSet = `UPDATE roster SET status = NEW.status, directory_id = NEW.directory_id, break_glass = NEW.break_glass, sort_key = NEW.sort_key,
	email_key = NEW.email_key, signed_in_at = NEW.signed_in_at WHERE org_id = NEW.org_id AND user_id = NEW.id`

const keepRosterPostgres = `
CREATE FUNCTION roster_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO roster (` + rosterColumns + `) VALUES (` + rosterNew + `);
	RETURN NULL;
END $$;
CREATE FUNCTION roster_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	` + rosterSet + `;
	RETURN NULL;
END $$;
CREATE TRIGGER users_to_roster AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION roster_insert();
CREATE TRIGGER users_in_roster AFTER UPDATE ON users FOR EACH ROW
	WHEN (` + rosterDiffersPostgres + `)
	EXECUTE FUNCTION roster_update();`

const keepRosterSQLite = `
CREATE TRIGGER users_to_roster AFTER INSERT ON users FOR EACH ROW BEGIN
	INSERT INTO roster (` + rosterColumns + `) VALUES (` + rosterNew + `);
END;
CREATE TRIGGER users_in_roster AFTER UPDATE ON users FOR EACH ROW
	WHEN ` + rosterDiffersSQLite + `
	BEGIN ` + rosterSet + `; END;`

const rosterDiffersPostgres = `OLD.status <> NEW.status OR OLD.directory_id IS DISTINCT FROM NEW.directory_id OR OLD.break_glass <> NEW.break_glass
		OR OLD.sort_key <> NEW.sort_key OR OLD.email_key <> NEW.email_key OR OLD.signed_in_at <> NEW.signed_in_at`

const rosterDiffersSQLite = `OLD.status <> NEW.status OR OLD.directory_id IS NOT NEW.directory_id OR OLD.break_glass <> NEW.break_glass
		OR OLD.sort_key <> NEW.sort_key OR OLD.email_key <> NEW.email_key OR OLD.signed_in_at <> NEW.signed_in_at`

// A statement trigger reads the new rows once they are there. SQLite knows triggers for
// rows alone, which it runs within the statement.
const rosterAtOncePostgres = `
DROP TRIGGER users_to_roster ON users;
CREATE OR REPLACE FUNCTION roster_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO roster (` + rosterColumns + `)
		SELECT org_id, id, status, source, directory_id, break_glass, sort_key, email_key, created_at, signed_in_at FROM fresh;
	RETURN NULL;
END $$;
CREATE TRIGGER users_to_roster AFTER INSERT ON users REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION roster_insert();`

const rosterByColumn = "CREATE TRIGGER users_in_roster AFTER UPDATE OF status, directory_id, break_glass, sort_key, email_key, signed_in_at ON users FOR EACH ROW"

const rosterByColumnPostgres = `
DROP TRIGGER users_in_roster ON users;
CREATE OR REPLACE FUNCTION roster_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF ` + rosterDiffersPostgres + ` THEN
		` + rosterSet + `;
	END IF;
	RETURN NULL;
END $$;
` + rosterByColumn + ` EXECUTE FUNCTION roster_update();`

const rosterByColumnSQLite = `
DROP TRIGGER users_in_roster;
` + rosterByColumn + `
	WHEN ` + rosterDiffersSQLite + ` BEGIN ` + rosterSet + `; END;`
