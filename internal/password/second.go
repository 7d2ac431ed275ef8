package password

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// What is asked beside or instead of a password is counted as passwords are: for the
// account, for its address, which one person may have in several organizations, and for
// the network. Passkeys apart from codes: whose one is, is only claimed.
const (
	second  = "second"
	passkey = "passkey"
)

// freeForAddress is how many attempts an address has, over all organizations.
const freeForAddress = 2 * freeAttempts

// trySubjects are what an attempt is counted for besides the network. Somebody who is not
// there costs the same.
func trySubjects(tx *store.Tx, what string, org store.OrgID, user store.UserID) (address, account string, err error) {
	account = what + ":" + string(org) + string(user)
	var key string
	err = tx.Get(&key, "SELECT email_key FROM users WHERE org_id = ? AND id = ?", org, user)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if key == "" {
		key = account
	}
	return what + "-address:" + secret.Hash(key), account, err
}

func (s *Store) mayTry(ctx context.Context, what string, org store.OrgID, user store.UserID, ip string) error {
	return s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		if ip != "" {
			if err := note(tx, ipKey(ip), freeFromIP); err != nil {
				return err
			}
		}
		address, account, err := trySubjects(tx, what, org, user)
		if err == nil {
			err = note(tx, address, freeForAddress)
		}
		if err == nil {
			err = note(tx, account, freeAttempts)
		}
		return err
	})
}

// passed forgets the attempts of the account. Its address and the network get this one
// back only: somebody with an account of the same address elsewhere must not clear them.
func (s *Store) passed(tx *store.Tx, what string, user store.UserID, ip string) error {
	address, account, err := trySubjects(tx, what, tx.Org(), user)
	if err != nil {
		return err
	}
	if ip != "" {
		if _, err := tx.Exec(giveBack, ipKey(ip)); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(giveBack, address); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM signin_attempts WHERE subject = ?", account)
	return err
}

// MayTry counts an attempt at what is asked beside or instead of a password at a
// sign-in (a recovery code, the password once more), for the account, its address and the
// network, before it is looked at. Faults: TooMany.
func (s *Store) MayTry(ctx context.Context, org store.OrgID, user store.UserID, ip string) error {
	return s.mayTry(ctx, second, org, user, ip)
}

// Passed forgets the attempts of MayTry, in the transaction that let the person in.
func (s *Store) Passed(tx *store.Tx, user store.UserID, ip string) error {
	return s.passed(tx, second, user, ip)
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
// the network alone. Faults: TooMany.
func (s *Store) MayTryFrom(ctx context.Context, ip string) error {
	if ip == "" {
		return nil
	}
	return s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error { return note(tx, ipKey(ip), freeFromIP) })
}

// MayTryPasskey counts the same attempt for the account that the passkey claims to be of,
// and its address. Faults: TooMany.
func (s *Store) MayTryPasskey(ctx context.Context, org store.OrgID, user store.UserID) error {
	return s.mayTry(ctx, passkey, org, user, "")
}

// PassedPasskey is Passed for MayTryFrom and MayTryPasskey.
func (s *Store) PassedPasskey(tx *store.Tx, user store.UserID, ip string) error {
	return s.passed(tx, passkey, user, ip)
}

// MayRecord tells whether one more refused sign-in from there is to be written down.
func (s *Store) MayRecord(ip string) bool { return s.opts.MayRecord == nil || s.opts.MayRecord(ip) }
