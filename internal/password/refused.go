package password

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Refused is a sign-in that was turned down. Whoever tried reads the same whatever the
// reason is; the reference finds the reason.
type Refused struct {
	Reference string
	Err       error // what may be shown
}

func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap gives the fault.
func (r *Refused) Unwrap() error { return r.Err }

// reason is why, for an administrator. What to change stands beside the names of the
// checks, in package sso.
type reason struct{ check, why, expected, got string }

const fewWrong = "at most a few wrong passwords in an hour"

var (
	wrongPassword = reason{"password", "wrong password", "the account's password", "another text"}
	accountLocked = reason{"locked", "The account waits after too many wrong passwords.", fewWrong, "more; the password was not looked at"}
	addressLocked = reason{"locked", "The address typed, or the network that it came from, waits after too many wrong passwords.", fewWrong, "more; the password was not looked at"}
	notActive     = reason{"account status", "The account is deactivated.", "an active account", "a deactivated one"}
	lapsed        = reason{"temporary password", "The temporary password has ended.", "a password that still works", "one that an administrator set more than seven days ago"}
	noPassword    = reason{"no password", "The account has no password.", "an account with a password", "one without"}
	unknown       = reason{"unknown address", "Nobody has this address or user name here.", "the address or user name of somebody who is here", "another text"}
	tooLong       = reason{"unknown address", "The address or the password is longer than any can be.", "the address or user name of somebody who is here", "a text that was not looked up"}
)

// reason is why an account was not signed in to; open are those whose password was
// looked at.
func (c candidate) reason(open []candidate) reason {
	for _, o := range open {
		if o.User == c.User {
			return wrongPassword
		}
	}
	switch {
	case c.User == "":
		return unknown
	case c.usable():
		return accountLocked
	case c.Status == store.Deactivated:
		return notActive
	case c.Lapsed:
		return lapsed
	}
	return noPassword
}

// refused records the failure where an administrator looks for it: with each person
// whom the address may mean; when there is none, with the organization on whose page
// it was, or for the operator. What was typed is not kept: people type passwords into
// that field. Known and unknown addresses cost the same, so whether there is a row must
// not depend on whose it is. why may be asked about nobody.
func (s *Store) refused(ctx context.Context, try Try, found []candidate, why func(candidate) reason, err error) error {
	no := &Refused{Reference: secret.NewReference(), Err: err}
	if !s.MayRecord(try.Actor.IP) {
		s.opts.Log.WarnContext(ctx, "refused sign-in not written down: too many", "reference", no.Reference, "request_id", try.Actor.Request)
		return no
	}
	if len(found) == 0 {
		org := try.Org
		if org == "" {
			org = store.NoOrg
		}
		return firstOf(s.record(ctx, try.Actor, org, why(candidate{}).row(no.Reference)), no)
	}
	for _, c := range found {
		row := why(c).row(no.Reference)
		row.TargetKind, row.TargetID, row.TargetName = "user", string(c.User), c.Name
		if err := s.record(ctx, try.Actor, c.Org, row); err != nil {
			return err
		}
	}
	return no
}

// always is one reason for everybody.
func (r reason) always(candidate) reason { return r }

func (r reason) row(reference string) store.Activity {
	return store.Activity{Action: "user.signin.refused", Detail: map[string]any{"reference": reference, "method": "password",
		"check": r.check, "why": r.why, "expected": r.expected, "got": r.got}}
}

func (s *Store) record(ctx context.Context, actor access.Actor, org store.OrgID, row store.Activity) error {
	actor.Org = string(org)
	return s.opts.DB.Write(ctx, actor, func(tx *store.Tx) error { return tx.Record(row) })
}
