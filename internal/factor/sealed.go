package factor

import (
	"context"

	"github.com/muster-id/muster/store"
)

// Sealed are the values of this package that the server's key seals.
func Sealed() []store.Sealed {
	return []store.Sealed{{What: "authenticator apps", Page: sealedSeeds, Place: func(v store.SealedValue) string { return seedPlace(v.Org, store.UserID(v.ID)) },
		Put: func(tx *store.Tx, v store.SealedValue, fresh []byte) error {
			_, err := tx.Exec("UPDATE authenticators SET seed = ? WHERE org_id = ? AND user_id = ? AND seed = ?", fresh, tx.Org(), v.ID, v.Sealed)
			return err
		}}}
}

func sealedSeeds(ctx context.Context, db *store.DB, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	return list, db.LookupAll(ctx, &list, "SELECT org_id, org_id AS of_id, user_id AS id, seed AS sealed FROM authenticators WHERE (org_id, user_id) > (?, ?) ORDER BY org_id, user_id LIMIT ?",
		after.Org, after.ID, limit)
}
