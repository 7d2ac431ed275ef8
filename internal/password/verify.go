package password

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Try is what somebody typed at a sign-in.
type Try struct {
	Org      store.OrgID // only here; anywhere when empty
	Address  string      // e-mail address or user name
	Password string
	Actor    access.Actor // nobody, with the address that the request came from
}

// Account is a person whose password it was.
type Account struct {
	Org     store.OrgID
	Slug    string
	OrgName string
	User    store.UserID
	Name    string
	SetAt   store.Time // since when this is the password; see Unchanged
}

// The lock-out. Each further attempt doubles the wait.
const (
	freeAttempts = 5  // for an address and for an account
	freeFromIP   = 50 // an office shares one network address
	firstLock    = time.Minute
	longestLock  = 15 * time.Minute
	forgetAfter  = time.Hour // without any attempt
	maxAccounts  = 8         // with the same address; each costs a hash
)

// Verify finds the active accounts that the address and the password belong to:
// usually one, several when a person belongs to several organizations. Faults:
// Invalid (no match, whatever the reason) and TooMany (locked), each a *Refused;
// Unavailable.
func (s *Store) Verify(ctx context.Context, try Try) ([]Account, error) {
	if len(try.Password) > maxBytes || len(try.Address) > 400 {
		return nil, s.refused(ctx, try, nil, tooLong.always, noMatch())
	}
	found, err := s.candidates(ctx, try)
	if err != nil {
		return nil, err
	}
	open, err := s.count(ctx, try, found)
	if fault.Is(err, fault.TooMany) {
		return nil, s.refused(ctx, try, found, addressLocked.always, err)
	}
	if err != nil {
		return nil, err
	}
	matched, err := s.check(ctx, try.Password, open)
	if err != nil {
		// The password was not looked at, so it was no attempt.
		return nil, firstOf(s.forget(ctx, try, open, giveBack), err)
	}
	if len(matched) == 0 {
		return nil, s.refused(ctx, try, found, func(c candidate) reason { return c.reason(open) }, noMatch())
	}
	// Only what has proved itself: somebody with an account of the same address in
	// another organization must not clear the failures of this one.
	if err := s.forget(ctx, try, matched, "DELETE FROM signin_attempts WHERE subject = ?"); err != nil {
		return nil, err
	}
	accounts := make([]Account, len(matched))
	for i, c := range matched {
		accounts[i] = c.Account()
	}
	return accounts, nil
}

func noMatch() error {
	return fault.Invalid.Say("This address and password do not match. Check both, or set a new password below.")
}

func (s *Store) candidates(ctx context.Context, try Try) (found []candidate, err error) {
	key := store.Fold(strings.TrimSpace(try.Address))
	if key == "" || strings.ContainsRune(key, 0) {
		return nil, nil
	}
	if try.Org != "" {
		err = s.opts.DB.LookupAll(ctx, &found, candidatesInOrg, try.Org, key, key, maxAccounts)
	} else {
		err = s.opts.DB.LookupAll(ctx, &found, candidatesAnywhere, key, key, maxAccounts)
	}
	now := store.TimeOf(s.opts.DB.Now())
	for i := range found {
		found[i].Lapsed = found[i].Until != 0 && found[i].Until <= now
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(string(a.User), string(b.User)) })
	return found, err
}

// check hashes at least once, so that an unknown address takes as long as a known one.
func (s *Store) check(ctx context.Context, password string, found []candidate) (matched []candidate, err error) {
	if len(found) == 0 {
		dummy, err := s.dummy()
		if err != nil {
			return nil, err
		}
		_, _, err = s.compare(ctx, password, dummy)
		return nil, err
	}
	for _, c := range found {
		ok, weak, err := s.compare(ctx, password, c.Hash)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		matched = append(matched, c)
		if weak {
			s.renew(ctx, c, password)
		}
	}
	return matched, nil
}

// renew hashes again at today's cost. It may fail: the next sign-in tries again.
func (s *Store) renew(ctx context.Context, c candidate, password string) {
	h, err := s.Hash(ctx, password)
	if err == nil {
		err = s.opts.DB.Write(ctx, access.Muster(string(c.Org)), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE credentials SET hash = ? WHERE org_id = ? AND user_id = ? AND hash = ?", string(h), tx.Org(), c.User, c.Hash)
			return err
		})
	}
	if err != nil {
		s.opts.Log.WarnContext(ctx, "password hash not renewed", "user", c.User, "error", err)
	}
}

// What attempts are counted for. The address is hashed: people type passwords
// into that field.
func addressKey(address string) string {
	return "address:" + secret.Hash(store.Fold(strings.TrimSpace(address)))
}

// nobodysKey stands for the account where there is none, so that an address without
// one costs the same work.
func nobodysKey(address string) string { return "nobody:" + addressKey(address) }

func accountKey(org store.OrgID, user store.UserID) string {
	return "account:" + string(org) + string(user)
}

