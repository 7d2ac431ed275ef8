/*
Package policy is how people of one organization may sign in, and how long that
lasts: passwords, single sign-on by mail domain, spans of sessions, break-glass
accounts, second factors, fresh sign-ins for what matters.

	Admit     each sign-in is held against the policy in the transaction that starts its
	          session: session.Options.Admit, so that no door can forget it
	Methods   what a sign-in page offers for a mail domain, alike for known and unknown people
	Fresh     what matters asks for a sign-in that is not old: web.Options.Fresh (stepup.go)

A sign-in locks the row of its policy in share, a change locks it alone. So a change
that ends password sessions sees every one that was admitted before it, and none is
admitted after it by the old rules.

It owns the tables policies, break_glass, break_glass_codes, break_glass_signins and
step_ups, and relies on store for people, on session for sessions, on factor for what people have beside a password. What it
must know of connections and links is handed in from cmd/muster.
*/
package policy

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// SSO is the rule of single sign-on, of an organization or of a mail domain.
type SSO string

// The rules.
const (
	Off      SSO = "off"      // nobody signs in over a connection
	Optional SSO = "optional" // who can may
	Required SSO = "required" // nobody signs in otherwise
)

// Second is the rule of second factors, beside a password. Whoever comes over a
// connection is asked by the identity provider.
type Second string

// The rules. Whoever has one is asked for it unless it is SecondOff.
const (
	SecondOff      Second = "off"
	SecondOptional Second = "optional"
	SecondAdmins   Second = "admins" // admins must have one
	SecondAll      Second = "all"    // everybody must
)

// Policy is what one organization decided.
type Policy struct {
	Password bool           // passwords may be used at all
	SSO      SSO            // for whom no domain's rule is meant
	Domains  map[string]SSO // by mail domain
	Idle     time.Duration  // how long a session lives without a request; 0: the server's setting
	Absolute time.Duration  // how long it lives at most; 0: the server's setting
	Fresh    time.Duration  // how long ago the last proof of who somebody is may be, for what matters
	Second   Second
	Version  int64
}

// freshDefault is how old a sign-in may be, for what matters.
const freshDefault = 15 * time.Minute

// Default is the policy of an organization that has decided nothing.
func Default() Policy {
	return Policy{Password: true, SSO: Optional, Domains: map[string]SSO{}, Fresh: freshDefault, Second: SecondOptional}
}

// Methods are the ways in which somebody may sign in.
type Methods struct{ Password, SSO bool }

// Methods of the people of a mail domain; empty: of people without one.
func (p Policy) Methods(domain string) Methods {
	rule, ok := p.Domains[domain]
	if !ok {
		rule = p.SSO
	}
	return Methods{Password: p.Password && rule != Required, SSO: rule != Off}
}

// Enforced tells whether there is somebody who must use single sign-on.
func (p Policy) Enforced() bool {
	for _, rule := range p.Domains {
		if rule == Required {
			return true
		}
	}
	return !p.Password || p.SSO == Required
}

// Domain is the mail domain of an address, folded; empty when it has none.
func Domain(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return store.Fold(address[at+1:])
}

// Options is what the door must be told.
type Options struct {
	DB        *store.DB
	Sessions  *session.Store
	Passwords *password.Store
	Factors   *factor.Store // nil: nobody has any
	PublicURL string
	Key       secret.Key // seals what was typed while somebody signs in again
	Log       *slog.Logger
	// Connections are the organization's connections to identity providers.
	Connections func(tx *store.Tx) ([]Connection, error)
	// Domains are the mail domains that the organization has proved.
	Domains func(tx *store.Tx) ([]string, error)
	// Resets are the people with an open link for a new password; EndResets ends them.
	Resets    func(tx *store.Tx) ([]store.UserID, error)
	EndResets func(tx *store.Tx, users []store.UserID) error
	// StepUp sends the session's person to the identity provider for a fresh sign-in,
	// and then to the path back.
	StepUp func(w http.ResponseWriter, r *http.Request, s session.Session, back string) error
	// Tell mails a notice to all admins of the organization; nil: nobody is told.
	Tell func(tx *store.Tx, n web.Notice) error
}

