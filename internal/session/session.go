// Package session keeps signed-in browsers.
//
// Start puts a row into the caller's transaction and returns an opaque token,
// which goes to the browser as a cookie; only its hash is stored. Each request
// looks the row up together with the person's status, roles, what these allow and the
// operator mark in one query, so whoever is deactivated, deleted or demoted by any door is out (or
// has less) with the next request, and no door needs to call this package for it.
// Access that is given back begins anew: sessions from before stay dead.
//
// A session ends when it is idle too long, at its absolute end, by End, or with
// the person's status. How long is too long is the organization's policy, read by the
// look-up, so that a change acts on running sessions. No session starts past
// Options.Admit, which holds the same policy against each sign-in, whatever door it
// comes through. The package owns the tables sessions and operators, and reads users,
// user_roles, org_roles, policies and whether the organization is suspended, whose truth it must not copy.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ID names a session. It is no secret: the token is.
type ID = store.ID[Session]

// Session is one signed-in browser.
type Session struct {
	ID         ID
	Org        store.OrgID
	UserID     store.UserID
	Method     string // "password", "passkey", "saml", "oidc", "invite", "setup"
	Connection string // the identity provider's connection id, or empty
	CreatedAt  store.Time
	AuthAt     store.Time // when the person last proved who they are
	AMR        string     // how, in the words of RFC 8176: "pwd", "pwd otp", what the provider said
	ACR        string     // the class of it that the provider said
	SeenAt     store.Time // as of the last few minutes
	ExpiresAt  store.Time // the absolute end
	IP         string     // where it was started from
	UserAgent  string
}

// Options of a Store.
type Options struct {
	DB        *store.DB
	PublicURL string        // https: the cookie is __Host- and Secure
	Idle      time.Duration // default 12 hours
	Absolute  time.Duration // default 7 days
	Log       *slog.Logger
	// Admit holds a sign-in against the organization's policy, in the transaction
	// that starts the session. It refuses with a NotAllowed. May be nil.
	Admit func(tx *store.Tx, in In) error
	// Started is told of each session in the transaction that starts it. May be nil.
	Started func(tx *store.Tx, in In) error
}

// Store starts, finds and ends sessions. Safe for concurrent use.
type Store struct {
	opts   Options
	secure bool
}

// New fills in the defaults.
func New(opts Options) *Store {
	if opts.Idle == 0 {
		opts.Idle = 12 * time.Hour
	}
	if opts.Absolute == 0 {
		opts.Absolute = 7 * 24 * time.Hour
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Store{opts: opts, secure: strings.HasPrefix(opts.PublicURL, "https://")}
}

// longest is how long any session may live at most, whatever the policy says.
const longest = 400 * 24 * time.Hour

// In is a sign-in that is about to become a session.
type In struct {
	User         store.UserID
	Method       string    // see Session
	Connection   string    // of the identity provider, or empty
	Ends         time.Time // an earlier end (an assertion's SessionNotOnOrAfter), or zero
	AuthAt       time.Time // when the person proved who they are, if that was before now
	AMR, ACR     string    // see Session; "pwd" when a password or a link was all
	SecondFactor string    // what was checked beside the password or instead of it: "passkey", "authenticator app", "recovery code"; empty: nothing
	Emergency    bool      // it was a recovery code of a break-glass account
}

// NotAllowed is a sign-in that the organization's policy turns down. It comes inside
// a fault.Denied with a sentence for the person, and only after the person has proved
// who they are: a stranger learns nothing of the policy of others.
type NotAllowed struct {
	Use  string // what to use: UseSSO, UsePassword, UseCode, UseSecond or UseNewPassword
	Rule string // which rule it was, for the administrator
}

// What a person may use instead.
const (
	UseSSO      = "single sign-on"
	UsePassword = "password"
	UseCode     = "password and recovery code"
	UseSecond   = "a second factor"
	// UseNewPassword: the password was right and is good for setting another one only.
	UseNewPassword = "a new password"
)

func (n *NotAllowed) Error() string { return n.Rule + ": use " + n.Use }

// WantsSecond tells whether a sign-in was turned down for want of a second factor alone:
// then nothing was written, and the transaction can go on.
func WantsSecond(err error) bool {
	not, ok := errors.AsType[*NotAllowed](err)
	return ok && not.Use == UseSecond
}

// Start signs a person in. It always makes a new token, which is returned once.
// Recording the sign-in is the caller's. Faults: Denied (not active; NotAllowed; the
// organization is suspended).
func (s *Store) Start(tx *store.Tx, in In) (token string, id ID, err error) {
	if s.opts.Admit != nil {
		if err := s.opts.Admit(tx, in); err != nil {
			return "", "", err
		}
	}
	now := tx.Now()
	end := now.Add(longest)
	if at := store.TimeOf(in.Ends); at != 0 && at < end {
		end = at
	}
	proved := now
	if at := store.TimeOf(in.AuthAt); at != 0 && at < now {
		proved = at
	}
	if in.AMR == "" && in.Connection == "" {
		in.AMR = "pwd"
	}
	token = string(tx.Org()) + "." + secret.NewToken()
	id = store.NewID[Session]()
	err = tx.Post(insertSession, []any{secret.Hash(token), id, in.Method, store.ID[struct{}](in.Connection), now, now, end,
		tx.Actor().IP, web.UserAgent(tx.Context()), proved, clip(in.AMR), clip(in.ACR), tx.Org(), in.User}, started(tx))
	if err == nil && s.opts.Started != nil {
		err = s.opts.Started(tx, in)
	}
	return token, id, err
}

// started refuses a session that has no active person, or is of a suspended organization.
func started(tx *store.Tx) func(rows int64) error {
	return func(rows int64) error {
		if rows > 0 {
			return nil
		}
		if err := tx.NotSuspended(false); err != nil {
			return err
		}
		return fault.Denied.Say("This account is not active. Ask an administrator of your organization.")
	}
}

// clip makes what a provider said fit to be stored and shown.
func clip(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, s[:min(len(s), 300)])
}

