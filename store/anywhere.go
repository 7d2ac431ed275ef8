package store

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Found is a person of some organization.
type Found struct {
	Org     OrgID  `db:"org_id"`
	Slug    string `db:"slug"`
	OrgName string `db:"org_name"`
	ID      UserID `db:"id"`
	Name    string `db:"display_name"`
	Login   string `db:"user_name"`
	Email   string `db:"email"`
	Status  Status `db:"status"`
	Source  Source `db:"source"`
}

const peopleAnywhere = `SELECT u.org_id, o.slug, o.name AS org_name, u.id, u.display_name, u.user_name, u.email, u.status, u.source
	FROM (SELECT org_id, id FROM users WHERE email_key = ? AND deleted_at = 0
		UNION SELECT org_id, id FROM users WHERE user_name_key = ? AND deleted_at = 0) AS found
	JOIN users u ON u.org_id = found.org_id AND u.id = found.id JOIN orgs o ON o.id = u.org_id ORDER BY o.name_key, o.id, u.id LIMIT 201`

// PeopleAnywhere are those of all organizations who have this address or user name. That it
// was asked is on record with the server itself. Faults: Denied, Invalid on "q".
func (db *DB) PeopleAnywhere(ctx context.Context, actor access.Actor, address string) ([]Found, error) {
	if !actor.May(access.Operate) {
		return nil, fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	if address == "" {
		return nil, fault.Invalid.On("q", "Enter a whole address or user name.")
	}
	if err := checkText("q", address, 320); err != nil {
		return nil, err
	}
	err := db.Write(ctx, actor.In(string(NoOrg)), func(tx *Tx) error {
		return tx.Record(Activity{Action: "operator.search", TargetKind: "person", TargetName: address})
	})
	if err != nil {
		return nil, err
	}
	list := []Found{}
	return list, db.LookupAll(ctx, &list, peopleAnywhere, Fold(address), Fold(address))
}
