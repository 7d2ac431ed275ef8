package factor

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/store"
)

// Kind is which factor it was.
type Kind string

// The kinds, as the log of sign-ins says them.
const (
	None         Kind = ""
	AppCode      Kind = "authenticator app"
	RecoveryCode Kind = "recovery code"
	PasskeyKind  Kind = "passkey"
	SecurityKey  Kind = "security key"
)

// FewCodes is from where on somebody is told to make new recovery codes.
const FewCodes = 3

// WrongCode is the answer to a code that is none of the person's, or was used.
var WrongCode = fault.Invalid.On("code", "That code is not right, or was used already. A code of the app works once, within half a minute; a recovery code once.")

// UseCode uses up a code of the authenticator app or a recovery code, once however many
// try. Count the attempt before. left is how many recovery codes there are after it.
// Faults: Invalid on "code".
func (s *Store) UseCode(tx *store.Tx, user store.UserID, code string) (kind Kind, left int, err error) {
	code = squeeze(code)
	switch {
	case len(code) == digits && strings.Trim(code, "0123456789") == "":
		kind, err = AppCode, s.useStep(tx, user, code)
	case len(code) == 16:
		kind, err = RecoveryCode, s.useRecovery(tx, user, code)
	default:
		return None, 0, WrongCode
	}
	if err != nil {
		return None, 0, err
	}
	return kind, left, tx.Get(&left, "SELECT count(*) FROM recovery_codes WHERE org_id = ? AND user_id = ?", tx.Org(), user)
}

// squeeze takes out what people type between groups.
func squeeze(code string) string {
	if len(code) > 100 {
		return ""
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '-' || c == '–' {
			return -1
		}
		return c
	}, code)
}

func owner(org store.OrgID, user store.UserID) string {
	return "second factor" + string(org) + string(user)
}

func (s *Store) useRecovery(tx *store.Tx, user store.UserID, code string) error {
	n, err := tx.Exec("DELETE FROM recovery_codes WHERE org_id = ? AND user_id = ? AND code_hash = ?", tx.Org(), user, secret.RecoveryHash(owner(tx.Org(), user), code))
	if err == nil && n == 0 {
		return WrongCode
	}
	if err != nil {
		return err
	}
	p, err := s.person(tx, user)
	if err != nil {
		return err
	}
	return s.changed(tx, p, store.Activity{Action: "user.recovery.use"}, texts.Say("A recovery code of yours was used"),
		texts.Say("Somebody, probably you, signed in with one of your recovery codes. It does not work any more."))
}

// NewCodes replaces the actor's recovery codes by new ones, which are shown this once.
// Faults: Denied, Conflict (there is no second factor that they could stand in for).
func (s *Store) NewCodes(tx *store.Tx) ([]string, error) {
	p, rule, err := s.self(tx)
	if err != nil {
		return nil, err
	}
	if rule.Emergency {
		return nil, emergency()
	}
	has, err := s.Of(tx, p.ID)
	if err != nil {
		return nil, err
	}
	if !has.Any() {
		return nil, fault.Conflict.Say("Recovery codes stand in for a passkey or an authenticator app. Add one of them first.")
	}
	list, err := s.codes(tx, p)
	if err != nil {
		return nil, err
	}
	return list, s.changed(tx, p, store.Activity{Action: "user.recovery.make"}, texts.Say("You have new recovery codes"),
		texts.Say("New recovery codes were made for your account. The older ones do not work any more."))
}

// codes replaces somebody's recovery codes.
func (s *Store) codes(tx *store.Tx, p person) ([]string, error) {
	if _, err := tx.Exec("DELETE FROM recovery_codes WHERE org_id = ? AND user_id = ?", tx.Org(), p.ID); err != nil {
		return nil, err
	}
	list := secret.NewRecoveryCodes()
	hashes := make([]string, len(list))
	for i, code := range list {
		hashes[i] = secret.RecoveryHash(owner(tx.Org(), p.ID), code)
	}
	all, err := json.Marshal(hashes)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec("INSERT INTO recovery_codes (org_id, user_id, code_hash, created_at) SELECT {{as_id}}, {{as_id}}, e.value, {{as_int}} FROM {{each_text}}",
		tx.Org(), p.ID, tx.Now(), string(all))
	return list, err
}

// firstCodes makes recovery codes for somebody who has none: with the first factor.
func (s *Store) firstCodes(tx *store.Tx, p person) ([]string, error) {
	has, err := s.Of(tx, p.ID)
	if err != nil || has.Codes > 0 {
		return nil, err
	}
	return s.codes(tx, p)
}
