package scim

import (
	"maps"
	"slices"
)

// What strict mode claims. docs/scim/profiles.md walks the SCIM interoperability
// profile and the OpenID IPSIE account lifecycle profile requirement by requirement,
// with the test that proves each.

// conformant tells that the switches are those of strict mode, but for those about
// which the interoperability profile says nothing. Only then
// ServiceProviderConfig claims it (draft-zollner-scim-interop-profile §4).
func (q Quirks) conformant() bool {
	q.PatchResponse, q.GroupDisplayNameUnique = strict.PatchResponse, strict.GroupDisplayNameUnique
	q.RequestsPerSecond, q.OAuthOnly = strict.RequestsPerSecond, strict.OAuthOnly
	return q == strict
}

// claim is the attribute of ServiceProviderConfig.
const claim = "interopProfileConformant"

// otherType is what /Schemas declares for the types of roles, entitlements and
// certificates, for which RFC 7643 names none: §5.4 wants a declaration for each
// attribute that has a type.
var otherType = []string{"other"}

// asProfiled completes a served schema for a directory that claims the profile.
func asProfiled(m map[string]any) {
	list, _ := m["attributes"].([]map[string]any)
	out := make([]map[string]any, len(list), len(list)+1)
	for i, a := range list {
		out[i] = withTypes(a)
	}
	if m["id"] == configURN {
		out = append(out, map[string]any{"name": claim, "type": typeBoolean, "multiValued": false, "required": false, "caseExact": false,
			"mutability": readOnly, "returned": "default", "uniqueness": "none",
			"description": "Whether the server conforms to the SCIM 2.0 interoperability profile."})
	}
	m["attributes"] = out
}

// withTypes gives a multi-valued attribute's type its canonical values when it has none.
func withTypes(a map[string]any) map[string]any {
	subs, _ := a["subAttributes"].([]map[string]any)
	for i, s := range subs {
		declared, _ := s["canonicalValues"].([]string)
		if s["name"] != "type" || a["multiValued"] != true || len(declared) > 0 {
			continue
		}
		a, s = maps.Clone(a), maps.Clone(s)
		s["canonicalValues"] = otherType
		changed := slices.Clone(subs)
		changed[i] = s
		a["subAttributes"] = changed
		return a
	}
	return a
}
