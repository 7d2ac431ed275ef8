package sso

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

//go:embed all:templates
var templates embed.FS

var pages = web.MustPages(templates, "templates/*.html")

// Mount adds the door's routes.
func (d *Door) Mount(m *web.Mux) {
	// The answers come from other sites, so cookies and cross-origin rules of
	// ordinary pages do not fit; the pending request is the guard.
	m.Machine("GET /sso/saml/{connection}/metadata", d.on(protocolSAML, d.samlMetadata))
	m.Machine("GET /sso/saml/{connection}/login", d.on(protocolSAML, d.samlLogin))
	m.Machine("POST /sso/saml/{connection}/acs", d.on(protocolSAML, d.samlACS))
	m.Machine("GET /sso/saml/{connection}/acs", d.on(protocolSAML, d.samlACSGet))
	m.Machine("GET /sso/saml/{connection}/slo", d.on(protocolSAML, d.samlSLO))
	m.Machine("POST /sso/saml/{connection}/slo", d.on(protocolSAML, d.samlSLO))
	m.Public("GET /sso/logout/{connection}", d.showLeft)
	m.Public("GET /sso/logout/{connection}/{handle}", d.showLeft)
	m.Machine("GET /sso/oidc/{connection}/login", d.on(protocolOIDC, d.oidcLogin))
	m.Machine("POST /sso/oidc/{connection}/login", d.on(protocolOIDC, d.oidcLogin))
	m.Machine("GET /sso/oidc/{connection}/callback", d.on(protocolOIDC, d.oidcCallback))
	m.Machine("POST /sso/oidc/{connection}/callback", d.on(protocolOIDC, d.oidcCallback))
	m.Machine("GET /sso/oidc/{connection}/jwks.json", d.on(protocolOIDC, d.oidcJWKS))
	m.Machine("GET /sso/oidc/{connection}/signed-out", d.on(protocolOIDC, d.oidcSignedOut))
	m.Machine("POST /sso/oidc/{connection}/backchannel-logout", d.on(protocolOIDC, d.oidcBackChannel))
	m.Machine("GET /sso/oidc/{connection}/frontchannel-logout", d.on(protocolOIDC, d.oidcFrontChannel))
	m.Programs("/sso/saml/*/metadata", refuseProvider)
	m.Programs("/sso/oidc/*/jwks.json", refuseProvider)
	m.Programs("/sso/oidc/*/backchannel-logout", refuseProvider)

	d.mountDomains(m)
	d.mountSignIns(m)
	m.Public("GET /sso/confirm/{token}", d.showConfirmation)
	m.Public("POST /sso/confirm/{token}", d.confirm)

	m.Console(access.Configure, "GET /console/{org}/connections", d.showConnections)
	d.mountDesk(m)
	d.mountLinks(m)
	d.mountUpkeep(m)
	d.mountClientKeys(m)
	m.Console(access.Configure, "GET /console/{org}/connections/{connection}/settings", d.showSettings)
	m.Console(access.Configure, "POST /console/{org}/connections/{connection}/settings", d.changeSettings)
	d.mountAPI(m)
	d.mountMapping(m)
	d.mountRequests(m)
	d.mountRekey(m)
	d.mountMoves(m)
}

type connectionHandler func(w http.ResponseWriter, r *http.Request, c Connection) error

// on finds the connection of the URL. A panic in there is ours to explain like any
// other refusal, whoever's XML or token it was.
func (d *Door) on(protocol string, h connectionHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) (err error) {
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		var c Connection
		if err == nil {
			c, err = d.connectionByID(r.Context(), id)
		}
		if signsIn(r.URL.Path) && (fault.Is(err, fault.NotFound) || err == nil && c.Protocol != protocol) {
			return d.nowhere(w, r, r.PathValue("connection"))
		}
		if err != nil {
			return err
		}
		if c.Protocol != protocol {
			return fault.NotFound.Say("There is no such connection. Check the address with your administrator.")
		}
		defer func() {
			if p := recover(); p != nil {
				d.opts.Log.ErrorContext(r.Context(), "panic in a sign-in", "connection", c.ID, "panic", p, "stack", string(debug.Stack()))
				err = d.refused(w, r, c, nil, refuse(http.StatusBadRequest, "panic", answers[fault.Invalid].plain, web.Say("This is a fault of this server; its operator finds it in the log.")), nil)
			}
		}()
		return h(w, r, c)
	}
}

// start is common to both login URLs: is the connection open, and is the caller
// not too fast? It makes the ticket.
func (d *Door) start(w http.ResponseWriter, r *http.Request, c Connection) (ticket, pending, error) {
	if run := trialOf(r); run != nil {
		return ticket{handle: secret.NewToken(), browser: secret.NewToken()}, pending{Purpose: purposeTest, ReturnTo: string(run.id)}, nil
	}
	if err := usable(c); err != nil {
		return ticket{}, pending{}, err
	}
	if !d.starts.allow(web.Actor(r).IP) {
		return ticket{}, pending{}, errTooManyStarts
	}
	d.trimCookies(w, r)
	if again := stepUpOf(r); again != nil {
		return ticket{handle: secret.NewToken(), browser: secret.NewToken()}, again.pending(), nil
	}
	next := r.URL.Query().Get("next")
	return ticket{handle: secret.NewToken(), browser: secret.NewToken()}, pending{ReturnTo: web.Local(next)}, nil
}

var errTooManyStarts = fault.TooMany.Say("Too many sign-ins were started from your network. Wait a minute, then start again.")

func usable(c Connection) error {
	if c.Status != statusActive {
		return refuse(http.StatusForbidden, "status", web.Say("Signing in this way is not open. Ask your administrator."), web.Say("The connection is not active (%s). Activate it first.", web.Say(connectionStates[c.Status])))
	}
	return nil
}

