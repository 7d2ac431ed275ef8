// Package factor is what people prove beside a password, or instead of it: passkeys,
// codes of an authenticator app, and recovery codes for the day when both are gone.
//
//	Of                       what somebody has
//	BeginPasskey, AddPasskey a key pair of the person's device, made for this server
//	BeginKey                 the same of a security key without a PIN: beside a password only
//	BeginSignIn, UsePasskey  the proof that somebody holds it
//	BeginApp, AddApp         a shared secret, shown once as a picture and as text
//	UseCode                  a code of the app, or a recovery code: each is good once
//	Begin, Pending, Finish   a sign-in whose second factor is still to come (pending.go)
//	Reset                    an admin takes everything away
//
// What a browser must bring back unchanged between two pages (a challenge, the secret
// of an app that is being set up) travels in the page as a ticket: sealed with the
// server's key, for one purpose, one browser and some minutes. A challenge that was
// answered is kept until it has ended, so that it is good once on all servers. So asking
// for one costs no row, whoever asks how often.
//
// Everything is of one person in one organization. A passkey says which (its user
// handle), but that is not signed: the key is looked up there, and is found only where
// it was registered. The package owns the tables passkeys, authenticators,
// recovery_codes, pending_signins and used_challenges, and reads users for whom it
// writes to and who has nothing yet. Attempts are counted by its callers (package
// password), the organization's rule comes from Options.Rule.
package factor

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/store"
)

// Options of a Store.
type Options struct {
	DB        *store.DB
	Key       secret.Key // seals seeds and tickets
	PublicURL string     // its host is what passkeys are made for
	// Rule is what the organization's policy says about somebody. May be nil: the zero Rule.
	Rule func(tx *store.Tx, user store.UserID) (Rule, error)
	// Tell mails somebody that something of theirs was changed. May be nil.
	Tell func(tx *store.Tx, l Letter) error
	Log  *slog.Logger
}

// Rule is what the policy says about one person.
type Rule struct {
	Off       bool // nobody of the organization is asked for a second factor
	Required  bool // the person must have one
	Emergency bool // a break-glass account: its own recovery codes, and nothing else
}

// Letter tells a person what has changed.
type Letter struct {
	Reader                texts.Reader // in which language it is read
	To, Subject, Greeting string
	Lines, Small          []string
}

// Store has the operations. Safe for concurrent use.
type Store struct {
	opt      Options
	passkeys *webauthn.WebAuthn // nil: see why
	why      texts.Said         // there can be no passkeys here
}

// New makes the store.
func New(opt Options) *Store {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Rule == nil {
		opt.Rule = func(*store.Tx, store.UserID) (Rule, error) { return Rule{}, nil }
	}
	if opt.Tell == nil {
		opt.Tell = func(*store.Tx, Letter) error { return nil }
	}
	s := &Store{opt: opt}
	u, err := url.Parse(opt.PublicURL)
	if err != nil {
		s.why = texts.Say("The public URL cannot be read.")
		return s
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		s.why = texts.Say("Browsers make passkeys for names, and this server is reached by the number %s. Its operator can give it a name (public_url; localhost is one).", host)
		return s
	}
	s.passkeys, err = webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: "Muster", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{RequireResidentKey: protocol.ResidentKeyRequired(),
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired},
	})
	if err != nil {
		s.why = texts.Say("Browsers make no passkeys for %s.", host)
	}
	return s
}

// NoPasskeys says why there can be no passkeys on this server; zero: there can.
func (s *Store) NoPasskeys() texts.Said { return s.why }

// Set is what somebody has.
type Set struct {
	Passkeys int  `db:"passkeys"` // that can be used, security keys too
	App      bool `db:"app"`      // an authenticator app
	Codes    int  `db:"codes"`    // recovery codes left
}

// Any tells whether there is a second factor at all; recovery codes alone are none.
func (f Set) Any() bool { return f.Passkeys > 0 || f.App }