// Proved notes that a person has just proved again who they are, in a session of
// theirs. It tells false when there is no such session.
func (s *Store) Proved(tx *store.Tx, id ID, user store.UserID, at time.Time) (bool, error) {
	proved := min(store.TimeOf(at), tx.Now())
	n, err := tx.Exec("UPDATE sessions SET auth_at = CASE WHEN auth_at > ? THEN auth_at ELSE ? END WHERE org_id = ? AND id = ? AND user_id = ?",
		proved, proved, tx.Org(), id, user)
	return n > 0, err
}

// SetAMR notes how the person of a session has proved it by now.
func (s *Store) SetAMR(tx *store.Tx, id ID, amr string) error {
	_, err := tx.Exec("UPDATE sessions SET amr = ? WHERE org_id = ? AND id = ?", clip(amr), tx.Org(), id)
	return err
}

// Actor is who a request's cookie belongs to. Faults: SignIn.
func (s *Store) Actor(r *http.Request) (access.Actor, Session, error) {
	token, org, err := s.cookie(r)
	if err != nil {
		return access.Actor{}, Session{}, err
	}
	now := s.opts.DB.Now()
	var row sessionRow
	at := store.TimeOf(now)
	err = s.opts.DB.Lookup(r.Context(), &row, selectSession, micros(s.opts.Idle), micros(s.opts.Absolute), org, secret.Hash(token),
		at, at, micros(s.opts.Absolute), at, micros(s.opts.Idle))
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, Session{}, fault.SignIn.Say("Your session has ended. Please sign in.")
	}
	if err != nil {
		return access.Actor{}, Session{}, err
	}
	if now.Sub(row.SeenAt.Time()) > touchAfter(row.Idle) {
		s.touch(r.Context(), org, token, store.TimeOf(now))
	}
	s.prefer(r.Context(), row)
	actor := access.Actor{Kind: access.Person, Org: string(org), ID: string(row.UserID), Name: row.name(), Roles: row.roles(), Operator: row.Operator,
		Request: web.RequestID(r.Context())}
	actor.Granted = s.opts.DB.Granted(actor.Roles, row.Own)
	if ip := web.ClientIP(r); ip.IsValid() {
		actor.IP = ip.String()
	}
	return actor, row.session(), nil
}

// ActorOf is who a person of the transaction's organization would be in a request at this
// moment, without an address: for what was ordered in a session and is done later.
// Faults: Denied (not active any more).
func (s *Store) ActorOf(tx *store.Tx, user store.UserID) (access.Actor, error) {
	var row sessionRow
	err := tx.Get(&row, actorColumns+" WHERE u.org_id = ? AND u.id = ? AND u.status = 'active'", tx.Org(), user)
	return s.actor(row, err)
}