// answered is a verified answer of a provider.
type answered struct {
	arrival     answer.Profile
	id          string // names the answer, for the replay record
	idToken     string // OIDC, raw; a logout names it as its hint
	sub         string // OIDC, as the provider sent it, whatever people are known by here
	certificate string // SAML: SHA-256 of the one that verified the answer
	until       time.Time
	trace       answer.Trace
	pending     pending // the request that was answered
	unasked     bool    // SAML: the provider started it; pending was never stored and says where it leads
}

// spend uses up the answer and the request that it answers. now is the connection to
// go on with: c, which the answer was checked for, and which must not have changed
// since. When it has, the sign-in runs again, with reread.
func (in answered) spend(tx *store.Tx, c Connection, t ticket, reread *bool) (now Connection, err error) {
	if now = c; in.unasked || *reread {
		if now, err = connectionIn(tx, c.ID); err != nil {
			return now, err
		}
		if err := usable(now); err != nil {
			return now, err
		}
	}
	if !in.unasked {
		err = tx.Post(spendRequest, append(t.args(c, tx.Now()), c.OrgID, c.ID, now.UpdatedAt), func(rows int64) error {
			if rows > 0 {
				return nil
			}
			if is, err := connectionIn(tx, c.ID); err != nil || is.UpdatedAt == now.UpdatedAt {
				return orElseErr(err, errNotPending)
			}
			*reread = true
			return errFaster
		})
		if err != nil {
			return now, err
		}
	}
	return now, tx.Post(insertReplay, []any{tx.Org(), c.ID, secret.Hash(in.id), store.TimeOf(in.until)}, func(rows int64) error {
		if rows == 0 {
			return refuse(http.StatusBadRequest, "replay", web.SaidBy(errNotPending), web.Say("The identity provider sent the same answer twice, or somebody copied one."))
		}
		return nil
	})
}

// leastSession is how long a session lasts at least that the provider gives an end. Ends
// are believed with some tolerance for its clock, and over one that has passed already the
// browser would be sent back to sign in again at once, round and round.
const leastSession = time.Minute

func lasting(end, now time.Time) time.Time {
	if least := now.Add(leastSession); !end.IsZero() && end.Before(least) {
		return least
	}
	return end
}

// finish turns a verified answer into a session, or into a refusal that explains
// itself. Everything that must happen once happens in one transaction.
func (d *Door) finish(w http.ResponseWriter, r *http.Request, c Connection, t ticket, in answered) error {
	if run := trialOf(r); run != nil {
		return d.endTest(w, r, c, run, &in, nil, nil)
	}
	in.arrival = bySource(c, in.arrival)
	var token, next string
	reread := false
	work := func(tx *store.Tx) error {
		now, err := in.spend(tx, c, t, &reread)
		if err != nil {
			return err
		}
		if in.pending.Purpose == purposeStepUp {
			next, err = d.proveAgain(tx, c, in.pending, &in)
			return err
		}
		out, err := d.signIn(tx, now, in.arrival)
		if err != nil {
			return err
		}
		u := out.User
		var id session.ID
		token, id, err = d.opts.Sessions.Start(tx, session.In{User: u.ID, Method: c.Protocol, Connection: string(c.ID),
			Ends: lasting(in.arrival.SessionNotOnOrAfter, tx.Now().Time()), AuthAt: in.arrival.AuthnInstant, AMR: strings.Join(in.arrival.AMR, " "), ACR: in.arrival.ACR})
		if err != nil {
			return err
		}
		if err := d.refer(tx, c, id, u.ID, in); err != nil {
			return err
		}
		next = in.pending.ReturnTo
		detail := came(c, id, in, out)
		if in.unasked {
			detail["started"] = "by the identity provider"
		}
		return tx.Record(store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName, Detail: detail})
	}
	if err := d.write(r, c, work); err != nil {
		return d.refused(w, r, c, &in.arrival, err, in.trace)
	}
	if !in.unasked {
		http.SetCookie(w, d.cookie(t.handle, "", c.Protocol == protocolSAML))
	}
	if token != "" { // else it was a step-up: the session stays
		if err := d.opts.Sessions.Forget(r); err != nil { // the browser's former session; the new one stands
			d.opts.Log.WarnContext(r.Context(), "former session not ended", "error", err)
		}
		d.opts.Sessions.SetCookie(w, token)
		d.keepChoice(w, c, in.arrival.Email)
	}
	http.Redirect(w, r, web.Local(next), http.StatusSeeOther)
	return nil
}

// write runs the sign-in, again when somebody else made the same account first:
// then it is found.
func (d *Door) write(r *http.Request, c Connection, work func(tx *store.Tx) error) (err error) {
	for range 3 {
		err = d.opts.DB.Write(r.Context(), actorOf(c, web.Actor(r)), work)
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return err
}

// autoSubmit is the only script of this door: it saves a click on a page that is
// only a form. Without it the button does the same.
const autoSubmit = `document.getElementById("go").submit()`

type postPage struct {
	Title, Text web.Said
	Action      string
	Fields      url.Values
}

// post answers with a form that sends itself. target is its origin, for the policy.
func post(w http.ResponseWriter, r *http.Request, target string, page postPage) error {
	submits(w, target)
	return pages.Write(w, r, http.StatusOK, "post", page)
}

// submits lets this answer's page send its form to target by itself.
func submits(w http.ResponseWriter, target string) {
	sum := sha256.Sum256([]byte(autoSubmit))
	web.Policy(w, "script-src", fmt.Sprintf("'sha256-%s'", base64.StdEncoding.EncodeToString(sum[:])))
	web.Policy(w, "form-action", target)
}
