package password

import (
	"context"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// settingsName is where an organization's Rules are kept.
const settingsName = "passwords"

// Rules are what an organization asks of new passwords.
type Rules struct {
	MinLength  int  `json:"min_length"`  // characters
	Strength   int  `json:"strength"`    // zxcvbn's score, from 2 to 4
	Upper      bool `json:"upper"`       // at least one of each kind that is true
	Lower      bool `json:"lower"`       //
	Digit      bool `json:"digit"`       //
	Special    bool `json:"special"`     // neither a letter nor a digit; a blank is one
	History    int  `json:"history"`     // none of the last so many passwords; 0: any
	ExpireDays int  `json:"expire_days"` // after which a new one must be set; 0: never
}

// The bounds of what can be chosen.
const (
	ShortestMin  = 8
	LongestMin   = 64
	WeakestMin   = 2
	StrongestMin = 4
	LongestPast  = 10
	SoonestDays  = 30
	LatestDays   = 730
)

// DefaultRules are those of an organization that has chosen nothing: length and
// guessability, no kinds of characters, no end (NIST SP 800-63B §3.1.1.2).
func DefaultRules() Rules { return Rules{MinLength: 12, Strength: 3} }

// valid refuses what cannot be chosen, each field by itself.
func (r Rules) valid() error {
	var wrong []error
	between := func(field string, what fault.Some, low, high int) {
		if what.N < low || what.N > high {
			wrong = append(wrong, fault.Invalid.On(field, "%s cannot be chosen: it must be from %d to %d.", what, low, high))
		}
	}
	between("min_length", fault.Count(r.MinLength, "A length of %d character", "A length of %d characters"), ShortestMin, LongestMin)
	between("strength", fault.Count(r.Strength, "%d as strength", "%d as strength"), WeakestMin, StrongestMin)
	between("history", fault.Count(r.History, "%d earlier password", "%d earlier passwords"), 0, LongestPast)
	if r.ExpireDays != 0 {
		between("expire_days", fault.Count(r.ExpireDays, "%d day", "%d days"), SoonestDays, LatestDays)
	}
	return join(wrong)
}

// Rules are the organization's. The version is for SetRules.
func (s *Store) Rules(tx *store.Tx) (r Rules, version int64, err error) {
	r = DefaultRules()
	version, err = tx.OrgSetting(settingsName, &r)
	return r, version, err
}

// SetRules changes them, for passwords that are set from now on. Needs Write. Faults:
// Denied, Invalid on the field, Conflict (changed since version was read).
func (s *Store) SetRules(tx *store.Tx, r Rules, version int64) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	if err := r.valid(); err != nil {
		return err
	}
	return tx.SetOrgSetting(settingsName, r, version)
}

// RulesOf are an organization's rules, for whoever is about to set a password there.
func (s *Store) RulesOf(ctx context.Context, org store.OrgID) (r Rules, err error) {
	err = s.opts.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		r, _, err = s.Rules(tx)
		return err
	})
	return r, err
}

// Rule is one of them in words, for a list that is shown before somebody types. N
// belongs into Text where that has a verb.
type Rule struct {
	Text string
	N    int
}

// InWords are the rules as a list.
func (r Rules) InWords() []Rule {
	list := []Rule{{"At least %d characters. A sentence, or three or four unrelated words, is easy to remember.", r.MinLength},
		{strengthWords[r.Strength], 0},
		{"Not your name, your address or your organization's name with something added.", 0}}
	for _, c := range r.classes() {
		list = append(list, Rule{c.rule, 0})
	}
	switch {
	case r.History == 1:
		list = append(list, Rule{"Not the password that you have now.", 0})
	case r.History > 1:
		list = append(list, Rule{"None of your last %d passwords.", r.History})
	}
	if r.ExpireDays > 0 {
		list = append(list, Rule{"A new one is asked for after %d days.", r.ExpireDays})
	}
	return list
}

var strengthWords = map[int]string{
	2: "Not easy to guess: no common password, no row of keys, no repetition.",
	3: "Hard to guess: no common password, no row of keys, no repetition, no date.",
	4: "Very hard to guess: longer than most, with nothing in it that others use, too.",
}

// Check holds a new password of a person against the organization's rules, the earlier
// passwords included. words are what an attacker would try first: names, addresses, the
// organization. user is empty for somebody who is not there yet. It hashes: call it
// outside any transaction. Faults: Invalid on "password", one for each rule that fails;
// Unavailable.
func (s *Store) Check(ctx context.Context, org store.OrgID, user store.UserID, password string, words ...string) error {
	var rules Rules
	var past []string
	err := s.opts.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) (err error) {
		if rules, _, err = s.Rules(tx); err != nil || rules.History == 0 || user == "" {
			return err
		}
		past, err = hashesOf(tx, user, rules.History)
		return err
	})
	if err != nil {
		return err
	}
	if err := rules.Check(password, words...); err != nil {
		return err
	}
	for _, hash := range past {
		same, _, err := s.compare(ctx, password, hash)
		if err != nil {
			return err
		}
		switch {
		case same && rules.History == 1:
			return fault.Invalid.On("password", "That is the password that you have now. Choose another one.")
		case same:
			return fault.Invalid.On("password", "That is one of your last %d passwords. Choose one that you have not used here.", rules.History)
		}
	}
	return nil
}

// hashesOf are the password that a person has now and those before it, n in all.
func hashesOf(tx *store.Tx, user store.UserID, n int) ([]string, error) {
	var now, past []string
	if err := tx.Select(&now, "SELECT hash FROM credentials WHERE org_id = ? AND user_id = ?", tx.Org(), user); err != nil {
		return nil, err
	}
	if err := tx.Select(&past, "SELECT hash FROM password_history WHERE org_id = ? AND user_id = ? ORDER BY set_at DESC LIMIT ?", tx.Org(), user, n-len(now)); err != nil {
		return nil, err
	}
	return slices.Concat(now, past), nil
}

// remember keeps the password that is about to be replaced, for as long as the rules
// want to know it, and forgets the others.
func (s *Store) remember(tx *store.Tx, user store.UserID) error {
	rules, _, err := s.Rules(tx)
	if err != nil {
		return err
	}
	if rules.History > 1 {
		if _, err := tx.Exec(`INSERT INTO password_history (org_id, user_id, set_at, hash)
			SELECT org_id, user_id, updated_at, hash FROM credentials WHERE org_id = ? AND user_id = ? AND NOT must_change
			ON CONFLICT (org_id, user_id, set_at) DO NOTHING`, tx.Org(), user); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`DELETE FROM password_history WHERE org_id = ? AND user_id = ? AND set_at NOT IN
		(SELECT h.set_at FROM password_history h WHERE h.org_id = ? AND h.user_id = ? ORDER BY h.set_at DESC LIMIT ?)`,
		tx.Org(), user, tx.Org(), user, max(rules.History-1, 0))
	return err
}
