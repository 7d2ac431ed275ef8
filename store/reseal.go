package store

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
)

// Sealed is a kind of values that the server's key seals, of all organizations.
type Sealed struct {
	What string
	// Page reads at most limit of them behind one, by organization, Of and ID.
	Page func(ctx context.Context, db *DB, after SealedValue, limit int) ([]SealedValue, error)
	// Place is what they are sealed as.
	Place func(v SealedValue) string
	// Put stores fresh instead of v.Sealed, unless something else is there by now.
	Put func(tx *Tx, v SealedValue, fresh []byte) error
}

// SealedValue is one of them; Of is what it belongs to, where that is a part of its key.
type SealedValue struct {
	Org    OrgID           `db:"org_id"`
	Of     ID[SealedValue] `db:"of_id"`
	ID     ID[SealedValue] `db:"id"`
	Sealed []byte          `db:"sealed"`
}

// SealedCount is how many values of a kind are sealed with what.
type SealedCount struct {
	What  string `json:"what"`
	Newer int    `json:"newest"` // with the key that seals
	Older int    `json:"older"`  // with one from before
	Lost  int    `json:"lost"`   // with a key that is not known, or damaged
}

const resealed = 200 // values of one page

// Reseal walks through the values of a kind and counts, by what they were sealed with. With
// change those of older keys are sealed with the newest one, page by page: after a crash, or
// beside another who does the same, the rest is done by the next walk.
func (db *DB) Reseal(ctx context.Context, key secret.Key, s Sealed, change bool) (n SealedCount, err error) {
	const first = "00000000000000000000000000000000"
	n.What = s.What
	at := SealedValue{Org: first, Of: first, ID: first}
	for {
		list, err := s.Page(ctx, db, at, resealed)
		if err != nil {
			return n, err
		}
		fresh := map[OrgID][]resealing{}
		for _, v := range list {
			switch text, err := key.Reseal(s.Place(v), v.Sealed); {
			case err != nil:
				n.Lost++
			case text == nil:
				n.Newer++
			default:
				n.Older++
				if change {
					fresh[v.Org] = append(fresh[v.Org], resealing{v, text})
				}
			}
		}
		for org, values := range fresh {
			if err := db.Write(ctx, access.Muster(string(org)), func(tx *Tx) error {
				for _, v := range values {
					if err := s.Put(tx, v.SealedValue, v.fresh); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return n, err
			}
		}
		if len(list) < resealed {
			return n, nil
		}
		at = list[len(list)-1]
	}
}

type resealing struct {
	SealedValue
	fresh []byte
}
