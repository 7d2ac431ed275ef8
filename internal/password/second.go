package password

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

func secondKey(org store.OrgID, user store.UserID) string {
	return "second:" + string(org) + string(user)
}

// MayTry counts an attempt at what is asked beside or instead of a password at a
// sign-in (a recovery code, the password once more), for the account and for the
// network address, before it is looked at. Faults: TooMany.
func (s *Store) MayTry(ctx context.Context, org store.OrgID, user store.UserID, ip string) error {
	return s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		if ip != "" {
			if err := note(tx, ipKey(ip), freeFromIP); err != nil {
				return err
			}
		}
		return note(tx, secondKey(org, user), freeAttempts)
	})
}

// Passed forgets the attempts of MayTry, in the transaction that let the person in.
func (s *Store) Passed(tx *store.Tx, user store.UserID, ip string) error {
	if ip != "" {
		if _, err := tx.Exec(giveBack, ipKey(ip)); err != nil {
			return err
		}
	}
	_, err := tx.Exec("DELETE FROM signin_attempts WHERE subject = ?", secondKey(tx.Org(), user))
	return err
}

// Confirm tells whether password is the person's, after counting the attempt. It is
// for somebody who is signed in and proves it once more. Faults: TooMany,
// Unavailable, Invalid on "password" (it is not).
func (s *Store) Confirm(ctx context.Context, org store.OrgID, user store.UserID, password, ip string) error {
	if len(password) > maxBytes {
		return notYours()
	}
	if err := s.MayTry(ctx, org, user, ip); err != nil {
		return err
	}
	ok, err := s.Is(ctx, org, user, password)
	if err != nil {
		return err
	}
	if !ok {
		return notYours()
	}
	return s.opts.DB.Write(ctx, access.Muster(string(org)), func(tx *store.Tx) error { return s.Passed(tx, user, ip) })
}

func notYours() error { return fault.Invalid.On("password", "That is not your password.") }

// MayTryFrom counts an attempt of somebody who has not said who they are (a passkey), for
// the network address alone. Faults: TooMany.
func (s *Store) MayTryFrom(ctx context.Context, ip string) error {
	if ip == "" {
		return nil
	}
	return s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error { return note(tx, ipKey(ip), freeFromIP) })
}

// PassedFrom takes an attempt of MayTryFrom back, in the transaction that let the person in.
func (s *Store) PassedFrom(tx *store.Tx, ip string) error {
	if ip == "" {
		return nil
	}
	_, err := tx.Exec(giveBack, ipKey(ip))
	return err
}

// MayRecord tells whether one more refused sign-in from there is to be written down.
func (s *Store) MayRecord(ip string) bool { return s.opts.MayRecord == nil || s.opts.MayRecord(ip) }