// Locked are the people at whose account too many passwords were tried, as long as no more
// are taken.
func Locked(tx *store.Tx) store.PeopleSet {
	begin := accountKey(tx.Org(), "")
	return store.PeopleSet{IDs: fmt.Sprintf("SELECT CAST(substr(a.subject, %d) AS {{id}}) AS id FROM signin_attempts a WHERE a.subject >= ? AND a.subject < ? AND a.locked_until > ?", len(begin)+1),
		Args: []any{begin, begin + "g", tx.Now()}}
}

// ipKey is one customer of a network: an IPv6 one has 2^64 addresses to guess from.
func ipKey(ip string) string {
	if a, err := netip.ParseAddr(ip); err == nil && a.Is6() && !a.Is4In6() {
		if network, err := a.WithZone("").Prefix(64); err == nil {
			ip = network.String()
		}
	}
	return "ip:" + ip
}

// count notes an attempt for the address, for the network address and for each
// account, and gives back those that can be signed in to now. A locked address is
// refused; then nothing is noted, so that asking again does not make the wait longer.
func (s *Store) count(ctx context.Context, try Try, found []candidate) (open []candidate, err error) {
	err = s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		open = nil
		if err := note(tx, addressKey(try.Address), freeAttempts); err != nil {
			return err
		}
		if try.Actor.IP != "" {
			if err := note(tx, ipKey(try.Actor.IP), freeFromIP); err != nil {
				return err
			}
		}
		usable := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return !c.usable() })
		if len(usable) == 0 {
			if err := note(tx, nobodysKey(try.Address), freeAttempts); err != nil && !fault.Is(err, fault.TooMany) {
				return err
			}
		}
		for _, c := range usable { // in the order of their ids: two attempts never wait for each other
			err := note(tx, accountKey(c.Org, c.User), freeAttempts)
			if fault.Is(err, fault.TooMany) {
				continue
			}
			if err != nil {
				return err
			}
			open = append(open, c)
		}
		return nil
	})
	return open, err
}

// note counts one attempt at a sign-in. Faults: TooMany.
func note(tx *store.Tx, subject string, free int) error {
	wait, err := attempt(tx, subject, free)
	if err != nil || wait == 0 {
		return err
	}
	return fault.TooMany.Say("There were too many attempts. Wait %s, then try again, or set a new password.", inMinutes(wait))
}

// attempt counts one and locks the subject when it was one too many. It tells how long
// the subject is locked already; 0 when it was not.
func attempt(tx *store.Tx, subject string, free int) (wait time.Duration, err error) {
	now := tx.Now()
	var attempts int
	err = tx.Get(&attempts, countAttempt, subject, now, now.Add(-forgetAfter), now)
	if fault.Is(err, fault.NotFound) { // the update's condition: it is locked
		var until store.Time
		if err := tx.Get(&until, "SELECT locked_until FROM signin_attempts WHERE subject = ?", subject); err != nil {
			return 0, err
		}
		return until.Time().Sub(now.Time()), nil
	}
	if err != nil || attempts < free {
		return 0, err
	}
	_, err = tx.Exec("UPDATE signin_attempts SET locked_until = ? WHERE subject = ?", now.Add(lockFor(attempts-free)), subject)
	return 0, err
}

func lockFor(over int) time.Duration {
	if over > 10 {
		return longestLock
	}
	return min(firstLock<<over, longestLock)
}

func inMinutes(wait time.Duration) fault.Some {
	return fault.Count(int((wait+time.Minute-1)/time.Minute), "%d minute", "%d minutes")
}

const giveBack = "UPDATE signin_attempts SET attempts = attempts - 1, locked_until = 0 WHERE subject = ? AND attempts > 0"

// forget runs query for the address and the accounts; the network address only
// gets this attempt back.
func (s *Store) forget(ctx context.Context, try Try, accounts []candidate, query string) error {
	return s.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
		if _, err := tx.Exec(query, addressKey(try.Address)); err != nil {
			return err
		}
		if try.Actor.IP != "" {
			if _, err := tx.Exec(giveBack, ipKey(try.Actor.IP)); err != nil {
				return err
			}
		}
		var keys []string
		for _, c := range accounts {
			keys = append(keys, accountKey(c.Org, c.User))
		}
		if len(keys) == 0 {
			keys = append(keys, nobodysKey(try.Address))
		}
		for _, key := range keys {
			if _, err := tx.Exec(query, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Unlock forgets the failures of one account and of the names it may be called
// by, after its password was set anew with a link from its mailbox.
func (s *Store) Unlock(tx *store.Tx, user store.UserID, names ...string) error {
	keys := []string{accountKey(tx.Org(), user)}
	for _, name := range names {
		keys = append(keys, addressKey(name))
	}
	slices.Sort(keys) // one order for all
	for _, key := range keys {
		if _, err := tx.Exec("DELETE FROM signin_attempts WHERE subject = ?", key); err != nil {
			return err
		}
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Sweep forgets old attempts.
func (s *Store) Sweep(ctx context.Context) error {
	_, err := s.opts.DB.Sweep(ctx, "DELETE FROM signin_attempts WHERE last_at < ?", store.TimeOf(s.opts.DB.Now().Add(-24*time.Hour)))
	return err
}

// Run sweeps until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	store.Every(ctx, s.opts.Log, time.Hour, nil, "sweep sign-in attempts", s.Sweep)
	return nil
}
