package password

import (
	"context"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Known is an active person whom an address or user name means, for "forgot my
// password". Never show it to whoever typed the address.
type Known struct {
	Org         store.OrgID  `db:"org_id"`
	Slug        string       `db:"slug"`
	OrgName     string       `db:"org_name"`
	User        store.UserID `db:"user_id"`
	Name        string       `db:"display_name"`
	Email       string       `db:"email"`
	Source      store.Source `db:"source"`
	Managed     bool         `db:"managed"` // by a directory
	HasPassword bool         `db:"has_password"`
}

// Known finds the people behind an address, in every organization.
func (s *Store) Known(ctx context.Context, address string) (list []Known, err error) {
	key := store.Fold(strings.TrimSpace(address))
	if key == "" || len(key) > 400 || strings.ContainsRune(key, 0) {
		return nil, nil
	}
	return list, s.opts.DB.LookupAll(ctx, &list, knownPeople, key, key, maxAccounts)
}

// How many mails one may ask for before waiting.
const (
	freeMails       = 3  // to one address
	freeMailsFromIP = 20 // from one network address
)

// MayMail counts a mail that somebody has asked for about one account, in the transaction
// that writes it, whatever name or address the account was called by: false, when there were
// too many.
func (s *Store) MayMail(tx *store.Tx, user store.UserID) (bool, error) {
	wait, err := attempt(tx, "mail-account:"+string(tx.Org())+string(user), freeMails)
	return err == nil && wait == 0, err
}

// MayAsk counts a request for a mail to an address. It tells false when there were
// too many for the address: then do nothing, and say nothing. Faults: TooMany when
// the network address asks for too many.
func (s *Store) MayAsk(ctx context.Context, address, ip string) (may bool, err error) {
	key := "mail:" + secret.Hash(store.Fold(strings.TrimSpace(address)))
	err = s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		if ip != "" {
			wait, err := attempt(tx, "mail-"+ipKey(ip), freeMailsFromIP)
			if err != nil {
				return err
			}
			if wait > 0 {
				return fault.TooMany.Say("Too many links were asked for from your network. Wait %s, then ask again.", inMinutes(wait))
			}
		}
		wait, err := attempt(tx, key, freeMails)
		may = wait == 0
		return err
	})
	return may, err
}
