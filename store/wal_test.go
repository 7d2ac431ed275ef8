package store

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
)

// TestTheLogBeginsAnew: while the writer goes on without a pause, and after somebody has read
// what is old for long.
func TestTheLogBeginsAnew(t *testing.T) {
	t.Parallel()
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "m.db")
	db, err := Open(ctx, Options{URL: "sqlite:" + path, NoSync: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const anew = 200
	write := func(query string, args ...any) {
		t.Helper()
		if err := db.Write(ctx, access.Muster(""), func(tx *Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(pages int) {
		t.Helper()
		for range pages / 10 {
			write("INSERT INTO filled (what) VALUES (randomblob(?))", 10*4000)
		}
	}
	other, err := sqlx.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	pages := func() (p walPages) {
		t.Helper()
		if err := other.Get(&p, countPages); err != nil {
			t.Fatal(err)
		}
		return p
	}
	limit := func(l walLimits) { // in the writer's goroutine
		if err := db.Write(ctx, access.Muster(""), func(tx *Tx) error { db.write.wal.limit = l; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	limit(walLimits{pass: anew / 4, anew: anew})
	write("CREATE TABLE filled (what BLOB)")
	fill(20 * anew)
	if p := pages(); p.All > 5*anew {
		t.Errorf("the log has %d pages", p.All)
	}
	if f, err := os.Stat(path); err != nil || f.Size() < 15*anew*4096 {
		t.Errorf("the file: %+v, %v", f, err)
	}

	reader, err := other.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	var n, still int
	if err := reader.Get(&n, "SELECT COUNT(*) FROM filled"); err != nil {
		t.Fatal(err)
	}
	fill(10 * anew)
	if err := reader.Get(&still, "SELECT COUNT(*) FROM filled"); err != nil || still != n || n != 2*anew {
		t.Errorf("a reader sees %d, and then %d: %v", n, still, err)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if p := pages(); p.All < 5*anew {
		t.Errorf("the log has %d pages, though somebody read what they changed", p.All)
	}
	fill(20 * anew)
	if p := pages(); p.All > 5*anew {
		t.Errorf("the log still has %d pages", p.All)
	}

	limit(walLimits{pass: anew / 4, anew: 1000 * anew})
	fill(4 * anew)
	if err := db.Close(); err != nil { // by the last connection, it would put all into the file
		t.Fatal(err)
	}
	if p := pages(); p.All-p.Done > anew {
		t.Errorf("of %d pages, %d are in the file: the other connection did nothing", p.All, p.Done)
	}
	if err := other.Get(&n, "SELECT COUNT(*) FROM filled WHERE length(what) = 40000"); err != nil || n != 54*anew/10 {
		t.Errorf("%d rows, %v", n, err)
	}
}
