package oidc

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/muster-id/muster/sso/answer"
)

// groupsMax bounds a group list; a longer one counts as cut.
const groupsMax = 10_000

// PersonOf makes the profile from verified claims, with what the vendors do
// differently settled. info are the claims of
// userinfo, which fill gaps only; nil when it was not asked.
func PersonOf(p Party, id, info Claims) answer.Profile {
	c := make(Claims, len(id)+len(info))
	maps.Copy(c, info)
	maps.Copy(c, id)
	if !id.has("email") || !id.has("email_verified") && info.Text("email") != id.Text("email") {
		// The word belongs to the address it came with.
		delete(c, "email_verified")
		if !id.has("email") && info.has("email_verified") {
			c["email_verified"] = info["email_verified"]
		}
	}
	groups, known := groupsOf(p, id, info)
	a := answer.Profile{
		Subject:             id.Text("sub"),
		SubjectKind:         "sub",
		Email:               strings.TrimSpace(c.Text("email")),
		EmailSaid:           c.word("email_verified"),
		GivenName:           c.Text("given_name"),
		FamilyName:          c.Text("family_name"),
		DisplayName:         c.Text("name"),
		UserName:            c.Text("preferred_username"),
		Groups:              groups,
		GroupsKnown:         known,
		Attributes:          c.flat(orElse(p.GroupsClaim, "groups"), groups),
		SessionIndex:        id.Text("sid"),
		SessionNotOnOrAfter: id.At("session_expiry"), // IPSIE session lifecycle profile
		AuthnInstant:        id.At("auth_time"),
		ACR:                 id.Text("acr"),
	}
	a.AMR, _ = id.list("amr")
	a.Keys = []string{a.Subject}
	if EntraTenant(p.Issuer) != "" {
		// sub differs per application; oid in its tenant is the person. Their
		// directory sends oid as externalId.
		a.Subject, a.SubjectKind = id.Text("oid")+"@"+id.Text("tid"), "oid+tid"
		a.Keys = []string{id.Text("oid")}
		a.EmailSaid = entraEmail(id)
	}
	return a
}

// entraEmail: Entra never sends email_verified, and a guest's address is what
// their home tenant's admin typed ("nOAuth"). xms_edov says that the domain's
// owner was verified (https://learn.microsoft.com/entra/identity-platform/migrate-off-email-claim-authorization).
func entraEmail(c Claims) answer.Word {
	if w := c.word("xms_edov"); w != answer.Unsaid {
		return w
	}
	if idp := c.Text("idp"); idp != "" && idp != c.Text("iss") {
		return answer.SaidNo
	}
	return answer.Unsaid
}

// groupsOf is the group list, and whether it is complete. Entra replaces a list
// over its limit by a reference (_claim_names, hasgroups), which is never
// followed: its address comes from the token and would be asked with our rights.
func groupsOf(p Party, id, info Claims) ([]string, bool) {
	path := orElse(p.GroupsClaim, "groups")
	for _, c := range []Claims{id, info} {
		if c.word("hasgroups") == answer.SaidYes || c.elsewhere(path) {
			return nil, false
		}
	}
	for _, c := range []Claims{id, info} {
		raw, ok := c.find(path)
		if !ok {
			continue
		}
		list, whole := listOf(raw)
		if limit := rulesOf(p).groupLimit; len(list) > groupsMax || limit > 0 && len(list) >= limit {
			whole = false
		}
		return list[:min(len(list), groupsMax)], whole
	}
	return nil, false
}

// elsewhere tells that a claim is an aggregated or distributed one (OpenID Connect
// Core 1.0 §5.6.2).
func (c Claims) elsewhere(path string) bool {
	var sources map[string]json.RawMessage
	if !c.has("_claim_names") || json.Unmarshal(c["_claim_names"], &sources) != nil {
		return c.has("_claim_names")
	}
	first, _, _ := strings.Cut(path, ".")
	_, whole := sources[path]
	_, part := sources[first]
	_, groups := sources["groups"]
	return whole || part || groups
}
