/*
Package oidc is an OpenID Connect relying party without database and without
pages: what a provider says of itself, the redirect to it, the code for the
tokens, and the checks on what comes back. A sign-in goes

	Issuers.Get          discovery document and key set, from memory or fetched (discovery.go, keys.go)
	Issuer.AuthURL       where the browser is sent (request.go)
	Issuer.CheckCallback the provider's answer in the browser: iss, error, code (callback.go)
	Issuer.Exchange      the code becomes tokens; the client proves itself (exchange.go, clientauth.go)
	Issuer.CheckIDToken  the checks, one by one and by name (check.go, jws.go)
	Issuer.UserInfo      claims that the ID token lacks (userinfo.go)
	PersonOf             who it is (person.go), by the rules of each vendor (vendors.go)

and a logout goes through Issuer.CheckLogoutToken or Issuer.EndSessionURL (logout.go).

All that comes from outside is hostile, the provider's answers too: a tenant
chooses the provider. Every request goes out through the function that the caller
gives, which guards addresses, sizes and times. Every check leaves a line in an
answer.Trace; the first that failed is why somebody was refused.
*/
package oidc

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
)

// Asker sends one request to an address that a tenant chose. what names it in
// the fault. It follows redirects on the same host, and none when the request
// holds something that must go nowhere else (a body, an Authorization header).
// Faults: Unavailable (no answer, refused address, too long), Invalid.
type Asker func(r *http.Request, what fault.Word) (Reply, error)

// Reply is a whole answer, whatever its status.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Party is what the checks know about both sides of a connection.
type Party struct {
	Vendor       string
	Issuer       string
	ClientID     string
	Algorithms   []string // pinned for this connection; what the issuer offers when empty
	Domains      []string // the organization's verified mail domains, folded
	HostedDomain string   // Google: the Workspace that may sign in; any of Domains when empty
	GroupsClaim  string   // a claim's name, or a path such as realm_access.roles; "groups" when empty
}

// Limits on tokens, before anything in them is read.
const (
	idTokenMax     = 256 << 10
	logoutTokenMax = 16 << 10
)

// errAnswer is all that the person learns; the trace has the check that failed.
var errAnswer = fault.Invalid.Say("The identity provider's answer could not be verified.")

// clean tells whether both databases and a log line can hold s.
func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "(missing)"
	}
	return t.UTC().Format(time.RFC3339)
}
