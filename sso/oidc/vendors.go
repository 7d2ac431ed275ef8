package oidc

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/sso/answer"
)

// GoogleIssuer is the one issuer of all Google accounts.
const GoogleIssuer = "https://accounts.google.com"

// rules are what one vendor does differently. They narrow what is accepted or say
// what is incomplete; none accepts more.
type rules struct {
	atHash     bool // sends at_hash with every code, so that it may be demanded
	groupLimit int  // a list of that length was cut without a word; 0: no such limit
}

var vendorRules = map[string]rules{
	// "This claim is only returned if an access token is also returned with an ID
	// token", which the code flow always does; groups are cut at 100
	// (https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/).
	"okta": {atHash: true, groupLimit: 100},
	// "If the ID token is issued with an access_token value in the server flow, this
	// claim is always included" (https://developers.google.com/identity/openid-connect/openid-connect).
	"google": {atHash: true},
	// AuthorizationCodeGrantType adds it to every ID token.
	"keycloak": {atHash: true},
}

// rulesOf goes by the issuer as well as by the chosen vendor, so that "custom" does
// not avoid them.
func rulesOf(p Party) rules {
	if p.Issuer == GoogleIssuer {
		return vendorRules["google"]
	}
	return vendorRules[p.Vendor]
}

// EntraTenant is the tenant ID in an Entra ID v2.0 issuer
// (https://login.microsoftonline.com/{tenant}/v2.0), or "" for another issuer.
func EntraTenant(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || !slices.Contains([]string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}, strings.ToLower(u.Host)) {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return tenant
}

// vendorChecks are checks that a vendor's own rules ask for.
func vendorChecks(p Party, c Claims) []answer.Check {
	var out []answer.Check
	if p.Issuer == GoogleIssuer {
		// One issuer serves every Google account; only hd says which Workspace it
		// is (https://developers.google.com/identity/openid-connect/openid-connect, "hd").
		hd, want := strings.ToLower(c.Text("hd")), p.Domains
		expected := fmt.Sprintf("one of the verified domains: %s", strings.Join(p.Domains, ", "))
		if p.HostedDomain != "" {
			want, expected = []string{strings.ToLower(p.HostedDomain)}, p.HostedDomain
		}
		out = append(out, answer.Check{Name: "hd", Expected: expected, Got: c.show("hd"), OK: hd != "" && slices.Contains(want, hd),
			Hint: "Sign in with the Workspace account. The Workspace's domain must be verified here, or be the hosted domain of this connection."})
	}
	if tenant := EntraTenant(p.Issuer); tenant != "" {
		out = append(out,
			answer.Check{Name: "tid", Expected: tenant, Got: c.show("tid"), OK: strings.EqualFold(c.Text("tid"), tenant)},
			answer.Check{Name: "oid", Expected: "an object ID", Got: c.show("oid"), OK: validSubject(c.Text("oid")),
				Hint: "The application must be allowed the scope profile."})
	}
	return out
}
