package sso

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

const (
	pendingFor = 15 * time.Minute // from our redirect to the provider's answer
	pendingMax = 8                // sign-ins on their way in one browser
	cookieName = "mreq_"
)

// What a sign-in on its way is for.
const (
	purposeLogin = "login"
	purposeTest  = "test" // trial.go

	purposeStepUp = "stepup" // stepup.go
)

// pending is a sign-in on its way.
type pending struct {
	RequestID string     `db:"request_id"` // SAML: ID of our AuthnRequest
	Nonce     string     `db:"nonce"`      // OIDC
	Verifier  []byte     `db:"verifier"`   // OIDC: PKCE, sealed
	ReturnTo  string     `db:"return_to"`
	Purpose   string     `db:"purpose"` // what the sign-in is for; of a test, ReturnTo is its id; of a step-up, it begins with the session's
	Asked     []byte     `db:"asked"`   // JSON: what the answer must show, as the protocol has it
	CreatedAt store.Time `db:"created_at"`
	ExpiresAt store.Time `db:"expires_at"`
}

// ticket is what the answer must bring back: the handle through the provider
// (RelayState, state), the browser's half through a cookie. Stored as hashes.
type ticket struct{ handle, browser string }

func (t ticket) args(c Connection, now store.Time) []any {
	return []any{c.OrgID, secret.Hash(t.handle), c.ID, secret.Hash(t.browser), now}
}

// sealedAs names the place of the PKCE verifier.
func (t ticket) sealedAs() string { return "sso-request/" + secret.Hash(t.handle) }

// open stores a pending sign-in.
func (d *Door) open(ctx context.Context, actor access.Actor, c Connection, t ticket, p pending, verifier string) error {
	if verifier != "" {
		var err error
		if p.Verifier, err = d.opts.Key.Seal(t.sealedAs(), []byte(verifier)); err != nil {
			return err
		}
	}
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		_, err := tx.Exec(insertRequest, tx.Org(), secret.Hash(t.handle), c.ID, secret.Hash(t.browser), p.RequestID, p.Nonce, p.Verifier,
			p.ReturnTo, orElse(p.Purpose, purposeLogin), orElse(string(p.Asked), "{}"), tx.Now(), tx.Now().Add(pendingFor))
		return err
	})
}

// errNotPending is one answer for all that can be wrong with a ticket: used,
// expired, made up, of another browser or of another connection.
var errNotPending = fault.Expired.Say("This sign-in was not started in this browser, was used already, or took longer than %d minutes. Start again.", int(pendingFor.Minutes()))

// find reads a pending sign-in without using it up. Faults: Expired.
func (d *Door) find(ctx context.Context, actor access.Actor, c Connection, t ticket) (p pending, err error) {
	if t.handle == "" || t.browser == "" {
		return p, errNotPending
	}
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		return tx.Get(&p, selectRequest, t.args(c, tx.Now())...)
	})
	if fault.Is(err, fault.NotFound) {
		err = errNotPending
	}
	return p, err
}

// findToCheck is find with what a SAML answer is checked with, in one statement.
func (d *Door) findToCheck(ctx context.Context, actor access.Actor, c Connection, t ticket) (p pending, have credentials, err error) {
	if t.handle == "" || t.browser == "" {
		return p, have, errNotPending
	}
	if have, err = d.credentials(ctx, actor, c, &t); err != nil {
		return p, have, err
	}
	if have.pending == nil {
		return p, have, errNotPending
	}
	return *have.pending, have, nil
}

// take uses a pending sign-in up. Of two at once, one gets Expired.
func take(tx *store.Tx, c Connection, t ticket) (p pending, err error) {
	err = tx.Get(&p, takeRequest, t.args(c, tx.Now())...)
	if fault.Is(err, fault.NotFound) {
		err = errNotPending
	}
	return p, err
}

// remember notes an answer until it expires by itself; fresh is false when it was
// used before.
func remember(tx *store.Tx, c Connection, answer string, until time.Time) (fresh bool, err error) {
	n, err := tx.Exec(insertReplay, tx.Org(), c.ID, secret.Hash(answer), store.TimeOf(until))
	return n > 0, err
}

// Sweep removes pending sign-ins and used answers that have expired, and what is
// left of sessions that are over.
func (d *Door) Sweep(ctx context.Context) error {
	now := store.TimeOf(d.opts.DB.Now())
	_, err1 := d.opts.DB.Sweep(ctx, sweepRequests, now)
	_, err2 := d.opts.DB.Sweep(ctx, sweepReplays, now)
	_, err3 := d.opts.DB.Sweep(ctx, sweepReports, now)
	_, err4 := d.opts.DB.Sweep(ctx, sweepTests, now.Add(-testFor))
	_, err5 := d.opts.DB.Sweep(ctx, sweepLinks, now.Add(-testFor))              // over for so long that nobody asks
	_, err6 := d.opts.DB.Sweep(ctx, sweepConfirmations, now.Add(-24*time.Hour)) // they are counted for a day
	return errors.Join(err1, err2, err3, err4, err5, err6, d.sweepRefs(ctx), d.TellLeftOut(ctx), d.opts.DB.SweepSignIns(ctx, d.opts.SignInAge, d.opts.SignInRows))
}

// cookie is the browser's half of a ticket. crossSite: the answer comes as a post
// from the provider's site, to which only SameSite=None cookies are sent; browsers
// take those over https alone.
func (d *Door) cookie(handle, value string, crossSite bool) *http.Cookie {
	c := &http.Cookie{Name: d.cookieFor(handle), Value: value, Path: "/", MaxAge: int(pendingFor.Seconds()),
		Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if crossSite && d.secure {
		c.SameSite = http.SameSiteNoneMode
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

func (d *Door) cookieFor(handle string) string { return d.cookiePrefix() + secret.Hash(handle)[:12] }

func (d *Door) cookiePrefix() string {
	if d.secure {
		return "__Host-" + cookieName
	}
	return cookieName
}

// ticketOf puts the two halves together; browser is empty when the cookie did not come.
func (d *Door) ticketOf(r *http.Request, handle string) ticket {
	t := ticket{handle: handle}
	if c, err := r.Cookie(d.cookieFor(handle)); err == nil && handle != "" {
		t.browser = c.Value
	}
	return t
}

// trimCookies keeps a browser that starts sign-ins without finishing them from
// filling its cookie jar, which would end in refused requests.
func (d *Door) trimCookies(w http.ResponseWriter, r *http.Request) {
	n := 0
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, d.cookiePrefix()) {
			continue
		}
		if n++; n >= pendingMax {
			http.SetCookie(w, &http.Cookie{Name: c.Name, Path: "/", MaxAge: -1, Secure: d.secure, HttpOnly: true})
		}
	}
}
