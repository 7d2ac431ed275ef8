package scim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// Quirks are the switches of one directory: how far its client is met halfway.
// A directory starts from its mode and its vendor's preset, and its own stored
// switches (directories.quirks, a JSON object with these names) override both.
// What a client calls itself (User-Agent) never changes behaviour.
type Quirks struct {
	// Strict asks for what the SCIM interoperability profile asks for
	// (draft-zollner-scim-interop-profile-02): PATCH only with a path, no unknown
	// attributes or schemas, no password, no whole-element replacement.
	Strict bool `json:"strict"`
	// StringBooleans reads "True" and "false" as booleans. Entra ID sends them
	// unless its tenant URL has ?aadOptscim062020
	// (learn.microsoft.com, application-provisioning-config-problem-scim-compatibility).
	StringBooleans bool `json:"stringBooleans"`
	// ManagerAsString reads a bare string, an array of one, or "" (clear) where the
	// Enterprise manager object belongs (same page, and AzureAD/SCIMReferenceCode).
	ManagerAsString bool `json:"managerAsString"`
	// RolesAsJSON reads a role whose value is a JSON object in a string, as Entra ID's
	// AppRoleAssignmentsComplex sends it: {"value":"{\"id\":...,\"value\":\"Admin\",\"displayName\":\"Admin\"}"}
	// is kept as {"value":"Admin","display":"Admin"}
	// (learn.microsoft.com, customize-application-attributes, provisioning a role;
	// AzureAD/SCIMReferenceCode's collection).
	RolesAsJSON bool `json:"rolesAsJSON"`
	// RemoveWithValueArray lets "remove members" name its victims in value, as
	// Entra ID and JumpCloud do; RFC 7644 §3.5.2.2 has a filter for it.
	RemoveWithValueArray bool `json:"removeWithValueArray"`
	// CreateOnMissingFilterTarget makes the element that emails[type eq "work"].value
	// asks for; RFC 7644 §3.5.2.3 has noTarget (Entra ID attribute mappings).
	CreateOnMissingFilterTarget bool `json:"createOnMissingFilterTarget"`
	// UnquotedFilterValues reads externalId eq jyoung (Microsoft's tutorial; PingFederate).
	UnquotedFilterValues bool `json:"unquotedFilterValues"`
	// UnknownAttributes is ignore, reject or store: kept as they came, within bounds,
	// and returned (stray.go).
	UnknownAttributes string `json:"unknownAttributes"`
	// UnknownSchemas is ignore or reject: OneLogin's template carries
	// urn:scim:schemas:core:1.0, Microsoft's tutorial a misspelt Enterprise URN.
	UnknownSchemas string `json:"unknownSchemas"`
	// MembersReplaceIsAdd is for clients that send "replace members [one]" and mean
	// "add" (snipe-it #19096, PostHog #47336). Off: the RFC says replace.
	MembersReplaceIsAdd bool `json:"membersReplaceIsAdd"`
	// PatchResponse is auto (users 200 with the resource, groups 204, as Okta and
	// Entra ID prefer), 200 or 204.
	PatchResponse string `json:"patchResponse"`
	// DeleteMeans is delete or deactivate. Strict forces delete.
	DeleteMeans string `json:"deleteMeans"`
	// IgnoreUnknownMembers leaves member ids out that the directory cannot see,
	// instead of refusing the request (it hides lost members: keycloak-scim #107).
	IgnoreUnknownMembers bool `json:"ignoreUnknownMembers"`
	// PasswordHandling is ignore, reject or store: then it becomes the person's
	// password for signing in here (password.go). Okta always sends one on create,
	// random when the app does not sync passwords.
	PasswordHandling string `json:"passwordHandling"`
	// GroupDisplayNameUnique refuses a second group of the same name: Entra ID
	// matches groups by it, IPSIE says SHOULD.
	GroupDisplayNameUnique bool `json:"groupDisplayNameUnique"`
	// OAuthOnly refuses the tokens that people make: a client fetches access tokens,
	// which end by themselves (OpenID IPSIE AL §4.1, §8).
	OAuthOnly bool `json:"oauthOnly"`
	// RequestsPerSecond is the directory's own rate on each replica, at least 25; 0
	// is the server's. SailPoint sends each membership in a request of its own, in
	// parallel, and does not repeat what was refused (Teleport #61511).
	RequestsPerSecond int `json:"requestsPerSecond"`
}

// Values of the switches that are words.
const (
	ignoreIt = "ignore"
	rejectIt = "reject"
	storeIt  = "store"

	modeCompat = "compat"
	modeStrict = "strict"

	answerAuto  = "auto"
	answerWith  = "200"
	answerEmpty = "204"

	deleteDeletes     = "delete"
	deleteDeactivates = "deactivate"
)

// compat accepts what the big clients really send today.
var compat = Quirks{
	StringBooleans: true, ManagerAsString: true, RolesAsJSON: true, RemoveWithValueArray: true,
	CreateOnMissingFilterTarget: true, UnquotedFilterValues: true,
	UnknownAttributes: ignoreIt, UnknownSchemas: ignoreIt, PatchResponse: answerAuto,
	DeleteMeans: deleteDeletes, PasswordHandling: ignoreIt, GroupDisplayNameUnique: true,
}

var strict = Quirks{
	Strict: true, UnknownAttributes: rejectIt, UnknownSchemas: rejectIt, PatchResponse: answerAuto,
	DeleteMeans: deleteDeletes, PasswordHandling: rejectIt, GroupDisplayNameUnique: true,
}

// presetOf is where a directory of this vendor and mode starts.
func presetOf(vendor, mode string) Quirks {
	if mode == modeStrict {
		return strict
	}
	q := compat
	v, _ := VendorNamed(vendor)
	for _, d := range v.Deviations {
		d.set(&q)
	}
	return q
}

// QuirksOf is what holds for a directory: its preset, overridden by its own switches.
// Invalid on "quirks" names the switch that does not exist or its wrong value.
func QuirksOf(vendor, mode string, own []byte) (Quirks, error) {
	q := presetOf(vendor, mode)
	if len(own) == 0 || string(own) == "{}" || string(own) == "null" {
		return q, nil
	}
	d := json.NewDecoder(bytes.NewReader(own))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, fault.Invalid.On("quirks", "The directory's switches cannot be read: %v.", err)
	}
	values := q.values()
	for _, s := range switches {
		if v := values[s.Name]; s.Values != nil && !slices.Contains(s.Values, v) {
			return q, fault.Invalid.On("quirks", "%s is %q; it can be %s.", s.Name, v, strings.Join(s.Values, ", "))
		}
	}
	if n := q.RequestsPerSecond; n != 0 && (n < minRate || n > maxRate) {
		return q, fault.Invalid.On("quirks", "requestsPerSecond is %d; it can be %d to %d, or 0 for the server's.", n, minRate, maxRate)
	}
	if q.Strict {
		q.DeleteMeans = deleteDeletes
	}
	if (q.Strict || mode == modeStrict) && q.PasswordHandling == storeIt {
		return q, fault.Invalid.On("quirks", "passwordHandling cannot be store in strict mode: the profiles forbid passwords over SCIM.")
	}
	return q, nil
}
