package importer_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
)

// The raw loop is the import that reference/performance.md measured: the tables of its
// section 6, whose activity is two tables, and nothing that looks at what is imported. The
// people are those of the benchmark's file, and what is told of each is what ours tells.

const (
	rawUsers = `org_id, id, user_name, user_name_lc, external_id, email_lc, active, created_at, updated_at, doc`
	rawDoc   = `{"emails":[{"primary":true,"type":"work","value":"%[1]s@example.com"}],"name":{"familyName":"Family%[2]d","givenName":"Given%[2]d"},` +
		`"phoneNumbers":[{"primary":true,"type":"work","value":"+49 30 %[2]d"}],"title":"Engineer",` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Department %[3]d","employeeNumber":"E%[2]d","manager":{"value":"%[4]s"}},"userName":"%[1]s"}`
	rawOrg = 1
)

func rawPerson(i int, manager store.UserID) (name, doc string) {
	name = fmt.Sprintf("person%d", i)
	return name, fmt.Sprintf(rawDoc, name, i, i%50, manager)
}

// raw runs the loop in a place of its own beside the database at url.
func raw(b *testing.B, url string, n int) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		rawSQLite(b, filepath.Join(filepath.Dir(path), "raw.db"), n)
		return
	}
	rawPostgres(b, url, n)
}

const rawPostgresTables = `CREATE SCHEMA raw;
	CREATE TABLE raw.users(org_id bigint, id uuid, user_name text NOT NULL, user_name_lc text COLLATE "C" NOT NULL, external_id text COLLATE "C", email_lc text COLLATE "C",
		active boolean NOT NULL, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
		doc jsonb NOT NULL, PRIMARY KEY(org_id, id)) WITH (fillfactor = 90, autovacuum_enabled = off);
	CREATE UNIQUE INDEX ON raw.users(org_id, user_name_lc);
	CREATE INDEX ON raw.users(org_id, external_id) WHERE external_id IS NOT NULL;
	CREATE INDEX ON raw.users(org_id, email_lc);
	CREATE TABLE raw.audit_events(org_id bigint, id uuid, at timestamptz NOT NULL, actor text, action text, target text, detail jsonb, PRIMARY KEY(org_id, id)) WITH (autovacuum_enabled = off);
	CREATE TABLE raw.outbox(org_id bigint, id uuid, at timestamptz NOT NULL, topic text, payload jsonb, PRIMARY KEY(org_id, id)) WITH (autovacuum_enabled = off)`

// rawPostgres is "CopyIn to temp table, then one INSERT ON CONFLICT DO NOTHING + audit +
// outbox" in one transaction, the loop that the goal of 23,700 rows a second comes from. Its
// rows are not vacuumed: that would take a processor of the two while the import runs.
func rawPostgres(b *testing.B, url string, n int) {
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	db, err := sql.Open("postgres", url)
	must(err)
	b.Cleanup(func() { db.Close() }) // its processor time counts as long as it is there
	_, err = db.Exec(rawPostgresTables)
	must(err)
	tx, err := db.Begin()
	must(err)
	defer tx.Rollback()
	_, err = tx.Exec("CREATE TEMP TABLE stage (LIKE raw.users, told uuid, sent uuid) ON COMMIT DROP; ALTER TABLE stage ALTER version DROP NOT NULL")
	must(err)
	in, err := tx.Prepare("COPY stage (" + rawUsers + ", told, sent) FROM STDIN")
	must(err)
	manager := store.NewID[store.User]()
	for i := range n {
		name, doc := rawPerson(i, manager)
		now := time.Now()
		_, err := in.Exec(rawOrg, string(store.NewID[store.User]()), name, name, nil, name+"@example.com", true, now, now, doc, string(store.NewID[store.Activity]()), string(store.NewID[store.Activity]()))
		must(err)
	}
	_, err = in.Exec()
	must(err)
	must(in.Close())
	done, err := tx.Exec(`WITH made AS (INSERT INTO raw.users (` + rawUsers + `) SELECT ` + rawUsers + ` FROM stage ON CONFLICT DO NOTHING RETURNING org_id, id),
		new AS (SELECT s.org_id, s.id, s.told, s.sent, s.created_at, jsonb_build_object('source', 'csv', 'status', 'active', 'after', s.doc) AS what FROM made JOIN stage s USING (org_id, id)),
		audit AS (INSERT INTO raw.audit_events (org_id, id, at, actor, action, target, detail) SELECT org_id, told, created_at, 'admin@example.com', 'user.create', CAST(id AS text), what FROM new)
		INSERT INTO raw.outbox (org_id, id, at, topic, payload) SELECT org_id, sent, created_at, 'user.create', what FROM new`)
	must(err)
	if rows, err := done.RowsAffected(); err != nil || rows != int64(n) {
		b.Fatal(rows, err)
	}
	must(tx.Commit())
}

const rawSQLiteTables = `CREATE TABLE users(org_id INTEGER NOT NULL, id TEXT NOT NULL, user_name TEXT NOT NULL, user_name_lc TEXT NOT NULL, external_id TEXT, email_lc TEXT,
		active INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, doc TEXT NOT NULL, UNIQUE(org_id, id)) STRICT;
	CREATE UNIQUE INDEX users_name ON users(org_id, user_name_lc);
	CREATE INDEX users_external ON users(org_id, external_id) WHERE external_id IS NOT NULL;
	CREATE INDEX users_email ON users(org_id, email_lc);
	CREATE TABLE audit_events(org_id INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, actor TEXT, action TEXT, target TEXT, detail TEXT, UNIQUE(org_id, id)) STRICT;
	CREATE TABLE outbox(org_id INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, topic TEXT, payload TEXT, UNIQUE(org_id, id)) STRICT`

// rawSQLite is "prepared row by row" in one transaction: many rows in a statement gain
// nothing there. The document's figure is of users alone; the rows of audit and outbox are
// written here as they are on PostgreSQL.
func rawSQLite(b *testing.B, path string, n int) {
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-65536)&_txlock=immediate")
	must(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(rawSQLiteTables)
	must(err)
	tx, err := db.Begin()
	must(err)
	defer tx.Rollback()
	var statements [3]*sql.Stmt
	for i, query := range []string{
		"INSERT INTO users (" + rawUsers + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		"INSERT INTO audit_events (org_id, id, at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		"INSERT INTO outbox (org_id, id, at, topic, payload) VALUES (?, ?, ?, ?, ?)",
	} {
		statements[i], err = tx.Prepare(query)
		must(err)
	}
	manager := store.NewID[store.User]()
	for i := range n {
		name, doc := rawPerson(i, manager)
		id, now := string(store.NewID[store.User]()), time.Now().UnixMilli()
		what := `{"source":"csv","status":"active","after":` + doc + `}`
		_, err := statements[0].Exec(rawOrg, id, name, name, nil, name+"@example.com", true, now, now, doc)
		must(err)
		_, err = statements[1].Exec(rawOrg, string(store.NewID[store.Activity]()), now, "admin@example.com", "user.create", id, what)
		must(err)
		_, err = statements[2].Exec(rawOrg, string(store.NewID[store.Activity]()), now, "user.create", what)
		must(err)
	}
	must(tx.Commit())
}
