package store

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/muster-id/muster/internal/fault"
)

// dialect is all that differs between the two databases. Queries and migrations
// are one text; the words in double braces are filled in from here.
type dialect struct {
	name    string
	goose   string
	bind    int
	oneStmt bool // a statement may change several tables (WITH ... AS (INSERT ...))

	migrating string // begins a migration, which waits for tables as long as it takes
	withUsers string // lists the tables with the columns org_id and user_id
	withNames string // lists the columns that say by name who did something, such as given_by, of tables with org_id
	words     *strings.Replacer

	joinedIDs func(value []byte) string // reads what {{joined_ids}} gives: one id behind the other
}

var postgres = dialect{name: "postgres", goose: "postgres", bind: sqlx.DOLLAR, oneStmt: true, joinedIDs: hex.EncodeToString, migrating: "SET LOCAL lock_timeout = 0;\n",
	withUsers: "SELECT a.table_name FROM information_schema.columns a JOIN information_schema.columns b ON b.table_schema = a.table_schema AND b.table_name = a.table_name " +
		"WHERE a.table_schema = current_schema() AND a.column_name = 'org_id' AND b.column_name = 'user_id' ORDER BY 1",
	withNames: "SELECT a.table_name, b.column_name FROM information_schema.columns a JOIN information_schema.columns b ON b.table_schema = a.table_schema AND b.table_name = a.table_name " +
		"WHERE a.table_schema = current_schema() AND a.column_name = 'org_id' AND (b.column_name LIKE '%\\_by' OR b.column_name = 'by_name') AND b.data_type = 'text' AND a.table_name <> 'users' ORDER BY 1, 2",
	words: strings.NewReplacer(
		"{{id}}", "uuid", "{{int}}", "bigint", "{{bool}}", "boolean", "{{bytes}}", "bytea", "{{json}}", "jsonb",
		// A row's next version fits beside it, and then no index is written.
		"{{room_in_users}}", "ALTER TABLE users SET (fillfactor = 90);",
		// For a column that grows with the table: an entry for many rows.
		"{{by_blocks}}", "USING brin (at) WITH (autosummarize = on)",
		"{{org_if_needed}}", "", "{{id_if_needed}}", "",
		"{{key}}", `text COLLATE "C"`, "{{strict}}", "", "{{strict_narrow}}", "",
		"{{ids}}", "SELECT CAST(e.value AS uuid) FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS e(value)",
		// An array made once, so that the index is used whatever the planner guesses about the list.
		"{{in_ids}}", "= ANY(ARRAY(SELECT CAST(e.value AS uuid) FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS e(value)))",
		"{{in_texts}}", "= ANY(ARRAY(SELECT e.value FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS e(value)))",
		"{{in_ints}}", "= ANY(ARRAY(SELECT CAST(e.value AS bigint) FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS e(value)))",
		"{{among}}", "= ANY(ARRAY", "{{end_among}}", ")", "{{looked_up}}", " OFFSET 0",
		"{{each}}", "jsonb_array_elements(CAST(? AS jsonb)) AS e(value)",
		"{{each_text}}", "jsonb_array_elements_text(CAST(? AS jsonb)) AS e(value)",
		"{{as_json}}", "CAST(? AS jsonb)", "{{as_id}}", "CAST(? AS uuid)", "{{as_int}}", "CAST(? AS bigint)", "{{as_text}}", "CAST(? AS text)",
		"{{u_roles}}", "jsonb_array_elements(u.doc -> 'roles') AS e(value)",
		"{{u_entitlements}}", "jsonb_array_elements(u.doc -> 'entitlements') AS e(value)",
		"{{hidden_id}}", "(SELECT CAST(? AS uuid))", "{{hidden_int}}", "(SELECT CAST(? AS bigint))", "{{hidden_text}}", "(SELECT CAST(? AS text))",
		"{{group_list}}", "json_agg(json_build_array(g.id, g.name))", "{{list}}", "json_agg", "{{entry}}", "json_build_array",
		"{{gate}}", "EXISTS (SELECT 1 FROM head)", "{{row}}", "SELECT ", "{{end_row}}", " WHERE EXISTS (SELECT 1 FROM head)",
		"{{keep_roster}}", keepRosterPostgres, "{{roster_by_column}}", rosterByColumnPostgres, "{{roster_at_once}}", rosterAtOncePostgres,
		"{{lines_as_text}}", "ALTER TABLE import_rows ALTER COLUMN data TYPE text;", "{{details_as_text}}", "ALTER TABLE activity ALTER COLUMN detail TYPE text;",
		"{{results_by_key}}", "", "{{by_other_results}}", "",
		"{{joined_ids}}", "string_agg(uuid_send(p.id), '')", // in the order of p, 16 bytes each
		"{{share}}", " FOR SHARE", "{{key_share}}", " FOR KEY SHARE", "{{key_share_group}}", " FOR KEY SHARE OF g", "{{lock_member}}", " FOR SHARE OF u FOR KEY SHARE OF g",
	)}