// Of is what somebody has.
func (s *Store) Of(tx *store.Tx, user store.UserID) (f Set, err error) {
	return f, tx.Get(&f, set, tx.Org(), user, tx.Org(), user, tx.Org(), user)
}

// RuleOf is what the policy says about somebody.
func (s *Store) RuleOf(tx *store.Tx, user store.UserID) (Rule, error) { return s.opt.Rule(tx, user) }

const set = `SELECT (SELECT count(*) FROM passkeys WHERE org_id = ? AND user_id = ? AND copied_at = 0) AS passkeys,
	EXISTS (SELECT 1 FROM authenticators WHERE org_id = ? AND user_id = ?) AS app,
	(SELECT count(*) FROM recovery_codes WHERE org_id = ? AND user_id = ?) AS codes`

// person is who something is changed for.
type person struct {
	ID    store.UserID `db:"id"`
	Name  string       `db:"display_name"`
	Login string       `db:"user_name"`
	Email string       `db:"email"`
}

func (s *Store) person(tx *store.Tx, user store.UserID) (p person, err error) {
	err = tx.Get(&p, "SELECT id, display_name, user_name, email FROM users WHERE org_id = ? AND id = ? AND deleted_at = 0", tx.Org(), user)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Wrap(err, "There is no such person.")
	}
	return p, err
}

// self is the person who acts: nobody adds or removes a factor of somebody else. The
// row stays locked, so that of two changes at a time each sees the other.
func (s *Store) self(tx *store.Tx) (p person, rule Rule, err error) {
	actor := tx.Actor()
	if actor.Kind != access.Person {
		return p, rule, fault.Denied.Say("Only people have passkeys and codes, each their own.")
	}
	id, err := store.ParseID[store.User](actor.ID)
	if err != nil {
		return p, rule, err
	}
	if rule, err = s.opt.Rule(tx, id); err != nil {
		return p, rule, err
	}
	if err = tx.Get(&p, "SELECT id, display_name, user_name, email FROM users WHERE org_id = ? AND id = ? AND status = 'active' AND deleted_at = 0"+tx.ForUpdate(), tx.Org(), id); fault.Is(err, fault.NotFound) {
		err = fault.Denied.Say("This account is not active. Ask an administrator of your organization.")
	}
	return p, rule, err
}

func emergency() error {
	return fault.Denied.Say("Yours is a break-glass account: it signs in with its password and its own recovery codes, which an admin makes under Security. It takes nothing else.")
}

// changed writes the activity row of a change and tells the person.
func (s *Store) changed(tx *store.Tx, p person, act store.Activity, subject texts.Said, lines ...texts.Said) error {
	act.TargetKind, act.TargetID, act.TargetName = "user", string(p.ID), p.Name
	if err := tx.Record(act); err != nil || p.Email == "" {
		return err
	}
	theirs, err := tx.LocaleOf(p.ID)
	if err != nil {
		return err
	}
	to := texts.ReaderOf(theirs.Language, theirs.TimeZone)
	l := Letter{Reader: to, To: p.Email, Subject: to.Say(subject), Greeting: to.T("Hello,"),
		Small: []string{to.T("If this was not you, set a new password, look at your account, and tell your administrator.")}}
	if p.Name != "" {
		l.Greeting = to.T("Hello %s,", p.Name)
	}
	at := texts.Say("It happened on %s.", tx.Now())
	if ip := tx.Actor().IP; ip != "" {
		at = texts.Say("It happened on %s from %s.", tx.Now(), ip)
	}
	for _, line := range append(lines, at) {
		l.Lines = append(l.Lines, to.Say(line))
	}
	return s.opt.Tell(tx, l)
}

