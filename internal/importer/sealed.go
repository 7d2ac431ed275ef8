package importer

import (
	"context"

	"github.com/muster-id/muster/store"
)

// Sealed are the values of this package that the server's key seals.
func Sealed() []store.Sealed {
	return []store.Sealed{{What: "passwords and keys of feeds", Page: sealedFeeds, Place: func(v store.SealedValue) string { return secretName(v.Org, FeedID(v.ID)) },
		Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
			_, err := tx.Exec("UPDATE import_feeds SET secret = ? WHERE org_id = ? AND id = ? AND secret = ?", fresh, tx.Org(), v.ID, v.Sealed)
			return err
		}}}
}

func sealedFeeds(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, org_id AS of_id, id, secret AS sealed FROM import_feeds WHERE (org_id, id) > (?, ?) AND secret IS NOT NULL ORDER BY org_id, id LIMIT ?",
		after.Org, after.ID, limit)
}
