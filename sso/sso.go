/*
Package sso is the sign-in door: it signs people in who were checked by an
identity provider of their organization, over SAML 2.0 or OpenID Connect.

One connection is one provider of one organization, with URLs, keys and a
status of its own. A sign-in goes

	/sso/saml/{id}/login      pending request (replay.go), redirect to the provider
	/sso/saml/{id}/acs        its answer: saml.CheckResponse -> answer.Profile
	/sso/oidc/{id}/login      the same over OIDC
	/sso/oidc/{id}/callback   code -> ID token: oidc.Issuer.CheckIDToken -> answer.Profile

and both end in finish (http.go), in one transaction: use up the pending request,
remember the answer, find or make the account (signin.go), start the session.
What is refused becomes a page with a reference, and an activity row under that
reference says which check failed (fault.go).

The answer to a SAML login is a post from another site, to which browsers send no
Lax cookie. The browser is recognised all the same: over https by a short-lived
SameSite=None cookie; where that did not arrive (plain http on loopback, or a
browser that blocks it) by having the browser post the answer once more from a
page of ours. The session cookie is set on the answer's own redirect, which is
a navigation of the top window, so browsers keep it.

Accounts: which one a sign-in ends in and what it brings along is signin.go and
match.go; what it would come to without doing it, outcome.go; an address that is asked
whether to link, confirm.go.

It owns the tables connections, sso_certificates, sp_keys, domains, domain_connections, identities,
sso_requests, sso_replays, sso_sessions (references.go), sso_logouts (logout.go), sso_mappings and
sso_attributes (mapping.go, apply.go), sso_confirmations (confirm.go), access_requests (accessrequest.go), sso_rekeys
(rekey.go), sso_moves and sso_expected (move.go). It relies on store for people, on session for sessions, and on nothing a
tenant says: URLs of theirs go through egress.go.
*/
package sso

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/guides"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// Options is what the door must be told.
type Options struct {
	DB        *store.DB
	Sessions  *session.Store
	Key       secret.Key     // seals private keys and client secrets
	PublicURL string         // without a slash at the end
	Egress    []netip.Prefix // networks that tenants' URLs may reach although they are private, also over plain http
	Log       *slog.Logger   // default slog.Default()

	// LookupTXT asks the DNS for domain proofs; the system's resolver when nil.
	LookupTXT func(ctx context.Context, name string) ([]string, error)

	// Mail queues a letter to one person; nil: accounts are not linked by asking their address.
	Mail func(tx *store.Tx, l Letter) error

	// AcceptInvitation ends the open invitation of somebody who has become active by signing in.
	AcceptInvitation func(tx *store.Tx, u store.User) error

	// Tell mails a notice to the admins of the transaction's organization; nil: nobody is told.
	Tell func(tx *store.Tx, n web.Notice) error

	// Required tells whether the organization lets people in over connections alone, and
	// holds that until the commit; nil: it never does.
	Required func(tx *store.Tx) (bool, error)

	SignInAge  time.Duration // how long sign-ins are found; 90 days when 0
	SignInRows int           // how many of an organization at most; 100,000 when 0
}

// Door is the sign-in door. Safe for concurrent use.
type Door struct {
	opts     Options
	client   *http.Client
	large    *http.Client // for metadata of federations
	issuers  *oidc.Issuers
	starts   *quota  // by address: an office of a thousand may come at nine
	recorded *budget // of refusals that are written down
	asked    *quota  // by organization: questions to the DNS
	links    *quota  // by address: pages behind a set-up link
	keys     keyring
	secure   bool
}

// New fills in the defaults.
func New(opts Options) *Door {
	opts.PublicURL = strings.TrimSuffix(opts.PublicURL, "/")
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.SignInAge == 0 {
		opts.SignInAge = 90 * 24 * time.Hour
	}
	if opts.SignInRows == 0 {
		opts.SignInRows = 100_000
	}
	if opts.LookupTXT == nil {
		opts.LookupTXT = net.DefaultResolver.LookupTXT
	}
	client := newEgress(opts.Egress)
	return &Door{opts: opts, client: client, large: larger(client, saml.MaxAggregateBytes, time.Minute), issuers: oidc.NewIssuers(asker(client), opts.DB.Now),
		starts: newQuota(opts.DB.Now, 50, 1000), links: newQuota(opts.DB.Now, 5, 200), recorded: newBudget(opts.DB.Now), asked: newQuota(opts.DB.Now, 1, 30),
		keys: keyring{keys: map[[sha256.Size]byte]*rsa.PrivateKey{}}, secure: strings.HasPrefix(opts.PublicURL, "https:")}
}

// ConnectionID names a connection. It stands in URLs and is never used again.
type ConnectionID = store.ID[Connection]

