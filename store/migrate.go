package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/muster-id/muster/internal/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrate brings the database to this version's tables, if it is not there yet.
// Several that start at once end well: on PostgreSQL they wait for one another
// (advisory lock); on SQLite one of two that begin the same migration fails with
// nothing changed, looks again, and finds it done.
func (db *DB) Migrate(ctx context.Context) error {
	var err error
	for try := range 50 {
		if db.migrated(ctx) == nil {
			return nil
		}
		if err = db.up(ctx); err == nil || db.write == nil {
			return err
		}
		pause := time.NewTimer(time.Duration(try) * 5 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return err
}

func (db *DB) up(ctx context.Context) error {
	pool := db.sql
	if db.write != nil {
		// The writer holds its connection; migrations get one of their own.
		var err error
		if pool, err = db.write.second(); err != nil {
			return err
		}
		defer pool.Close()
	}
	p, err := db.provider(pool)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", classify(err))
	}
	return nil
}

// migrated refuses with Unavailable when a migration is missing. It counts, because
// one with a lower number can come later, from a branch.
func (db *DB) migrated(ctx context.Context) error {
	p, err := db.provider(db.sql)
	if err != nil {
		return err
	}
	want, have := len(p.ListSources()), 0
	err = db.sql.GetContext(ctx, &have, "SELECT COUNT(DISTINCT version_id) FROM goose_db_version WHERE version_id > 0")
	if err != nil || have < want {
		return fault.Unavailable.Wrap(err, "The database has %d of the %d changes that this program needs. Run `muster migrate`.", have, want)
	}
	return nil
}

// provider runs our files through goose, the words filled in.
func (db *DB) provider(pool *sqlx.DB) (*goose.Provider, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		up := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, db.d.migrating+db.d.words.Replace(string(text)))
			return err
		}}
		list = append(list, goose.NewGoMigration(version, up, nil))
	}
	opts := []goose.ProviderOption{goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true)}
	if db.d == &postgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(goose.Dialect(db.d.goose), pool.DB, nil, opts...)
}
