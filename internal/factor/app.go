package factor

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"image/png"
	"net/url"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/store"
)

// Codes are those that every app makes: six digits, half a minute, SHA-1 (RFC 6238).
const (
	digits = 6
	period = 30
	skew   = 1 // steps that a telephone's clock may be off
)

// App is an authenticator app that is being set up.
type App struct {
	Secret  string // in groups of four, for whoever cannot take a picture
	URL     string // otpauth:, for an app on the same device
	Picture string // data:image/png
	Ticket  string
	seed    string
}

// BeginApp makes a new secret for whoever bind names, and stores nothing. org and account
// are what the app shows.
func (s *Store) BeginApp(bind string, user store.UserID, org, account string) (App, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: label(org, "Muster"), AccountName: label(account, "account"), Period: period, Digits: otp.DigitsSix})
	if err != nil {
		return App{}, err
	}
	a := App{seed: key.Secret()}
	if a.Ticket, err = s.seal(toSetUpApp, bind, ticket{Seed: a.seed, User: user}); err != nil {
		return App{}, err
	}
	return a.shown(org, account)
}

// ResumeApp is the app of a ticket, to show it once more. Faults: Expired.
func (s *Store) ResumeApp(bind, text string, user store.UserID, org, account string) (App, error) {
	t, err := s.open(toSetUpApp, bind, text)
	if err != nil {
		return App{}, err
	}
	if t.User != user || t.Seed == "" {
		return App{}, tookTooLong()
	}
	return App{seed: t.Seed, Ticket: text}.shown(org, account)
}

func (a App) shown(org, account string) (App, error) {
	issuer, name := label(org, "Muster"), label(account, "account")
	q := url.Values{"secret": {a.seed}, "issuer": {issuer}, "period": {"30"}, "algorithm": {"SHA1"}, "digits": {"6"}}
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + name, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	key, err := otp.NewKeyFromURL(u.String())
	if err != nil {
		return a, err
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return a, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return a, err
	}
	a.URL, a.Picture = u.String(), "data:image/png;base64,"+base64.StdEncoding.EncodeToString(b.Bytes())
	for i := 0; i < len(a.seed); i += 4 {
		a.Secret += a.seed[i:min(i+4, len(a.seed))] + " "
	}
	a.Secret = strings.TrimSpace(a.Secret)
	return a, nil
}

// label is a name as apps take it: no colon, which separates two of them, and short
// enough for a picture.
func label(name, none string) string {
	name = Clean(strings.ReplaceAll(name, ":", " "), maxName)
	if name == "" {
		return none
	}
	return name
}

// AddApp makes the app the actor's, when code shows that it has the secret: it replaces
// an older one. codes are recovery codes, when there were none yet. Count the attempt
// before. Faults: Invalid on "code", Denied.
func (s *Store) AddApp(tx *store.Tx, a App, code string) (codes []string, err error) {
	p, rule, err := s.self(tx)
	switch {
	case err != nil:
		return nil, err
	case rule.Emergency:
		return nil, emergency()
	case rule.Off:
		return nil, fault.Denied.Say("Your organization does not use authenticator apps.")
	}
	step := stepOf(a.seed, squeeze(code), tx.Now())
	if step == 0 {
		return nil, fault.Invalid.On("code", "That is not the code that the app shows now. Check that the telephone's clock is right, and type the newest code.")
	}
	sealed, err := s.opt.Key.Seal(seedPlace(tx.Org(), p.ID), []byte(a.seed))
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`INSERT INTO authenticators (org_id, user_id, seed, last_step, created_at, used_at) VALUES (?, ?, ?, ?, ?, 0)
		ON CONFLICT (org_id, user_id) DO UPDATE SET seed = excluded.seed, last_step = excluded.last_step, created_at = excluded.created_at, used_at = 0`,
		tx.Org(), p.ID, sealed, step, tx.Now()); err != nil {
		return nil, err
	}
	if codes, err = s.firstCodes(tx, p); err != nil {
		return nil, err
	}
	return codes, s.changed(tx, p, store.Activity{Action: "user.authenticator.add"}, texts.Say("An authenticator app was added to your account"),
		texts.Say("From now on signing in with your password also asks for a code of the authenticator app that was just set up."))
}

// RemoveApp takes the actor's app away. Faults: NotFound, Conflict (it is the last factor, and
// one is required).
func (s *Store) RemoveApp(tx *store.Tx) error {
	p, rule, err := s.self(tx)
	if err != nil {
		return err
	}
	n, err := tx.Exec("DELETE FROM authenticators WHERE org_id = ? AND user_id = ?", tx.Org(), p.ID)
	if err == nil && n == 0 {
		err = fault.NotFound.Say("You have no authenticator app here.")
	}
	if err == nil {
		err = s.maySpare(tx, p.ID, rule)
	}
	if err != nil {
		return err
	}
	return s.changed(tx, p, store.Activity{Action: "user.authenticator.remove"}, texts.Say("Your authenticator app was removed"),
		texts.Say("The authenticator app was taken off your account. Its codes do not work any more."))
}

// AppSince is since when somebody has an app, and when it was used last; zero: never.
func (s *Store) AppSince(tx *store.Tx, user store.UserID) (since, used store.Time, err error) {
	var row struct {
		CreatedAt store.Time `db:"created_at"`
		UsedAt    store.Time `db:"used_at"`
	}
	err = tx.Get(&row, "SELECT created_at, used_at FROM authenticators WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	if fault.Is(err, fault.NotFound) {
		return 0, 0, nil
	}
	return row.CreatedAt, row.UsedAt, err
}

func seedPlace(org store.OrgID, user store.UserID) string {
	return "authenticator/" + string(org) + "/" + string(user)
}

// stepOf is the time step that a code belongs to, 0 when it is none of now.
func stepOf(seed, code string, now store.Time) int64 {
	if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed); err != nil {
		return 0
	}
	at := now.Time().Unix() / period
	found := int64(0)
	for step := at - skew; step <= at+skew; step++ { // all of them, so that the time tells nothing
		ok, err := hotp.ValidateCustom(code, uint64(step), seed, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && ok {
			found = step
		}
	}
	return found
}

// useStep uses a code of the app up. A step is used once, and none before it after that:
// of two tries at a time the database lets one win.
func (s *Store) useStep(tx *store.Tx, user store.UserID, code string) error {
	var sealed []byte
	err := tx.Get(&sealed, "SELECT seed FROM authenticators WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	if fault.Is(err, fault.NotFound) {
		return WrongCode
	}
	if err != nil {
		return err
	}
	seed, err := s.opt.Key.Open(seedPlace(tx.Org(), user), sealed)
	if err != nil {
		return err
	}
	step := stepOf(string(seed), code, tx.Now())
	if step == 0 {
		return WrongCode
	}
	n, err := tx.Exec("UPDATE authenticators SET last_step = ?, used_at = ? WHERE org_id = ? AND user_id = ? AND last_step < ?", step, tx.Now(), tx.Org(), user, step)
	if err == nil && n == 0 {
		return WrongCode
	}
	return err
}
