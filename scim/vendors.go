package scim

import (
	"slices"
	"strings"
)

// Vendor is a preset: what is known of how one kind of directory speaks.
type Vendor struct {
	Name  string
	Label string
	// Other names that mean the same.
	Other []string
	// Needs says what of compat it relies on, or that nothing is known, and where
	// that comes from. Shown to admins.
	Needs string
	// Deviations from compat. None: the preset equals compat.
	Deviations []Deviation

	agents []string // how a word of its User-Agent begins, in small letters; none: not known
}

// Deviation is a switch that a preset sets otherwise than compat, and why.
type Deviation struct {
	Switch, Value string
	Source        string

	set func(*Quirks)
}

// Custom is the vendor of directories of which nothing is known.
const Custom = "custom"

// vendors take away from compat what a client is known not to send, where its
// maker's documentation or its source code says so; what would only be a guess stays
// as compat has it. Each text ends with its source.
var vendors = []Vendor{
	{Name: "okta", Label: "Okta", agents: []string{"okta"},
		Needs: "PATCH without a path (apps of the Integration Network) and PUT (apps of the wizard), a password and groups in every POST. Text booleans stay accepted, because its profile editor lets admins map any expression. Source: developer.okta.com, SCIM 2.0 protocol reference.",
		Deviations: []Deviation{{"unquotedFilterValues", "false", "Okta's filters are quoted (developer.okta.com, SCIM 2.0 protocol reference: userName eq \"...\", displayName eq \"...\").",
			func(q *Quirks) { q.UnquotedFilterValues = false }}}},
	{Name: "entra", Label: "Microsoft Entra ID", Other: []string{"azure", "azuread", "aad", "entraid", "microsoft"}, agents: []string{"azure", "entra", "microsoft"},
		Needs: "stringBooleans, managerAsString, rolesAsJSON, removeWithValueArray, createOnMissingFilterTarget, unquotedFilterValues and unknownSchemas ignore: most of compat is for it. With ?aadOptscim062020 behind the tenant URL it needs the path-less PATCH instead, and both forms are taken without a switch. Source: learn.microsoft.com, application-provisioning-config-problem-scim-compatibility; AzureAD/SCIMReferenceCode."},
	{Name: "google", Label: "Google Workspace", Other: []string{"googleworkspace", "gsuite", "cloudidentity"},
		Needs: "Nothing beyond the RFC is known: match by userName, POST, PUT or PATCH of active, DELETE; no groups. Source: knowledge.workspace.google.com, autoprovisioning; Ory's documentation of its connectors."},
	{Name: "onelogin", Label: "OneLogin", agents: []string{"onelogin"},
		Needs: "unknownSchemas ignore, for templates in the form of SCIM 1 (urn:scim:schemas:core:1.0), and unknownAttributes ignore, because admins edit the template. Source: developers.onelogin.com, SCIM; scim.dev."},
	{Name: "jumpcloud", Label: "JumpCloud", agents: []string{"jumpcloud"},
		Needs: "removeWithValueArray, and names that are free again after DELETE, because each activation makes a test user and a test group. Source: jumpcloud.com, custom SCIM identity management; integrators' reports."},
	{Name: "ping", Label: "Ping Identity (PingOne, PingFederate)", Other: []string{"pingone", "pingfederate", "pingidentity"}, agents: []string{"pingone", "pingfederate", "pingidentity"},
		Needs: "unquotedFilterValues (its filter expression is text that admins edit; the documented default is userName eq <value>), and unknownSchemas and unknownAttributes ignore for its custom extension URNs. Source: docs.pingidentity.com, SCIM provisioner settings reference; PingOne platform API, propagation stores."},
	{Name: "rippling", Label: "Rippling", agents: []string{"rippling"},
		Needs: "409 for the POST that it repeats, and a filter on externalId; nothing of compat is known to be needed. Source: WorkOS and Kombo guides to Rippling's SCIM client (reported)."},
	{Name: "sailpoint", Label: "SailPoint", Other: []string{"identitynow", "identityiq"}, agents: []string{"sailpoint", "identitynow"},
		Needs: "Complete discovery endpoints and a generous requestsPerSecond: each membership is a request of its own, in parallel, and a refused one is not repeated. Nothing of compat is known to be needed. Source: developer.sailpoint.com, thread 91746; Teleport #61511."},
	{Name: "workday", Label: "Workday and other HR systems", Other: []string{"hibob", "bamboohr", "personio", "hr"}, agents: []string{"workday", "hibob", "bamboohr", "personio"},
		Needs: "Filters on meta.lastModified for what changed since the last run. No public document says how its requests look, so nothing is taken away from compat."},
	{Name: "authentik", Label: "authentik", agents: []string{"authentik"},
		Needs: "removeWithValueArray (each member in an operation of its own) and the path-less PATCH of a group. Source: goauthentik/authentik, authentik/providers/scim/clients.",
		Deviations: []Deviation{
			{"stringBooleans", "false", authentikTypes, func(q *Quirks) { q.StringBooleans = false }},
			{"managerAsString", "false", authentikTypes, func(q *Quirks) { q.ManagerAsString = false }},
			{"createOnMissingFilterTarget", "false", "Users are updated with PUT, never by a filtered path (clients/users.py).", func(q *Quirks) { q.CreateOnMissingFilterTarget = false }},
			{"unquotedFilterValues", "false", "Its one filter is displayName eq \"...\", quoted (clients/groups.py).", func(q *Quirks) { q.UnquotedFilterValues = false }},
		}},
	{Name: "keycloak", Label: "Keycloak", agents: []string{"keycloak"},
		Needs: "stringBooleans: with user-patchOp its extension sends active as text. Source: keycloak-scim (sh.libre.scim), UserAdapter.toPatchBuilder; Captain-P-Goldfish/SCIM-SDK, which builds the requests.",
		Deviations: []Deviation{
			{"createOnMissingFilterTarget", "false", "A filter stands only in members[value eq \"...\"] (sh.libre.scim, ScimClient.patchGroupMembership).", func(q *Quirks) { q.CreateOnMissingFilterTarget = false }},
			{"unquotedFilterValues", "false", "The SDK writes filters itself, and quotes values.", func(q *Quirks) { q.UnquotedFilterValues = false }},
		}},
	{Name: Custom, Label: "Another one", Other: []string{"generic", "other", "scim"},
		Needs: "Whatever the client is, compat takes what the large ones send. A client of your own should work in strict mode."},
}

const authentikTypes = "Requests are made from typed models (authentik/providers/scim/clients/schema.py), so values have their JSON types."

// Vendors are the presets that are known, the usual ones first.
func Vendors() []Vendor { return slices.Clone(vendors) }

// VendorNames are the names that stand for a preset.
func VendorNames() []string {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.Name
	}
	return names
}

// VendorNamed finds a preset by one of its names in any case. Where there is none it
// gives custom and false.
func VendorNamed(name string) (Vendor, bool) {
	name = strings.ToLower(name)
	for _, v := range vendors {
		if v.Name == name || slices.Contains(v.Other, name) {
			return v, true
		}
	}
	return vendors[len(vendors)-1], false
}

// vendorOfAgent guesses from what a client calls itself. It is a hint for people and
// never changes behaviour: anybody can send any User-Agent, and some send none.
func vendorOfAgent(agent string) (Vendor, bool) {
	for word := range strings.FieldsFuncSeq(strings.ToLower(agent), func(c rune) bool { return c < 'a' || c > 'z' }) {
		for _, v := range vendors {
			if slices.ContainsFunc(v.agents, func(begin string) bool { return strings.HasPrefix(word, begin) }) {
				return v, true
			}
		}
	}
	return Vendor{}, false
}
