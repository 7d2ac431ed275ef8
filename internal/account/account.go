// Package account is what people do with their own account: sign in with an
// address and a password, choose among their organizations, sign out, set a
// forgotten password, look at their own page; and the one-time set-up of a server.
//
//	GET  /login       asks for the address, or offers what this browser used last
//	POST /login       a domain with single sign-on: to its connection, or a choice of them;
//	                  else the password step, for known and unknown addresses alike
//	POST /login       with a password: password.Verify -> session, or a choice, or "no match",
//	                  or what the organization's policy wants instead (refused.go)
//	POST /login/code  the recovery code of a break-glass account (code.go)
//	POST /login/passkey   a passkey instead of all of it (passkey.go)
//	/login/second, /login/enroll  the second factor after the password, or making one (second.go, enroll.go)
//	POST /login/password  the person's own password after a temporary one (firstpassword.go)
//	POST /password/forgot -> Run -> mail -> GET, POST /password/reset/{token} -> session
//	/account/passkeys, /account/authenticator, /account/recovery-codes  one's own factors (factors.go)
//	/account/complete  what the organization requires of its people, before they go on (own.go)
//	GET, POST /setup/{token} -> organization, first operator, session
//
// Opening a link consumes nothing; the post that uses it does, in the transaction
// that does the work. Links and choices are stored as hashes.
//
// No page says whether an address has an account. The step after the address looks at
// its domain alone, never at people, so everybody gets the same page after the same
// work. Which organizations somebody belongs to is shown when the password was right
// in them, and over single sign-on the domain, which one organization has proved,
// says where it leads. It owns the tables
// password_resets, setups and signin_choices. Which connections there are is
// handed in from cmd/muster.
package account

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates/*.html
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Way is a connection that a sign-in page offers.
type Way struct{ Name, URL string }

// Options of an Account door.
type Options struct {
	DB        *store.DB
	Sessions  *session.Store
	Passwords *password.Store
	Factors   *factor.Store
	Mail      *mail.Outbox
	PublicURL string
	// ConnectionNames are the names of connections by id. May be nil.
	ConnectionNames func(tx *store.Tx) (map[string]string, error)
	// Discover gives the connections for an e-mail address, by its verified domain, of
	// this organization or, when it is empty, of whichever has it. It must not
	// depend on whether the address is known. May be nil.
	Discover func(ctx context.Context, org store.OrgID, email, next string) ([]Way, error)
	// Remembered is the connection over which this browser's person signed in last, and
	// the address; no URL: there is none. Forget makes the browser forget it. May be nil.
	Remembered func(r *http.Request, org store.OrgID, next string) (Way, string, error)
	Forget     func(w http.ResponseWriter)
	// Password tells whether people without a rule of their own may use a password at an
	// organization, for its sign-in page. May be nil: they may.
	Password func(ctx context.Context, org store.OrgID) (bool, error)
	// Connections gives the open connections of an organization. May be nil.
	Connections func(ctx context.Context, org store.OrgID, next string) ([]Way, error)
	// May tells what the organization's policy lets a person use. May be nil: then
	// everybody may use everything. Sessions asks the policy itself.
	May func(tx *store.Tx, user store.UserID) (password, sso bool, err error)
	// Filled are the attributes of a person that sign-ins fill. May be nil: none.
	Filled func(tx *store.Tx, u store.User) ([]Filled, error)
	// MayMove tells whether people may have this address without single sign-on, at an
	// organization. May be nil: they may.
	MayMove func(ctx context.Context, org store.OrgID, address string) (bool, error)
	// BreakGlass are the accounts that need a recovery code beside the password. All
	// there, or none.
	BreakGlass BreakGlass
	// Leave prepares signing out at the provider that a session came from, and gives
	// the page of ours where that goes on; empty: there is none. May be nil.
	Leave func(ctx context.Context, actor access.Actor, s session.Session) (path string, err error)
	Log   *slog.Logger
}

// BreakGlass is what the policy knows of accounts for emergencies.
type BreakGlass struct {
	// Named tells whether somebody is one.
	Named func(tx *store.Tx, user store.UserID) (bool, error)
	// UseCode uses a code up and raises the alarm, in the transaction of the sign-in.
	UseCode func(tx *store.Tx, user store.UserID, code string) (left int, ok bool, err error)
	// Few is what to say to somebody who has few codes left, or empty.
	Few func(left int) web.Said
}

// Account is the door.
type Account struct {
	opts  Options
	asked chan string // addresses of people who forgot their password
}

// maxAsked is how many of them may wait; each takes a few milliseconds.
const maxAsked = 1000

// New fills in the defaults.
func New(opts Options) *Account {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Discover == nil {
		opts.Discover = func(context.Context, store.OrgID, string, string) ([]Way, error) { return nil, nil }
	}
	if opts.Remembered == nil {
		opts.Remembered = func(*http.Request, store.OrgID, string) (Way, string, error) { return Way{}, "", nil }
		opts.Forget = func(http.ResponseWriter) {}
	}
	if opts.Password == nil {
		opts.Password = func(context.Context, store.OrgID) (bool, error) { return true, nil }
	}
	if opts.Connections == nil {
		opts.Connections = func(context.Context, store.OrgID, string) ([]Way, error) { return nil, nil }
	}
	if opts.Leave == nil {
		opts.Leave = func(context.Context, access.Actor, session.Session) (string, error) { return "", nil }
	}
	return &Account{opts: opts, asked: make(chan string, maxAsked)}
}

// Mount adds the routes.
func (a *Account) Mount(m *web.Mux) {
	m.Public("GET /{$}", func(w http.ResponseWriter, r *http.Request) error { return see(w, r, "/account") })
	m.Public("GET /login", a.showLogin)
	m.Public("POST /login", a.login)
	m.Public("GET /o/{org}/login", a.showLogin)
	m.Public("POST /o/{org}/login", a.login)
	m.Public("POST /login/choose", a.choose)
	m.Public("POST /login/code", a.code)
	m.Public("POST /login/password", a.newPassword)
	m.Public("POST /login/passkey", a.withPasskey)
	m.Public("POST /o/{org}/login/passkey", a.withPasskey)
	m.Public("GET /login/second", a.showSecond)
	m.Public("POST /login/second", a.withCode)
	m.Public("POST /login/second/passkey", a.withSecondPasskey)
	m.Public("GET /login/enroll", a.showEnroll)
	m.Public("POST /login/enroll", a.enrollApp)
	m.Public("POST /login/enroll/passkey", a.enrollPasskey)
	m.Member("GET /account/passkeys", a.factors("passkeys"))
	m.Member("GET /account/authenticator", a.factors("authenticator"))
	m.Member("GET /account/recovery-codes", a.factors("recovery-codes"))
	m.Member("POST /account/passkeys/new", fresh(a.beginPasskey))
	m.Member("POST /account/passkeys", a.addPasskey)
	m.Member("POST /account/passkeys/{passkey}/rename", a.renamePasskey)
	m.Member("POST /account/passkeys/{passkey}/remove", fresh(a.removePasskey))
	m.Member("POST /account/authenticator/new", fresh(a.beginApp))
	m.Member("POST /account/authenticator", a.addApp)
	m.Member("POST /account/authenticator/remove", fresh(a.removeApp))
	m.Member("POST /account/recovery-codes", fresh(a.newCodes))
	m.Public("POST /logout", a.logout)
	m.Public("GET /password/forgot", a.showForgot)
	m.Public("POST /password/forgot", a.forgot)
	m.Public("GET /password/reset/{token}", a.showReset)
	m.Public("POST /password/reset/{token}", a.reset)
	m.Public("GET /setup/{token}", a.showSetup)
	m.Public("POST /setup/{token}", a.setup)
	m.Console(access.Configure, "GET /console/{org}/settings/passwords", a.showRules)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/settings/passwords", a.changeRules)
	m.API(access.Configure, "GET /api/v1/settings/passwords", a.apiRules)           // Get the rules for passwords
	m.APIFresh(access.Configure, "PATCH /api/v1/settings/passwords", a.apiSetRules) // Change the rules for passwords. What is left out stays
	m.Console(access.Configure, "GET /console/{org}/settings/names", a.showNames)
	m.Console(access.Configure, "POST /console/{org}/settings/names", a.changeNames)
	m.API(access.Configure, "GET /api/v1/settings/names", a.apiNames)      // Get how user names of new people are made
	m.API(access.Configure, "PATCH /api/v1/settings/names", a.apiSetNames) // Change how user names of new people are made
	m.Console(access.EndUsers, "GET /console/{org}/users/{user}/password", a.showResetBy)
	m.ConsoleFresh(access.EndUsers, "POST /console/{org}/users/{user}/password", a.resetBy)
	m.APIFresh(access.EndUsers, "POST /api/v1/users/{user}/password-reset", a.apiReset) // Mail a person a link for a new password, or set a temporary one. With a temporary one the person's sessions end
	m.Member("GET /account", a.home)
	m.Member("POST /account/export", a.export)
	m.Member("GET /account/complete", a.showComplete)
	m.Member("POST /account/complete", a.saveComplete)
	m.Member("GET /account/profile", a.showProfile)
	m.Member("POST /account/profile", a.changeProfile)
	m.Member("GET /account/picture", a.ownPicture)
	m.Member("POST /account/picture", a.setPicture)
	m.Member("POST /account/picture/remove", a.removePicture)
	m.Console(access.ViewUsers, "GET /console/{org}/users/{user}/picture", a.pictureOf)
	m.Member("GET /account/preferences", a.showPreferences)
	m.Member("POST /account/preferences", a.changePreferences)
	m.Member("POST /account/address", a.askAddress)
	m.Member("POST /account/address/cancel", a.cancelAddress)
	m.Public("GET /account/address/confirm/{token}", a.showConfirm)
	m.Public("POST /account/address/confirm/{token}", a.confirmAddress)
	m.Public("GET /account/address/stop/{token}", a.showStop)
	m.Public("POST /account/address/stop/{token}", a.stopAddress)
	m.Member("GET /account/password", a.showChange)
	m.Member("POST /account/password", a.change)
	m.Member("GET /account/sessions", a.showSessions)
	m.Member("POST /account/sessions/end", a.endSessions)
	m.Member("GET /account/signins", a.showSignIns)
	m.Member("GET /account/activity", a.showActivity)
	m.Public("GET /api/v1/me", a.me) // Get who asks: the signed-in person, or the key
	m.Public("GET /.well-known/change-password", func(w http.ResponseWriter, r *http.Request) error { return see(w, r, "/account/password") })
}

// see sends the browser to a page of ours.
func see(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// person is a user acting for themselves, where the request came from.
func person(r *http.Request, org store.OrgID, user store.UserID, name string) access.Actor {
	ip := ""
	if addr := web.ClientIP(r); addr.IsValid() {
		ip = addr.String()
	}
	return access.Actor{Kind: access.Person, Org: string(org), ID: string(user), Name: name, IP: ip, Request: web.RequestID(r.Context()), Agent: web.UserAgent(r.Context())}
}

// signIn starts a session within a transaction and records it.
func (a *Account) signIn(tx *store.Tx, user store.UserID, name, method string) (token string, err error) {
	return a.signInWith(tx, name, session.In{User: user, Method: method})
}

// signInOrWait is signIn, or the beginning of a second step when the policy wants one.
func (a *Account) signInOrWait(tx *store.Tx, user store.UserID, name, method, next string) (token, waits string, err error) {
	token, err = a.signIn(tx, user, name, method)
	if session.WantsSecond(err) {
		waits, err = a.waits(tx, user, method, next)
	}
	return token, waits, err
}

func (a *Account) signInWith(tx *store.Tx, name string, in session.In) (token string, err error) {
	token, id, err := a.opts.Sessions.Start(tx, in)
	if err != nil {
		return "", err
	}
	if err := tx.SignedIn(in.User, in.Method); err != nil {
		return "", err
	}
	detail := map[string]any{"method": in.Method, "session": id, "amr": in.AMR}
	if in.AMR == "" {
		detail["amr"] = "pwd"
	}
	if in.SecondFactor != "" {
		detail["second_factor"] = in.SecondFactor
	}
	return token, tx.Record(store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(in.User), TargetName: name, Detail: detail})
}

// admit ends what session the browser had and gives it the new one.
func (a *Account) admit(w http.ResponseWriter, r *http.Request, token, next string) error {
	if err := a.opts.Sessions.Forget(r); err != nil {
		return err
	}
	a.opts.Sessions.SetCookie(w, token)
	return see(w, r, web.Local(next))
}

// Run mails the links that people ask for, and removes used-up ones, until ctx is
// done; whoever was told to look into their mail gets it also then.
func (a *Account) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.SendAsked(context.WithoutCancel(ctx))
		case address := <-a.asked:
			if err := a.remind(context.WithoutCancel(ctx), address); err != nil {
				a.opts.Log.ErrorContext(ctx, "mail a link for a new password", "error", err)
			}
		case <-tick.C:
			if err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
				a.opts.Log.ErrorContext(ctx, "sweep links", "error", err)
			}
		}
	}
}

// Sweep removes links and choices that can no longer be used.
func (a *Account) Sweep(ctx context.Context) error {
	now := store.TimeOf(a.opts.DB.Now())
	_, err1 := a.opts.DB.Sweep(ctx, "DELETE FROM password_resets WHERE expires_at <= ?", now)
	_, err2 := a.opts.DB.Sweep(ctx, "DELETE FROM signin_choices WHERE expires_at <= ?", now)
	_, err3 := a.opts.DB.Sweep(ctx, "DELETE FROM setups WHERE expires_at <= ?", now)
	_, err4 := a.opts.DB.Sweep(ctx, "DELETE FROM devices WHERE seen_at <= ?", now.Add(-deviceAge))
	_, err5 := a.opts.DB.Sweep(ctx, "DELETE FROM address_changes WHERE until <= ? AND undo_until <= ?", now, now)
	return errors.Join(err1, err2, err3, err4, err5)
}
