// Package web is the HTTP kit under every door: routes that name their
// protection, handlers that return errors, pages, forms and flash messages.
//
// A request goes through ServeHTTP (id, security headers, client address, panic
// guard, one log line), then the route's own guard, then the handler; what the
// handler returns as an error becomes a page, or problem JSON under /api.
//
//	m.Public("GET /login", h)                                   anybody; foreign sites may not post
//	m.Member("GET /account", h)                                 signed in, else to /login
//	m.Console(access.ViewUsers, "GET /console/{org}/users", h)  the right organization and permission
//	m.ConsoleFresh(access.Configure, "POST /console/{org}/keys", h)  the same, and signed in lately: for what matters
//	m.Operator("GET /console/-/mail", h)                        who runs the server; no organization
//	m.API(access.Configure, "GET /api/v1/directories", h)       programs with a key, and browsers that are signed in
//	m.Machine("POST /sso/saml/{connection}/acs", h)             outside cookies; guards itself
//
// There is no route without one of these. The package knows neither sessions
// nor features: who asks comes from Options.Authenticate, organizations from
// Options.Org. It owns the layout, the style sheet and the map from fault kinds
// to statuses. Pages work without JavaScript; the one
// script there is asks browsers for passkeys.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Handler answers a request or says why not. It must not have written anything
// when it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Org is the organization that a console page is about.
type Org struct{ ID, Slug, Name string }

// NavItem is one entry of the console's navigation. It is shown to those who
// hold Need; {org} in Path becomes the organization's slug.
type NavItem struct {
	Label string
	Path  string
	Need  access.Permission
	Also  []string // paths elsewhere that belong to it
}

// Options is what the kit must be told.
type Options struct {
	PublicURL      string                                                               // scheme and host by which browsers reach us
	Authenticate   func(*http.Request) (access.Actor, error)                            // fault.SignIn when nobody is signed in
	Org            func(ctx context.Context, slug string) (id, name string, err error)  // fault.NotFound when there is none
	Nav            []NavItem                                                            // the console's navigation, in order
	OperatorNav    []NavItem                                                            // the same on pages of Operator
	Entered        func(ctx context.Context, actor access.Actor) error                  // is told of an operator who enters an organization that is not the own one, on each request; may be nil
	TrustedProxies []netip.Prefix                                                       // peers whose X-Forwarded-For is believed; none by default
	Log            *slog.Logger                                                         // default slog.Default()
	Metrics        func(route, method string, status int, took time.Duration)           // may be nil
	Fresh          func(w http.ResponseWriter, r *http.Request) (asked bool, err error) // has who asks signed in lately? else answers with how to do it again; may be nil
	Prove          func(w http.ResponseWriter, r *http.Request) (asked bool, err error) // Fresh that asks however lately it was; nil: nobody passes
	Hold           func(r *http.Request, actor access.Actor) (to string, err error)     // where somebody has to go before a page of theirs is shown; empty: nowhere; may be nil
	Alarm          func(r *http.Request) (text, path string)                            // what an admin must look at, over every console page of those who may configure; may be nil
	Banner         func() Said                                                          // a line over every page ("mail stays on this machine"); may be nil
}

// Mux holds all routes. It is safe for use once everything is mounted.
type Mux struct {
	opts   Options
	public *url.URL
	log    *slog.Logger
	routes *http.ServeMux
	cross  *http.CrossOriginProtection

	patterns []string
	slashes  []string // see OneSlash
	programs []program

	parameters map[string][]Parameter // by pattern
}

// program is what Programs was told.
type program struct {
	below  string
	refuse func(w http.ResponseWriter, status int, why string)
}

// Patterns are all routes, for tests that walk them.
func (m *Mux) Patterns() []string { return slices.Clone(m.patterns) }

// NewMux panics when PublicURL is not an absolute http or https URL: config has checked it.
func NewMux(opts Options) *Mux {
	u, err := url.Parse(opts.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		panic(fmt.Sprintf("web: public URL %q is not like https://id.example.com", opts.PublicURL))
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	m := &Mux{opts: opts, public: u, log: opts.Log, routes: http.NewServeMux(), cross: http.NewCrossOriginProtection(), parameters: map[string][]Parameter{}}
	// Behind a proxy the Host header need not be the public one.
	if err := m.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		panic(fmt.Sprintf("web: public URL %q: %v", opts.PublicURL, err))
	}
	m.Public("GET /static/{file}", serveStatic)
	return m
}

// URL is path as an absolute URL under the public URL.
func (m *Mux) URL(path string) string {
	return strings.TrimSuffix(m.opts.PublicURL, "/") + path
}