// Connection is what the policy asks about a connection.
type Connection struct {
	ID     string
	Name   string
	Active bool
	// Proved is when somebody last signed in over it for a test, or an admin in earnest.
	Proved store.Time
	// Wrong is why nobody can sign in over it although it is active: a certificate that
	// has ended. Empty: nothing is known to be wrong.
	Wrong string
}

// Door has the operations. Safe for concurrent use.
type Door struct{ opt Options }

// New makes the door.
func New(opt Options) *Door {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Door{opt: opt}
}

// Methods are the ways in which people of a mail domain may sign in to an
// organization. It says nothing about whether an address has an account.
func (d *Door) Methods(ctx context.Context, org store.OrgID, domain string) (m Methods, err error) {
	err = d.opt.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		p, err := load(tx)
		m = p.Methods(store.Fold(domain))
		return err
	})
	return m, err
}

// OnlySSO tells which of these mail domains cannot use passwords.
func (d *Door) OnlySSO(tx *store.Tx, domains []string) (map[string]bool, error) {
	p, err := load(tx)
	only := map[string]bool{}
	for _, domain := range domains {
		domain = store.Fold(domain)
		only[domain] = !p.Methods(domain).Password
	}
	return only, err
}

// AnyMethods are the ways in which anybody of an organization may sign in, for its own
// sign-in page, which does not know yet who comes.
func (d *Door) AnyMethods(ctx context.Context, org store.OrgID) (m Methods, err error) {
	err = d.opt.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		p, err := load(tx)
		m = p.Methods("")
		for domain := range p.Domains {
			own := p.Methods(domain)
			m = Methods{Password: m.Password || own.Password, SSO: m.SSO || own.SSO}
		}
		return err
	})
	return m, err
}

// MethodsOf are the ways in which one person may sign in. Show them to the person
// or in the mailbox only.
func (d *Door) MethodsOf(tx *store.Tx, user store.UserID) (Methods, error) {
	p, err := load(tx)
	if err != nil {
		return Methods{}, err
	}
	who, err := personIn(tx, user)
	if err != nil || who.Named {
		return Methods{Password: true}, err
	}
	return p.Methods(who.domain()), nil
}

// Admit refuses a sign-in that the policy does not allow. It is session.Options.Admit;
// tx must be the one that starts the session. Faults: Denied around a session.NotAllowed.
func (d *Door) Admit(tx *store.Tx, in session.In) error {
	if in.Method == "setup" { // the organization is new
		return nil
	}
	p, err := hold(tx, share)
	if err != nil {
		return err
	}
	who, err := personIn(tx, in.User)
	if fault.Is(err, fault.NotFound) {
		return nil // Start refuses whoever is not active
	}
	if err != nil {
		return err
	}
	may := p.Methods(who.domain())
	byProvider := in.Connection != ""
	switch {
	case who.Named && byProvider:
		return refuse(session.UseCode, "break-glass account", "Your account is a break-glass account: it signs in with its password and a recovery code only.")
	case who.Named && !in.Emergency:
		return refuse(session.UseCode, "break-glass account", "Your account is a break-glass account: sign in with its password and a recovery code.")
	case who.Named:
		return nil
	case byProvider && !may.SSO:
		return refuse(session.UsePassword, p.why(who.domain(), "single sign-on is off"), "Single sign-on is switched off for you here. Sign in with your password, or ask your administrator.")
	case !byProvider && !may.Password:
		return refuse(session.UseSSO, p.why(who.domain(), "single sign-on is required"), "Your organization signs in with single sign-on, not with a password or a passkey here.")
	case !byProvider && in.SecondFactor == "":
		return d.admitWithout(tx, p, who)
	}
	return nil
}

// why names the rule, for the administrator.
func (p Policy) why(domain, what string) string {
	switch _, own := p.Domains[domain]; {
	case own:
		return what + " for " + domain
	case !p.Password && p.SSO != Required && p.SSO != Off:
		return "passwords are off"
	}
	return what
}

func refuse(use, rule, sentence string) error {
	return fault.Denied.Wrap(&session.NotAllowed{Use: use, Rule: rule}, "%s", fault.Word(sentence))
}