// OperatorOf is ActorOf for an operator of any organization. Faults: Denied (not any more).
func (s *Store) OperatorOf(ctx context.Context, user store.UserID) (access.Actor, error) {
	var row sessionRow
	err := s.opts.DB.Lookup(ctx, &row, actorColumns+` JOIN operators o ON o.org_id = u.org_id AND o.user_id = u.id WHERE o.user_id = ? AND u.status = 'active'`, user)
	return s.actor(row, err)
}

func (s *Store) actor(r sessionRow, err error) (access.Actor, error) {
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, fault.Denied.Wrap(err, "This account is not active any more.")
	}
	return access.Actor{Kind: access.Person, Org: string(r.Org), ID: string(r.UserID), Name: r.name(), Roles: r.roles(), Operator: r.Operator,
		Granted: s.opts.DB.Granted(r.roles(), r.Own)}, err
}

// prefer tells the pages of this request in which language and time zone they are read.
func (s *Store) prefer(ctx context.Context, row sessionRow) {
	theirs, err := store.Locale{}.Or(row.OrgLocale)
	if err != nil { // English is no reason to keep everybody out
		s.opts.Log.WarnContext(ctx, "language of the organization", "org", row.Org, "error", err)
	}
	web.Prefer(ctx, web.Preferences{Language: row.Language, TimeZone: row.TimeZone, Theme: row.Theme, OrgLanguage: theirs.Language, OrgTimeZone: theirs.TimeZone})
}

// Authenticate is Actor in the form that web.Options wants.
func (s *Store) Authenticate(r *http.Request) (access.Actor, error) {
	actor, _, err := s.Actor(r)
	return actor, err
}

func micros(d time.Duration) int64 { return d.Microseconds() }

// touchAfter keeps most requests free of a write: with an hour and more of idle time a
// session is touched each hundredth of it, else each minute.
func touchAfter(idle int64) time.Duration {
	return max(time.Duration(idle)*time.Microsecond/100, time.Minute)
}

// touch notes that the session is in use. A failure costs some idle time and no request.
func (s *Store) touch(ctx context.Context, org store.OrgID, token string, now store.Time) {
	err := s.opts.DB.Write(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE sessions SET seen_at = ? WHERE org_id = ? AND token_hash = ? AND seen_at < ?", now, tx.Org(), secret.Hash(token), now)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.opts.Log.WarnContext(ctx, "session not touched", "error", err)
	}
}

// List are a person's live sessions, newest first.
func (s *Store) List(tx *store.Tx, user store.UserID) ([]Session, error) {
	var rows []sessionRow
	now := tx.Now()
	err := tx.Select(&rows, listSessions, micros(s.opts.Idle), micros(s.opts.Absolute), tx.Org(), user, now, now, micros(s.opts.Absolute), now, micros(s.opts.Idle))
	if err != nil {
		return nil, err
	}
	list := make([]Session, len(rows))
	for i, row := range rows {
		list[i] = row.session()
	}
	return list, nil
}

// End ends one session of the organization. Ending twice is no fault.
func (s *Store) End(tx *store.Tx, id ID) error {
	_, err := tx.Exec("DELETE FROM sessions WHERE org_id = ? AND id = ?", tx.Org(), id)
	return err
}

// EndOf ends one session of a person, and tells whether there was one.
func (s *Store) EndOf(tx *store.Tx, user store.UserID, id ID) (bool, error) {
	n, err := tx.Exec("DELETE FROM sessions WHERE org_id = ? AND user_id = ? AND id = ?", tx.Org(), user, id)
	return n > 0, err
}

// EndAllOf ends every session of a person.
func (s *Store) EndAllOf(tx *store.Tx, user store.UserID) error { return s.EndOthers(tx, user, "") }

// EndOthers ends every session of a person but keep.
func (s *Store) EndOthers(tx *store.Tx, user store.UserID, keep ID) error {
	if keep == "" {
		keep = ID(strings.Repeat("0", 32)) // no session's; NULL would compare to nothing
	}
	_, err := tx.Exec("DELETE FROM sessions WHERE org_id = ? AND user_id = ? AND id <> ?", tx.Org(), user, keep)
	return err
}