// maySpare refuses to take somebody's last factor while one is required.
func (s *Store) maySpare(tx *store.Tx, user store.UserID, rule Rule) error {
	left, err := s.Of(tx, user)
	if err != nil || left.Any() {
		return err
	}
	if rule.Required {
		return fault.Conflict.Say("Your organization requires a second factor, and this is your only one. Add another one first.")
	}
	_, err = tx.Exec("DELETE FROM recovery_codes WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return err
}

// Reset takes away everything that somebody has, so that the password alone opens the
// account, or a new factor is asked for. Who may do that is the caller's to check; ending
// sessions, too. Faults: NotFound, Conflict (there is nothing).
func (s *Store) Reset(tx *store.Tx, user store.UserID, why string) error {
	p, err := s.person(tx, user)
	if err != nil {
		return err
	}
	var had int64
	for _, query := range []string{"DELETE FROM passkeys WHERE org_id = ? AND user_id = ?", "DELETE FROM authenticators WHERE org_id = ? AND user_id = ?",
		"DELETE FROM recovery_codes WHERE org_id = ? AND user_id = ?"} {
		n, err := tx.Exec(query, tx.Org(), user)
		if err != nil {
			return err
		}
		had += n
	}
	if _, err := tx.Exec("DELETE FROM pending_signins WHERE org_id = ? AND user_id = ?", tx.Org(), user); err != nil {
		return err
	}
	if had == 0 {
		return fault.Conflict.Say("%s has no passkey, no authenticator app and no recovery codes.", p.Name)
	}
	return s.changed(tx, p, store.Activity{Action: "user.factors.reset", Detail: map[string]any{"why": why}},
		texts.Say("Your second factors were removed"), texts.Say("%s removed your passkeys, your authenticator app and your recovery codes, and signed you out everywhere. The reason given: %s.", texts.Who(tx.Actor().Name), why),
		texts.Say("Sign in with your password, and add them anew on the page of your account."))
}

// RemoveSince takes away what was added to somebody's factors from a moment on, because it
// may have been somebody else: a passkey would open the account after a new password, too.
func (s *Store) RemoveSince(tx *store.Tx, user store.UserID, at store.Time) error {
	var had int64
	for _, query := range []string{"DELETE FROM passkeys WHERE org_id = ? AND user_id = ? AND created_at >= ?", "DELETE FROM authenticators WHERE org_id = ? AND user_id = ? AND created_at >= ?",
		"DELETE FROM recovery_codes WHERE org_id = ? AND user_id = ? AND created_at >= ?"} {
		n, err := tx.Exec(query, tx.Org(), user, at)
		if err != nil {
			return err
		}
		had += n
	}
	if _, err := tx.Exec("DELETE FROM pending_signins WHERE org_id = ? AND user_id = ?", tx.Org(), user); err != nil || had == 0 {
		return err
	}
	p, err := s.person(tx, user)
	if err != nil {
		return err
	}
	return s.changed(tx, p, store.Activity{Action: "user.factors.reset", Detail: map[string]any{"why": "added since " + at.RFC3339() + ", while the address was another one"}},
		texts.Say("New second factors were removed"), texts.Say("The passkeys, the authenticator app and the recovery codes that were added to your account since %s were removed, as it may not have been you.", at),
		texts.Say("Those from before still work. Add what you need anew on the page of your account."))
}

// Clean makes a line that somebody typed fit to be shown: no control characters, nothing
// that turns the direction of writing, at most so many letters.
func Clean(name string, most int) string {
	var b strings.Builder
	n := 0
	for _, c := range strings.Join(strings.Fields(name), " ") {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == unicode.ReplacementChar {
			continue
		}
		if n++; n > most {
			break
		}
		b.WriteRune(c)
	}
	return strings.TrimSpace(b.String())
}

// Sweep removes what can no longer be used.
func (s *Store) Sweep(ctx context.Context) error {
	now := store.TimeOf(s.opt.DB.Now())
	_, err1 := s.opt.DB.Sweep(ctx, "DELETE FROM pending_signins WHERE expires_at <= ?", now)
	_, err2 := s.opt.DB.Sweep(ctx, "DELETE FROM used_challenges WHERE expires_at <= ?", now)
	return errors.Join(err1, err2)
}

// Run sweeps until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	store.Every(ctx, s.opt.Log, 10*time.Minute, nil, "sweep second factors", s.Sweep)
	return nil
}
