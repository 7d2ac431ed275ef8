package sso

import (
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

const (
	googleIssuer = "https://accounts.google.com"

	// Okta cuts the groups claim at 100 without saying so.
	oktaGroupLimit = 100
)

// entraTenant is the tenant ID in an Entra ID v2.0 issuer
// (https://login.microsoftonline.com/{tenant}/v2.0), or "" for another issuer.
func entraTenant(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || !slices.Contains([]string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}, u.Host) {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return tenant
}

// checkIssuer refuses issuers that stand for everybody's tenants: a token of any
// organization in the world would be good for this one.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fault.Invalid.On("issuer", "%q is not an issuer. It looks like https://login.example.com, without query or fragment.", answer.Clip(issuer, 200))
	}
	switch tenant := entraTenant(issuer); tenant {
	case "common", "organizations", "consumers":
		return fault.Invalid.On("issuer", "The Entra issuer %q is for every tenant. Use your own: https://%s/TENANT-ID/v2.0.", issuer, u.Host)
	}
	return nil
}

// vendorChecks are checks that a vendor's own rules ask for. They go by the
// issuer as well as by the chosen vendor, so that "custom" does not avoid them.
func vendorChecks(p oidcParty, c oidcClaims) []answer.Check {
	var out []answer.Check
	if p.Issuer == googleIssuer {
		// One issuer serves every Google account; only hd says which Workspace it
		// is (https://developers.google.com/identity/openid-connect/openid-connect, "hd").
		hd := strings.ToLower(c.text("hd"))
		out = append(out, answer.Check{Name: "hd", Expected: "one of the verified domains: " + strings.Join(p.Domains, ", "), Got: c.show("hd"),
			OK: hd != "" && slices.Contains(p.Domains, hd), Hint: "Sign in with the Workspace account. The Workspace's domain must be verified here."})
	}
	if tenant := entraTenant(p.Issuer); tenant != "" {
		out = append(out,
			answer.Check{Name: "tid", Expected: tenant, Got: c.show("tid"), OK: strings.EqualFold(c.text("tid"), tenant)},
			answer.Check{Name: "oid", Expected: "an object ID", Got: c.show("oid"), OK: validSubject(c.text("oid")),
				Hint: "The application must be allowed the scope profile."})
	}
	return out
}

// arrival is a person at the door, with both protocols' differences settled.
type arrival struct {
	answer.Profile
	keys  []string  // values that a directory may have stored as externalId
	email claimWord // what the provider says about the e-mail address being this person's
}

// oidcArrival makes the profile from verified claims. info are the claims of
// userinfo, which fill gaps only; nil when it was not asked.
func oidcArrival(p oidcParty, id, info oidcClaims) arrival {
	c := oidcClaims{}
	for name, raw := range info {
		c[name] = raw
	}
	for name, raw := range id {
		c[name] = raw
	}
	if !id.has("email") || !id.has("email_verified") && info.text("email") != id.text("email") {
		// The word belongs to the address it came with.
		delete(c, "email_verified")
		if !id.has("email") && info.has("email_verified") {
			c["email_verified"] = info["email_verified"]
		}
	}
	groups, known := oidcGroups(id, info)
	if p.Vendor == "okta" && len(groups) >= oktaGroupLimit {
		known = false
	}
	a := arrival{
		Profile: answer.Profile{
			Subject:      id.text("sub"),
			SubjectKind:  "sub",
			Email:        strings.TrimSpace(c.text("email")),
			GivenName:    c.text("given_name"),
			FamilyName:   c.text("family_name"),
			DisplayName:  c.text("name"),
			UserName:     c.text("preferred_username"),
			Groups:       groups,
			GroupsKnown:  known,
			Attributes:   c.flat(),
			SessionIndex: id.text("sid"),
			AuthnInstant: id.at("auth_time"),
		},
		email: c.word("email_verified"),
	}
	a.keys = []string{a.Subject}
	if entraTenant(p.Issuer) != "" {
		// sub differs per application; oid in its tenant is the person. Their
		// directory sends oid as externalId.
		a.Subject, a.SubjectKind = c.text("oid")+"@"+c.text("tid"), "oid+tid"
		a.keys = []string{c.text("oid")}
		a.email = entraEmail(c)
	}
	a.EmailVerified = a.email == saidYes
	return a
}

// entraEmail: Entra never sends email_verified, and a guest's address is what
// their home tenant's admin typed ("nOAuth"). xms_edov says that the domain's
// owner was verified (https://learn.microsoft.com/entra/identity-platform/migrate-off-email-claim-authorization).
func entraEmail(c oidcClaims) claimWord {
	if w := c.word("xms_edov"); w != unsaid {
		return w
	}
	if idp := c.text("idp"); idp != "" && idp != c.text("iss") {
		return saidNo
	}
	return unsaid
}

// oidcGroups is the group list, and whether it is complete. Entra replaces a
// list over its limit by a reference, which is never followed.
func oidcGroups(id, info oidcClaims) ([]string, bool) {
	for _, c := range []oidcClaims{id, info} {
		if c.word("hasgroups") == saidYes || strings.Contains(string(c["_claim_names"]), `"groups"`) {
			return nil, false
		}
	}
	for _, c := range []oidcClaims{id, info} {
		if c.has("groups") {
			return c.list("groups"), true
		}
	}
	return nil, false
}