// EndOver ends every session that a connection opened, and says how many.
func (s *Store) EndOver(tx *store.Tx, connection string) (int64, error) {
	return tx.Exec("DELETE FROM sessions WHERE org_id = ? AND connection_id = ?", tx.Org(), store.ID[struct{}](connection))
}

// Holder is somebody who is signed in with a password or a link.
type Holder struct {
	User     store.UserID `db:"user_id"`
	EmailKey string       `db:"email_key"`
	NameKey  string       `db:"user_name_key"`
	Sessions int          `db:"sessions"`
}

// WithoutProvider are the people with sessions that no identity provider stands behind.
func (s *Store) WithoutProvider(tx *store.Tx) (list []Holder, err error) {
	now := tx.Now()
	return list, tx.Select(&list, holders, tx.Org(), now, now, micros(s.opts.Absolute), now, micros(s.opts.Idle))
}

// EndWithoutProvider ends such sessions of these people.
func (s *Store) EndWithoutProvider(tx *store.Tx, users []store.UserID) error {
	list, err := json.Marshal(users)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM sessions WHERE org_id = ? AND user_id {{in_ids}}"+withoutProvider, tx.Org(), string(list))
	return err
}

// Forget ends the session of this browser, if it has one: on signing out, and
// before a new sign-in.
func (s *Store) Forget(r *http.Request) error {
	token, org, err := s.cookie(r)
	if err != nil {
		return nil
	}
	return s.opts.DB.Write(r.Context(), access.Muster(string(org)), func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM sessions WHERE org_id = ? AND token_hash = ?", tx.Org(), secret.Hash(token))
		return err
	})
}

// MakeOperator lets a person run the server. Faults: Denied.
func (s *Store) MakeOperator(tx *store.Tx, user store.UserID) error {
	if err := tx.Require(access.Operate); err != nil {
		return err
	}
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	if err := tx.NotSuspended(true); err != nil {
		return err
	}
	n, err := tx.Exec("INSERT INTO operators (org_id, user_id, created_at) VALUES (?, ?, ?) ON CONFLICT (org_id, user_id) DO NOTHING", tx.Org(), user, tx.Now())
	if err != nil || n == 0 {
		return err
	}
	return tx.Record(store.Activity{Action: "operator.add", TargetKind: "user", TargetID: string(user), TargetName: u.DisplayName})
}

// OperatorsIn are the people of tx's organization who run the server.
func (s *Store) OperatorsIn(tx *store.Tx) (ids []store.UserID, err error) {
	return ids, tx.Select(&ids, "SELECT user_id FROM operators WHERE org_id = ? ORDER BY user_id", tx.Org())
}

// EndAll ends every session of tx's organization.
func (s *Store) EndAll(tx *store.Tx) (int64, error) {
	return tx.Exec("DELETE FROM sessions WHERE org_id = ?", tx.Org())
}

// IsOperator tells whether a person of tx's organization runs the server.
func (s *Store) IsOperator(tx *store.Tx, user store.UserID) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT count(*) FROM operators WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return n > 0, err
}

// Operators counts the active ones, over all organizations.
func (s *Store) Operators(ctx context.Context) (int, error) {
	var n int
	return n, s.opts.DB.Lookup(ctx, &n, countOperators)
}

// Run removes ended sessions until ctx is done.
func (s *Store) Run(ctx context.Context) error {
	store.Every(ctx, s.opts.Log, 10*time.Minute, nil, "sweep sessions", s.Sweep)
	return nil
}

// Sweep removes what can no longer be used.
func (s *Store) Sweep(ctx context.Context) error {
	now := s.opts.DB.Now()
	_, err1 := s.opts.DB.Sweep(ctx, "DELETE FROM sessions WHERE expires_at <= ?", store.TimeOf(now))
	_, err2 := s.opts.DB.Sweep(ctx, sweepIdle, store.TimeOf(now), micros(s.opts.Idle))
	_, err3 := s.opts.DB.Sweep(ctx, sweepOld, store.TimeOf(now), micros(s.opts.Absolute))
	return errors.Join(err1, err2, err3)
}

func (r sessionRow) name() string {
	for _, n := range []string{r.DisplayName, r.UserName} {
		if n != "" {
			return n
		}
	}
	return "Your account"
}

func (r sessionRow) roles() []string {
	if r.Roles == "" {
		return []string{store.DefaultRole}
	}
	list := strings.Split(r.Roles, ",")
	slices.Sort(list)
	return slices.Compact(list) // one role can have several reasons
}