// sqliteWithUsers lists the tables with org_id and user_id.
const sqliteWithUsers = "SELECT m.name FROM sqlite_master m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'org_id') " +
	"AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'user_id') ORDER BY 1"

// sqliteWithNames lists the columns that say by name who did something.
const sqliteWithNames = "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> 'users' " +
	"AND (c.name LIKE '%\\_by' ESCAPE '\\' OR c.name = 'by_name') AND c.type = 'TEXT' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'org_id') ORDER BY 1, 2"

var sqliteDialect = dialect{name: "sqlite", goose: "sqlite3", bind: sqlx.QUESTION, joinedIDs: func(value []byte) string { return string(value) }, withUsers: sqliteWithUsers, withNames: sqliteWithNames, words: strings.NewReplacer(
	"{{id}}", "TEXT", "{{int}}", "INTEGER", "{{bool}}", "INTEGER", "{{bytes}}", "BLOB", "{{json}}", "TEXT",
	"{{room_in_users}}", "", "{{by_blocks}}", "(at)", "{{org_if_needed}}", "org_id, ", "{{id_if_needed}}", ", id",
	"{{key}}", "TEXT", "{{strict}}", " STRICT", "{{strict_narrow}}", " STRICT, WITHOUT ROWID",
	"{{ids}}", "SELECT e.value FROM json_each(?) AS e",
	"{{in_ids}}", "IN (SELECT e.value FROM json_each(?) AS e)",
	"{{in_texts}}", "IN (SELECT e.value FROM json_each(?) AS e)", "{{in_ints}}", "IN (SELECT e.value FROM json_each(?) AS e)",
	"{{among}}", "IN", "{{end_among}}", "", "{{looked_up}}", "",
	"{{each}}", "json_each(?) AS e",
	"{{each_text}}", "json_each(?) AS e",
	"{{as_json}}", "?", "{{as_id}}", "?", "{{as_int}}", "?", "{{as_text}}", "?",
	"{{u_roles}}", "json_each(u.doc, '$.roles') AS e",
	"{{u_entitlements}}", "json_each(u.doc, '$.entitlements') AS e",
	"{{hidden_id}}", "?", "{{hidden_int}}", "?", "{{hidden_text}}", "?",
	"{{group_list}}", "json_group_array(json_array(g.id, g.name))", "{{list}}", "json_group_array", "{{entry}}", "json_array",
	"{{gate}}", "1 = 1",
	// Of SELECT it does not know that it is one row, and copies each page before it changes it, to be able to undo several.
	"{{row}}", "VALUES (", "{{end_row}}", ")",
	"{{keep_roster}}", keepRosterSQLite, "{{roster_by_column}}", rosterByColumnSQLite, "{{roster_at_once}}", "", "{{lines_as_text}}", "", "{{details_as_text}}", "", "{{results_by_key}}", resultsByKeySQLite, "{{by_other_results}}", " INDEXED BY job_results_other", // it prefers the key
	"{{joined_ids}}", "group_concat(p.id, '')",
	"{{share}}", "", "{{key_share}}", "", "{{key_share_group}}", "", "{{lock_member}}", "",
)}