// Connection is one identity provider of one organization.
type Connection struct {
	ID        ConnectionID
	OrgID     store.OrgID
	Protocol  string // "saml" or "oidc"
	Vendor    string
	Name      string
	Status    string // "draft", "active", "disabled"
	Accounts  string // "jit", "existing", "scim"
	Issuer    string // the SAML entity ID or the OIDC issuer
	Config    Config
	CreatedAt store.Time
	UpdatedAt store.Time

	secret []byte // OIDC client secret, sealed
}

// Config is what only some connections have. Each part stands beside the rows of the
// table of settings (settings.go) that lead to it.
type Config struct {
	SAMLConfig
	OIDCConfig
	AccountsConfig
}

// The words that connections are described with.
const (
	protocolSAML = "saml"
	protocolOIDC = "oidc"

	statusDraft    = "draft"
	statusActive   = "active"
	statusDisabled = "disabled"

	accountsJIT      = "jit"      // create on first sign-in
	accountsExisting = "existing" // must exist
	accountsSCIM     = "scim"     // must have come from a directory
)

// Vendors are the presets that a connection can be made with.
func Vendors() []string {
	var list []string
	for _, v := range guides.Vendors() {
		list = append(list, v.Name)
	}
	return list
}

// URLs are the values that an administrator copies to the identity provider.
type URLs struct {
	ACS, SLO, EntityID, Metadata string // SAML
	Login                        string

	// OIDC
	Redirect, JWKS            string
	SignedOut                 string // where the provider sends the browser after signing out there
	BackChannel, FrontChannel string // where it says that somebody signed out there
}

// URLs of a connection.
func (d *Door) URLs(c Connection) URLs {
	base := d.opts.PublicURL + "/sso/" + c.Protocol + "/" + string(c.ID)
	if c.Protocol == protocolOIDC {
		return URLs{Login: base + "/login", Redirect: base + "/callback", JWKS: base + "/jwks.json", SignedOut: base + "/signed-out",
			BackChannel: base + "/backchannel-logout", FrontChannel: base + "/frontchannel-logout"}
	}
	return URLs{ACS: base + "/acs", SLO: base + "/slo", EntityID: base, Metadata: base + "/metadata", Login: base + "/login"}
}

// NewConnection is what CreateConnection needs.
type NewConnection struct {
	Protocol string // "saml" or "oidc"
	Vendor   string // "custom" when empty
	Name     string
	Accounts string // "jit" when empty
	Activate bool   // else it stays a draft

	// SAML: the provider's metadata, or where to get it. A draft may have neither.
	Metadata    []byte
	MetadataURL string
	Entity      string // which of the providers in the metadata; needed when there are many

	// OIDC
	Issuer, ClientID, ClientSecret string
	Scopes                         []string // "openid profile email" when empty
}

// Created is a new connection and what is worth telling about it.
type Created struct {
	Connection
	URLs
	Warning string // a full sentence, or empty
}

// CreateConnection adds a connection to the actor's organization. Faults: Denied,
// Invalid (Field names the input), Unavailable (the metadata URL does not answer).
func (d *Door) CreateConnection(ctx context.Context, actor access.Actor, in NewConnection) (Created, error) {
	c, err := checkConnection(in)
	if err != nil {
		return Created{}, err
	}
	// Before anything is fetched at an address of theirs.
	if err := d.opts.DB.Read(ctx, actor, mayCreate); err != nil {
		return Created{}, err
	}
	c.ID, c.OrgID = store.NewID[Connection](), store.OrgID(actor.Org)
	c = c.filled()
	out := Created{}
	var certs [][]byte
	if c.Protocol == protocolSAML {
		certs, out.Warning, err = d.readMetadata(ctx, &c, in)
	} else {
		out.Warning, err = d.readIssuer(ctx, &c, in)
	}
	if err != nil {
		return Created{}, err
	}
	keys, err := d.newKeys(c)
	if err != nil {
		return Created{}, err
	}
	clientKey, err := d.newClientKey(c)
	if err != nil {
		return Created{}, err
	}
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := mayCreate(tx); err != nil {
			return err
		}
		c.CreatedAt, c.UpdatedAt = tx.Now(), tx.Now()
		if err := insertConnection(tx, c); err != nil {
			return err
		}
		if err := claim(tx, c.ID); err != nil {
			return err
		}
		if err := insertCertificates(tx, c.ID, certs); err != nil {
			return err
		}
		for _, k := range keys {
			if err := insertKey(tx, c.ID, k); err != nil {
				return err
			}
		}
		if clientKey != nil {
			clientKey.ActiveFrom = tx.Now()
			if err := insertClientKey(tx, c.ID, *clientKey); err != nil {
				return err
			}
		}
		return tx.Record(store.Activity{Action: "connection.create", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"after": map[string]any{"protocol": c.Protocol, "vendor": c.Vendor, "accounts": c.Accounts, "status": c.Status, "issuer": c.Issuer}}})
	})
	out.Connection, out.URLs = c, d.URLs(c)
	return out, err
}

