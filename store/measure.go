package store

import "context"

// Measure tells how many bytes the database has, and how many migrations it went through.
func (db *DB) Measure(ctx context.Context) (bytes int64, migrations int, err error) {
	size := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if db.d == &postgres {
		size = "SELECT pg_database_size(current_database())"
	}
	if err := db.sql.GetContext(ctx, &bytes, size); err != nil {
		return 0, 0, classify(err)
	}
	err = db.sql.GetContext(ctx, &migrations, "SELECT COUNT(DISTINCT version_id) FROM goose_db_version WHERE version_id > 0")
	return bytes, migrations, classify(err)
}