const resultsByKeySQLite = `
CREATE TABLE job_results_by_key (
  org_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  n      INTEGER NOT NULL,
  state  TEXT NOT NULL,
  did    TEXT NOT NULL,
  target TEXT NOT NULL,
  name   TEXT NOT NULL,
  why    TEXT NOT NULL,
  undo   TEXT NOT NULL,
  PRIMARY KEY (org_id, job_id, n)
) STRICT, WITHOUT ROWID;
INSERT INTO job_results_by_key SELECT org_id, job_id, n, state, did, target, name, why, undo FROM job_results;
DROP TABLE job_results;
ALTER TABLE job_results_by_key RENAME TO job_results;
CREATE INDEX job_results_other ON job_results (org_id, job_id, state, n) WHERE state <> 'done';`

// text is a query as this database wants it.
func (d *dialect) text(query string) string { return sqlx.Rebind(d.bind, d.words.Replace(query)) }

// fields names the attribute behind each unique index that people can run into.
// PostgreSQL tells the index, SQLite the columns.
var fields = map[string]string{
	"users_user_name":                   "userName",
	"users.org_id, users.user_name_key": "userName",
	"users_external_id":                 "externalId",
	"groups_name":                       "displayName",
	"groups_local_name":                 "displayName",
	"groups_external_id":                "externalId",
	"extra_values_unique":               uniqueValue,
	"extra_values.org_id, extra_values.attr, extra_values.value_key": uniqueValue,
	"orgs_slug":                      "slug",
	"orgs.slug":                      "slug",
	"groups.org_id, groups.name_key": "displayName",
	"users.org_id, users.directory_id, users.external_id":    "externalId",
	"groups.org_id, groups.directory_id, groups.name_key":    "displayName",
	"groups.org_id, groups.directory_id, groups.external_id": "externalId",
}

// classify turns a driver's error into a fault where it is one. This is the only
// place that looks at driver errors.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch {
		case e.Code == "23505":
			return &fault.Error{Kind: fault.Conflict, Field: fields[e.Constraint], Public: "That is already taken.", Err: err}
		case e.Code == "40001" || e.Code == "40P01":
			return &fault.Error{Kind: fault.Conflict, Field: "version", Public: changedMeanwhile, Err: err}
		case e.Code.Class() == "08" || e.Code.Class() == "53" || e.Code.Class() == "57" || e.Code == "55P03":
			return fault.Unavailable.Wrap(err, "The database does not answer. Try again in a moment.")
		}
		return err
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return &fault.Error{Kind: fault.Conflict, Field: uniqueColumns(e.Error()), Public: "That is already taken.", Err: err}
		}
		if code := e.Code() & 0xff; busy(e) || code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR {
			return fault.Unavailable.Wrap(err, "The database file is busy or its disk is full. Try again in a moment.")
		}
		return err
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fault.Unavailable.Wrap(err, "The database cannot be reached. Try again in a moment.")
	}
	return err
}

// undone tells that a statement which failed has certainly changed nothing: PostgreSQL said so, or
// it did not begin.
func undone(err error) bool {
	_, refused := errors.AsType[*pq.Error](err)
	return refused || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// busy tells that another connection holds an SQLite file.
func busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// uniqueColumns reads the columns out of SQLite's sentence, the only place where
// it names them: "... UNIQUE constraint failed: users.org_id, users.user_name_key (2067)".
func uniqueColumns(text string) string {
	_, columns, ok := strings.Cut(text, "UNIQUE constraint failed: ")
	if !ok {
		return ""
	}
	if i := strings.LastIndex(columns, " ("); i > 0 {
		columns = columns[:i]
	}
	return fields[columns]
}

const changedMeanwhile = "It was changed by somebody else meanwhile. Read it again, then send your change."

// errStale says that a row changed between our read and our write; Write and
// Command run their function again.
var errStale = fault.Conflict.On("version", changedMeanwhile)

// stale tells whether running the command once more may help.
func stale(err error) bool {
	return fault.Is(err, fault.Conflict) && fault.Field(err) == "version"
}
