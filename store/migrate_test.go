package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// types that a migration may use, as each database names them.
var sameType = map[string]string{
	"uuid": "id", "bigint": "int", "boolean": "bool", "bytea": "bytes", "jsonb": "json", "text": "text",
	"TEXT": "text", "INTEGER": "int", "BLOB": "bytes",
}

// One file serves both databases, so both must end with the same columns.
func TestBothDatabasesHaveTheSameColumns(t *testing.T) {
	t.Parallel()
	lite := columns(t, "sqlite", strings.TrimPrefix(storetest.SQLiteURL(t), "sqlite:"), `
		SELECT m.name, c.name, c.type, c."notnull" OR c.pk > 0 FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`)
	pg := columns(t, "postgres", storetest.PostgresURL(t), `
		SELECT table_name, column_name, data_type, is_nullable = 'NO' FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose_%'`)
	for name, want := range pg {
		got, ok := lite[name]
		if !ok {
			t.Errorf("%s is missing on SQLite", name)
			continue
		}
		// SQLite has no types of its own for these.
		if want.kind == "id" || want.kind == "json" {
			want.kind = "text"
		}
		if want.kind == "bool" {
			want.kind = "int"
		}
		if got != want {
			t.Errorf("%s: SQLite %+v, PostgreSQL %+v", name, got, want)
		}
	}
	for name := range lite {
		if _, ok := pg[name]; !ok {
			t.Errorf("%s is missing on PostgreSQL", name)
		}
	}
	if len(pg) < 50 {
		t.Errorf("only %d columns seen", len(pg))
	}
}

type column struct {
	kind    string
	notNull bool
}

func columns(t *testing.T, driver, dsn, query string) map[string]column {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	list := map[string]column{}
	for rows.Next() {
		var table, name, kind string
		var notNull bool
		if err := rows.Scan(&table, &name, &kind, &notNull); err != nil {
			t.Fatal(err)
		}
		if sameType[kind] == "" {
			t.Errorf("%s.%s has the type %s, which is none of the migration words", table, name, kind)
		}
		list[table+"."+name] = column{sameType[kind], notNull}
	}
	return list
}

// Every tenant table starts its primary key with org_id, so it can be distributed by it.
func TestTenantTablesLeadWithTheOrganization(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", strings.TrimPrefix(storetest.SQLiteURL(t), "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.pk = 1 AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	serverWide := []string{"orgs", "setups", "signin_attempts", "signin_choices", "used_challenges", // known before an organization is
		"servers", "server_keys", "doctor_runs"} // of no organization
	for rows.Next() {
		var table, first string
		if err := rows.Scan(&table, &first); err != nil {
			t.Fatal(err)
		}
		if first != "org_id" && !slices.Contains(serverWide, table) {
			t.Errorf("the primary key of %s starts with %s", table, first)
		}
	}
}

func TestReplicasMigrateTogether(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": "sqlite:" + t.TempDir() + "/new.db", "postgres": storetest.EmptyPostgresURL(t)} {
		t.Run(name, func(t *testing.T) { t.Parallel(); migrateTogether(t, url) })
	}
}

func migrateTogether(t *testing.T, url string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := store.Open(context.Background(), store.Options{URL: url, MaxConns: 3})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := db.Migrate(context.Background()); err != nil {
				t.Errorf("migrate: %v", err)
			}
			if err := db.Ready(context.Background()); err != nil {
				t.Errorf("ready: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestAnUnmigratedDatabaseIsNotReady(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": "sqlite:" + t.TempDir() + "/new.db", "postgres": storetest.EmptyPostgresURL(t)} {
		db, err := store.Open(context.Background(), store.Options{URL: url, MaxConns: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ready(context.Background()); !fault.Is(err, fault.Unavailable) || !strings.Contains(fmt.Sprint(err), "muster migrate") {
			t.Errorf("%s: %v", name, err)
		}
		db.Close()
	}
}

func TestAnyFileNameWillDo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "50% of #1?", "mustér 1.db")
	db, err := store.Open(context.Background(), store.Options{URL: "sqlite:" + file, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Migrate(context.Background()), db.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("the database is not in %s: %v", file, err)
	}
}

func TestAMigrationThatWasPassedOverIsMissed(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	raw, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("DELETE FROM goose_db_version WHERE version_id = 12"); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(context.Background(), store.Options{URL: url, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ready(context.Background()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("ready without migration 12: %v", err)
	}
}

func TestABadAddressIsExplained(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]fault.Kind{
		"":                      fault.Invalid,
		"mysql://localhost":     fault.Invalid,
		"sqlite:":               fault.Invalid,
		"sqlite:/dev/null/x.db": fault.Unavailable,
		"postgres://127.0.0.1:1/x?sslmode=disable": fault.Unavailable,
	} {
		if _, err := store.Open(context.Background(), store.Options{URL: url}); !fault.Is(err, want) {
			t.Errorf("%q: %v, want %v", url, err, want)
		}
	}
}

// TestWhatAnOlderVersionWroteStays: what was told of changes becomes text, and the results of jobs
// move into another table.
func TestWhatAnOlderVersionWroteStays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		ann := newUser(t, db, admin, "änn@example.com")
		write(t, db, admin, func(tx *store.Tx) error {
			before := []string{"DELETE FROM goose_db_version WHERE version_id IN (96, 97)"}
			if db.Dialect() != "sqlite" {
				before = append(before, "ALTER TABLE activity ALTER COLUMN detail TYPE jsonb USING CAST(detail AS jsonb)")
			}
			for _, query := range before {
				if _, err := tx.Exec(query); err != nil {
					return err
				}
			}
			_, err := tx.Exec("INSERT INTO job_results (org_id, job_id, n, state, did, target, name, why, undo) VALUES (?, ?, 7, 'failed', '', 'them', 'Name', 'why', '{}')", tx.Org(), store.NewID[store.User]())
			return err
		})
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		newUser(t, db, admin, "bob@example.com")
		err := db.Read(ctx, admin, func(tx *store.Tx) error {
			told, err := tx.Activities(store.ActivityQuery{Action: "user.create"})
			if len(told) != 2 || told[1].TargetID != string(ann.ID) || !strings.Contains(fmt.Sprint(told[1].Detail["after"]), "userName:änn@example.com") {
				t.Errorf("told: %+v", told)
			}
			var kept []string
			err = errors.Join(err, tx.Select(&kept, "SELECT target || name || why || undo FROM job_results WHERE org_id = ? AND n = 7 AND state = 'failed'", tx.Org()))
			if fmt.Sprint(kept) != "[themNamewhy{}]" {
				t.Errorf("results: %q", kept)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