// Public mounts a page for anybody. Unsafe methods from foreign sites are refused.
func (m *Mux) Public(pattern string, h Handler) {
	m.mount(pattern, func(w http.ResponseWriter, r *http.Request) error {
		if err := m.browser(r); err != nil {
			return err
		}
		return h(w, r)
	})
}

// Member mounts a page for signed-in people. Others are sent to /login and
// come back afterwards.
func (m *Mux) Member(pattern string, h Handler) {
	m.mount(pattern, func(w http.ResponseWriter, r *http.Request) error {
		if err := m.browser(r); err != nil {
			return err
		}
		if err := stateOf(r).signedIn(r); err != nil {
			return toLogin(w, r, err)
		}
		if held, err := stateOf(r).held(w, r); held || err != nil {
			return err
		}
		if err := asked(r); err != nil {
			return err
		}
		return h(w, r)
	})
}

// Console mounts a page about one organization; pattern must have {org}. The
// actor needs p there. Operators are moved into the organization; for everybody
// else another organization does not exist.
func (m *Mux) Console(p access.Permission, pattern string, h Handler) {
	if !strings.Contains(pattern, "/{org}") {
		panic("web: console route without {org}: " + pattern)
	}
	m.mount(pattern, func(w http.ResponseWriter, r *http.Request) error {
		if err := m.browser(r); err != nil {
			return err
		}
		s := stateOf(r)
		if err := s.signedIn(r); err != nil {
			return toLogin(w, r, err)
		}
		if held, err := s.held(w, r); held || err != nil {
			return err
		}
		if err := s.enter(r, p); err != nil {
			return err
		}
		return h(w, r)
	})
}

// ConsoleFresh is Console for what matters: a person must have signed in lately, or
// is asked to do it again and then goes on with what was typed.
func (m *Mux) ConsoleFresh(p access.Permission, pattern string, h Handler) {
	m.Console(p, pattern, fresh(h))
}

// APIFresh is API for what matters. Keys are not asked.
func (m *Mux) APIFresh(p access.Permission, pattern string, h Handler) { m.API(p, pattern, fresh(h)) }

func fresh(h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if asked, err := Fresh(w, r); asked || err != nil {
			return err
		}
		return h(w, r)
	}
}

// Fresh tells whether who asks has to sign in again first; then it has answered. It is
// for handlers in which it depends on what was typed; others are ConsoleFresh.
func Fresh(w http.ResponseWriter, r *http.Request) (asked bool, err error) {
	s := stateOf(r)
	if s.mux == nil || s.mux.opts.Fresh == nil {
		return false, nil
	}
	return s.mux.opts.Fresh(w, r)
}

// Prove is Fresh for what would give a whole account away: it asks in each session,
// however new it is, so that somebody before an open browser gets no further.
func Prove(w http.ResponseWriter, r *http.Request) (asked bool, err error) {
	s := stateOf(r)
	if s.mux == nil || s.mux.opts.Prove == nil {
		return false, fault.Denied.Say("There is no way here to prove who you are.")
	}
	return s.mux.opts.Prove(w, r)
}

// Operator mounts a page for whoever runs the server, about no organization.
func (m *Mux) Operator(pattern string, h Handler) {
	m.Member(pattern, func(w http.ResponseWriter, r *http.Request) error {
		s := stateOf(r)
		if !s.actor.Operator {
			return fault.Denied.Say("This page is for operators of this server.")
		}
		s.operating = true
		return h(w, r)
	})
}

// OperatorFresh is Operator for what matters, as ConsoleFresh is Console.
func (m *Mux) OperatorFresh(pattern string, h Handler) { m.Operator(pattern, fresh(h)) }

// OperatorAPI mounts an endpoint of the REST API for whoever runs the server. Refusals
// are problem JSON.
func (m *Mux) OperatorAPI(pattern string, h Handler) {
	if !strings.Contains(pattern, " /api/") {
		panic("web: API route outside /api: " + pattern)
	}
	m.Operator(pattern, h)
}

// OperatorAPIFresh is OperatorAPI for what matters, as APIFresh is API.
func (m *Mux) OperatorAPIFresh(pattern string, h Handler) { m.OperatorAPI(pattern, fresh(h)) }

// API mounts an endpoint of the REST API about one organization: that of the key
// or the session. An operator, who belongs to none, says which in ?org=SLUG. The
// actor needs p there. Refusals are problem JSON.
func (m *Mux) API(p access.Permission, pattern string, h Handler) {
	if !strings.Contains(pattern, " /api/") {
		panic("web: API route outside /api: " + pattern)
	}
	m.mount(pattern, func(w http.ResponseWriter, r *http.Request) error {
		if err := m.browser(r); err != nil {
			return err
		}
		s := stateOf(r)
		if err := s.signedIn(r); err != nil {
			return err
		}
		if err := asked(r); err != nil {
			return err
		}
		if err := s.enterAPI(r, p); err != nil {
			return err
		}
		return h(w, r)
	})
}

