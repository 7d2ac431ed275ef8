package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// area is one page of the account.
type area struct {
	Path, Label string
	About       string
	Current     bool
}

// areas are the pages of the account, in the order of its navigation.
var areas = []area{
	{Path: "/account", Label: "Overview"},
	{Path: "/account/profile", Label: "Profile", About: "Your name, picture and e-mail address."},
	{Path: "/account/preferences", Label: "Preferences", About: "Language, time zone, colours, signature, and which mails you get."},
	{Path: "/account/password", Label: "Password", About: "Change it, and end other sessions."},
	{Path: "/account/passkeys", Label: "Passkeys", About: "Sign in without a password."},
	{Path: "/account/authenticator", Label: "Authenticator app", About: "A code beside your password."},
	{Path: "/account/recovery-codes", Label: "Recovery codes", About: "For when the others are not at hand."},
	{Path: "/account/sessions", Label: "Sessions and devices", About: "Where you are signed in, and how to sign out there."},
	{Path: "/account/signins", Label: "Sign-ins", About: "Every sign-in to your account, and every attempt that was refused."},
	{Path: "/account/checklists", Label: "Tasks", About: "What you are to do for people who join or leave."},
	{Path: "/account/reviews", Label: "Reviews", About: "What the people whose manager you are have, when a review asks you."},
	{Path: "/account/activity", Label: "Activity", About: "What was changed about your account, by whom and why."},
}

// around is the navigation on a page of the account.
func around(r *http.Request) []area { return aroundAt(r.URL.Path) }

// aroundAt is around where a form was sent to another path than its page's.
func aroundAt(path string) []area {
	list := make([]area, len(areas))
	for i, p := range areas {
		p.Current = path == p.Path
		list[i] = p
	}
	return list
}

type homePage struct {
	self
	Areas   []area
	Console bool
}

// methods are what the ways of signing in are called on a page.
var methods = map[string]string{"password": "Password", "passkey": "Passkey", "saml": "Single sign-on (SAML)", "oidc": "Single sign-on (OpenID Connect)", "invite": "Invitation", "setup": "Set-up link"}

// sources are what the origins of people are called on a page.
var sources = map[store.Source]string{store.FromInvite: "Invitation", store.FromCSV: "CSV import", store.FromJIT: "First sign-in", store.FromSCIM: "Directory", store.FromAPI: "API"}

// SourceName is the word for where the person came from.
func (p homePage) SourceName() string { return sources[p.User.Source] }

// Name is what to call the person.
func (p homePage) Name() string {
	if fault.Shows(p.User.DisplayName) {
		return p.User.DisplayName
	}
	return p.User.UserName
}

// methodName is the word for how somebody signed in.
func methodName(method string) string {
	if name := methods[method]; name != "" {
		return name
	}
	return method
}

// SignedInWith is the word for how this session was started.
func (p homePage) SignedInWith() string { return methodName(p.Session.Method) }

func (a *Account) home(w http.ResponseWriter, r *http.Request) error {
	s, err := a.self(r)
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "account", homePage{self: s, Areas: around(r), Console: s.Actor.May(access.ViewUsers)})
}

// member is who asks on a page of the account, reading and changing what is their own.
func (a *Account) member(r *http.Request) (access.Actor, error) {
	actor, now, err := a.opts.Sessions.Actor(r)
	actor.Agent = web.UserAgent(r.Context())
	return actor.In(string(now.Org)), err
}