func checkConnection(in NewConnection) (Connection, error) {
	c := Connection{Protocol: in.Protocol, Vendor: orElse(in.Vendor, "custom"), Name: strings.TrimSpace(in.Name),
		Accounts: orElse(in.Accounts, accountsJIT), Status: statusDraft}
	if in.Activate {
		c.Status = statusActive
	}
	switch {
	case c.Protocol != protocolSAML && c.Protocol != protocolOIDC:
		return c, fault.Invalid.On("protocol", "There is no protocol %q. Choose saml or oidc.", answer.Clip(in.Protocol, 40))
	case c.Name == "" || fault.Line("name", c.Name, 200) != nil:
		return c, fault.Invalid.On("name", "The connection needs a name of 1 to 200 characters, such as Okta.")
	case !oneOf(c.Accounts, accountsJIT, accountsExisting, accountsSCIM):
		return c, fault.Invalid.On("accounts", "There is no way %q to handle accounts. Choose jit (create on first sign-in), existing (must exist) or scim (must come from the directory).", answer.Clip(in.Accounts, 40))
	case !oneOf(c.Vendor, Vendors()...):
		return c, fault.Invalid.On("vendor", "There is no preset %q. Choose one of %s.", answer.Clip(in.Vendor, 40), strings.Join(Vendors(), ", "))
	}
	return c, nil
}

// Activate opens a connection for sign-ins. Faults: Denied, NotFound, Conflict (a
// draft without the provider's data).
func (d *Door) Activate(ctx context.Context, actor access.Actor, id ConnectionID) (Connection, error) {
	return d.setStatus(ctx, actor, id, statusActive, nil)
}

// Disable ends sign-ins over a connection, and the sessions that came of them.
// Faults: Denied, NotFound, Conflict on "anyway" (the last open one while single
// sign-on is required).
func (d *Door) Disable(ctx context.Context, actor access.Actor, id ConnectionID) (Connection, error) {
	return d.setStatus(ctx, actor, id, statusDisabled, d.keepsOne)
}

// DisableAnyway is Disable although only break-glass accounts get in afterwards: for a
// provider that cannot be trusted any more. Faults: Denied, NotFound.
func (d *Door) DisableAnyway(ctx context.Context, actor access.Actor, id ConnectionID) (Connection, error) {
	return d.setStatus(ctx, actor, id, statusDisabled, nil)
}

// keepsOne refuses to close the last open connection while single sign-on is required.
// The policy is held first, so of two that are closed at once one stays.
func (d *Door) keepsOne(tx *store.Tx, id ConnectionID) error {
	if d.opts.Required == nil {
		return nil
	}
	if required, err := d.opts.Required(tx); err != nil || !required {
		return err
	}
	list, err := connectionsIn(tx)
	if err != nil {
		return err
	}
	closing := slices.IndexFunc(list, func(c Connection) bool { return c.ID == id && c.Status == statusActive })
	if closing < 0 || slices.ContainsFunc(list, func(c Connection) bool { return c.ID != id && c.Status == statusActive }) {
		return nil
	}
	return fault.Conflict.On("anyway", "%s is the last open connection, and single sign-on is required: only break-glass accounts could sign in. Activate another one first, or stop requiring single sign-on under Security.", list[closing].Name)
}

func (d *Door) setStatus(ctx context.Context, actor access.Actor, id ConnectionID, to string, may func(*store.Tx, ConnectionID) error) (c Connection, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if may != nil {
			if err := may(tx, id); err != nil {
				return err
			}
		}
		if c, err = statusIn(tx, id, to); err != nil || to != statusDisabled {
			return err
		}
		n, err := d.opts.Sessions.EndOver(tx, string(id))
		if err != nil || n == 0 {
			return err
		}
		return tx.Record(store.Activity{Action: "connection.sessions.end", TargetKind: "connection", TargetID: string(id), TargetName: c.Name,
			Detail: map[string]any{"sessions": n}})
	})
	return c, err
}

func statusIn(tx *store.Tx, id ConnectionID, to string) (Connection, error) {
	return alterConnection(tx, id, func(c *Connection) error {
		if err := mayPutIntoUse(tx, *c); err != nil {
			return err
		}
		if to == statusActive && c.Issuer == "" {
			return fault.Conflict.Say("%s has no metadata of its identity provider yet, so nobody could sign in.", c.Name)
		}
		c.Status = to
		if c.Protocol == protocolSAML && to == statusActive {
			if _, _, err := c.ssoURL(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Connections lists the organization's connections by name. Faults: Denied.
func (d *Door) Connections(ctx context.Context, actor access.Actor) (list []Connection, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		list, err = connectionsIn(tx)
		return err
	})
	return list, err
}

// Run removes what has expired until ctx is done.
func (d *Door) Run(ctx context.Context) error {
	store.Every(ctx, d.opts.Log, 5*time.Minute, nil, "sweep sign-in requests, and tell of those for access", func(ctx context.Context) error { return errors.Join(d.Sweep(ctx), d.TellRequests(ctx)) })
	return d.TellLeftOut(context.WithoutCancel(ctx))
}