// OneSlash has several slashes in a row read as one in paths that begin with below.
// ServeMux would redirect; programs whose base URL was entered with a slash at its end
// do not follow, or leave their Authorization behind.
func (m *Mux) OneSlash(below string) { m.slashes = append(m.slashes, below) }

// Programs has refuse answer what goes wrong in paths that begin with below, also where no
// route is or the route takes another method: whoever asks there reads no pages. A * in
// below is any one part of a path, which then has to be whole. why is a sentence in English.
func (m *Mux) Programs(below string, refuse func(w http.ResponseWriter, status int, why string)) {
	m.programs = append(m.programs, program{below, refuse})
}

// Machine mounts an endpoint for programs and for posts from foreign sites
// (SAML): no cookies, no cross-origin check, no body limit. The handler does
// its own authentication and limits.
func (m *Mux) Machine(pattern string, h Handler) {
	m.mount(pattern, func(w http.ResponseWriter, r *http.Request) error {
		s := stateOf(r)
		s.resolved = true // nobody: Actor never looks at the cookie
		r.Body = s.body
		return h(w, r)
	})
}

// held sends a browser that asks for a page to where its person has to go first. Forms
// that were sent go through: what was typed must not be lost.
func (s *state) held(w http.ResponseWriter, r *http.Request) (bool, error) {
	if s.mux.opts.Hold == nil || r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasPrefix(r.URL.Path, "/api/") {
		return false, nil
	}
	to, err := s.mux.opts.Hold(r, s.actor)
	if err != nil || to == "" {
		return false, err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return true, nil
}

// enter moves the actor into the organization of the URL and checks p there.
func (s *state) enter(r *http.Request, p access.Permission) error {
	slug := r.PathValue("org")
	id, name, err := s.mux.opts.Org(r.Context(), slug)
	if err != nil {
		return err
	}
	if id != s.actor.Org && !s.actor.Operator {
		return fault.NotFound.Say("There is no organization %q here, or you do not belong to it.", slug)
	}
	if err := s.move(r, id); err != nil {
		return err
	}
	s.org = Org{ID: id, Slug: slug, Name: name}
	if !s.actor.May(p) {
		return fault.Denied.Say("Your role does not allow this page. Ask an administrator of %s for the permission %q.", name, string(p))
	}
	return nil
}

// move has the actor work in an organization. That an operator comes in from elsewhere
// must be on record before anything is shown.
func (s *state) move(r *http.Request, org string) error {
	from := s.actor.Org
	s.actor = s.actor.In(org)
	if from == org || !s.actor.Operator || s.mux.opts.Entered == nil {
		return nil
	}
	return s.mux.opts.Entered(r.Context(), s.actor)
}

// enterAPI is enter for the organization that no path names.
func (s *state) enterAPI(r *http.Request, p access.Permission) error {
	slug := r.URL.Query().Get("org")
	switch {
	case slug != "":
		id, name, err := s.mux.opts.Org(r.Context(), slug)
		if fault.Is(err, fault.NotFound) || err == nil && id != s.actor.Org && !s.actor.Operator {
			return fault.NotFound.On("org", "There is no organization %.64q here, or the key does not belong to it.", slug)
		}
		if err != nil {
			return err
		}
		if err := s.move(r, id); err != nil {
			return err
		}
		s.org = Org{ID: id, Slug: slug, Name: name}
	case s.actor.Org == "":
		return fault.Invalid.On("org", "An operator says which organization is meant: add ?org=SLUG to the address.")
	default:
		s.org = Org{ID: s.actor.Org}
	}
	if !s.actor.May(p) {
		return fault.Denied.Say("The role does not allow this: it needs the permission %q.", string(p))
	}
	return nil
}

// browser is what every route for browsers checks first. What a database could
// not hold is no page of ours either.
func (m *Mux) browser(r *http.Request) error {
	if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
		return fault.NotFound.Say("There is nothing at this address.")
	}
	if err := m.cross.Check(r); err != nil {
		return fault.Denied.Wrap(err, "This form was sent from another site, so nothing was done. Open the page here and try again.")
	}
	return nil
}

// toLogin sends a browser to the sign-in page and back to where it wanted to
// go; what was typed waits on a page. Programs under /api get the refusal itself, and
// so does any other error.
func toLogin(w http.ResponseWriter, r *http.Request, err error) error {
	if !fault.Is(err, fault.SignIn) || strings.HasPrefix(r.URL.Path, "/api/") {
		return err
	}
	target := "/login"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		target += "?next=" + url.QueryEscape(r.URL.RequestURI())
	} else if kept, err := keepTyped(w, r); kept || err != nil {
		return err
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}
