package scim

import (
	"errors"
	"net/http"
	"strings"

	scimerr "github.com/elimity-com/scim/errors"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Kinds of refusal, as the log keeps them: what they have in common is the setting
// at the directory that mends them.
const (
	refusedToken       = "token"
	refusedURL         = "url"     // no such endpoint, or another directory's base URL
	refusedMissing     = "missing" // no such user or group
	refusedTaken       = "taken"   // a userName, externalId or displayName
	refusedBusy        = "busy"    // somebody else was faster
	refusedValue       = "value"
	refusedMembers     = "members"
	refusedNesting     = "nesting" // groups in groups: a circle, or too many levels
	refusedFormat      = "format"  // JSON, names of attributes and schemas
	refusedFilter      = "filter"
	refusedPath        = "path" // of a PATCH
	refusedSize        = "size"
	refusedLimit       = "limit" // requests per second
	refusedUnsupported = "unsupported"
	refusedDenied      = "denied"
	refusedAddress     = "address" // not in the token's allow-list
	refusedClient      = "client"  // an OAuth client that did not prove itself, or asked for something else
	refusedServer      = "server"
)

// refusalOf tells the kind. known: a token opened the door.
func refusalOf(known bool, err error, e scimerr.ScimError) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return refusedToken
	case http.StatusNotFound:
		if known && fault.Is(err, fault.NotFound) {
			return refusedMissing
		}
		return refusedURL
	case http.StatusMethodNotAllowed:
		return refusedURL
	case http.StatusConflict:
		if e.ScimType == scimerr.ScimTypeUniqueness {
			return refusedTaken
		}
		return refusedBusy
	case http.StatusPreconditionFailed:
		return refusedBusy
	case http.StatusRequestEntityTooLarge:
		return refusedSize
	case http.StatusUnsupportedMediaType:
		return refusedFormat
	case http.StatusTooManyRequests:
		return refusedLimit
	case http.StatusNotImplemented:
		return refusedUnsupported
	case http.StatusForbidden:
		if !known {
			return refusedAddress
		}
		return refusedDenied
	}
	if e.Status >= 500 {
		return refusedServer
	}
	if errors.Is(err, store.ErrNesting) {
		return refusedNesting
	}
	if fault.Field(err) == "members" || strings.HasPrefix(e.Detail, "members:") {
		return refusedMembers
	}
	switch e.ScimType {
	case scimerr.ScimTypeInvalidFilter, "tooMany":
		return refusedFilter
	case scimerr.ScimTypeInvalidPath, scimerr.ScimTypeNoTarget, scimerr.ScimTypeMutability:
		return refusedPath
	case scimerr.ScimTypeInvalidSyntax:
		return refusedFormat
	}
	return refusedValue
}

// remedyOf is what to change, and where, in the words of the vendor's own console.
func remedyOf(vendor, refusal string) string {
	if s := remedies[vendor][refusal]; s != "" {
		return s
	}
	return remedies["custom"][refusal]
}

var remedies = map[string]map[string]string{
	// Whatever speaks SCIM: RFC 7644 §3.12 for what the answers mean.
	"custom": {
		refusedToken:       "Enter the directory's token again in the client's settings, as a bearer token. If it is lost, rotate the token here and enter the new one.",
		refusedURL:         "Compare the base URL in the client's settings with the one on the page Directories, letter by letter. Nothing may follow it.",
		refusedMissing:     "The client remembers an id that is not here, or not any more. Have it look for the person by userName again, or clear its link and assign the person anew.",
		refusedTaken:       "Somebody here has this name already, perhaps from another directory. Rename one of the two, or have the client match by userName before it creates.",
		refusedBusy:        "Nothing: another request changed the same thing at that moment. The client repeats this one.",
		refusedValue:       "Correct the named attribute of this person at the directory, or its mapping, and send the person again.",
		refusedMembers:     "Assign the named people to the application before the group is sent, so that they exist here first.",
		refusedNesting:     "Take one of the two named groups out of the other at the directory. Groups do not contain one another here, and at most ten stand one inside the other.",
		refusedFormat:      "Take the named attribute or schema out of the client's mapping. Or choose in the directory's Settings here what happens to what it does not know: mode compat leaves it out.",
		refusedFilter:      "Have the client match by userName, externalId or emails, with eq.",
		refusedPath:        "Change the attribute mapping so that the named path is an attribute of /Schemas that may be written.",
		refusedSize:        "Have the client send fewer members or attributes per request.",
		refusedLimit:       "Nothing, if the client waits as Retry-After says. Otherwise lower the number of its parallel requests.",
		refusedUnsupported: "Turn the feature off at the client: /ServiceProviderConfig says what is supported.",
		refusedDenied:      "Change this person or setting here in Muster: a directory may not.",
		refusedAddress:     "Have the client send from an address of the allow-list, or make a token here whose allow-list has its address.",
		refusedClient:      "Compare token endpoint, client id and client secret (or key) in the client's settings with the ones here; the grant is client_credentials, the scope scim.",
		refusedServer:      "Nothing at the directory. Give the request id to the operator of this server.",
	},
	// help.okta.com, "Add SCIM provisioning to app integrations" (Provisioning > Integration:
	// SCIM connector base URL, Unique identifier field for users, Authentication Mode, Test
	// Connector Configuration); "Manage Group Push"; "View tasks" for repeating what failed.
	"okta": {
		refusedToken:   "In Okta, open the application, Provisioning > Integration > Edit: Authentication Mode is HTTP Header, Authorization is the directory's token. Then Test Connector Configuration.",
		refusedURL:     "In Okta, Provisioning > Integration > Edit: SCIM connector base URL must be the base URL on the page Directories, with nothing behind it.",
		refusedMissing: "In Okta, unassign the person on the tab Assignments and assign them again; for a group, unlink it on the tab Push Groups and push it again.",
		refusedTaken:   "In Okta, Provisioning > Integration: Unique identifier field for users should be userName. On the tab Assignments, give the person another username for this application, or free the name here; then retry under Dashboard > Tasks.",
		refusedValue:   "In Okta, Provisioning > To App > Attribute Mappings (or the person's profile on the tab Assignments): correct the named attribute, then Force Sync.",
		refusedMembers: "In Okta, assign the named people to the application on the tab Assignments first, then Push Groups > Push now.",
		refusedFormat:  "In Okta, Provisioning > To App > Go to Profile Editor: remove the named attribute, or correct its external name and external namespace.",
		refusedFilter:  "In Okta, Provisioning > Integration > Edit: set Unique identifier field for users to userName.",
		refusedPath:    "In Okta, Profile Editor of the application: correct the named attribute's external name, or remove its mapping.",
	},
	// learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups
	// (Admin Credentials: Tenant URL, Secret Token, Test Connection), .../customize-application-attributes
	// (mappings, matching precedence, attribute list), .../provision-on-demand,
	// .../application-provisioning-config-problem-scim-compatibility (aadOptscim062020).
	"entra": {
		refusedToken:   "In Entra, Enterprise applications > your application > Provisioning > Admin Credentials: paste the directory's token as Secret Token, then Test Connection and Save.",
		refusedURL:     "In Entra, Provisioning > Admin Credentials: Tenant URL must be the base URL on the page Directories; only ?aadOptscim062020 may follow it.",
		refusedMissing: "In Entra, Provisioning > Restart provisioning: it clears the remembered ids and matches everybody again.",
		refusedTaken:   "In Entra, Provisioning > Mappings > Provision Microsoft Entra ID Users: userName should have matching precedence 1, so that the existing person is found instead of created. Then Provision on demand for this person.",
		refusedValue:   "In Entra, Provisioning > Mappings: correct the source attribute or the expression of the named target attribute, then Provision on demand for this person.",
		refusedMembers: "In Entra, Users and groups: assign the named people as well (nested groups are not resolved), or put them in scope, then wait for the next cycle.",
		refusedFormat:  "In Entra, Provisioning > Mappings > Show advanced options > Edit attribute list: remove or correct the named attribute. Appending ?aadOptscim062020 to the Tenant URL makes its requests follow the standard.",
		refusedFilter:  "In Entra, Provisioning > Mappings: use userName or externalId under Match objects using this attribute.",
		refusedPath:    "In Entra, Provisioning > Mappings: correct the named customappsso attribute, or delete the mapping.",
		refusedLimit:   "Nothing: Entra waits as Retry-After says and goes on by itself.",
	},
	// knowledge.workspace.google.com/admin/users/advanced/configure-screensteps-user-provisioning and
	// support.google.com/a/answer/9338944 (Apps > Web and mobile apps > app > Autoprovisioning:
	// Access token, Endpoint URL, App attributes, Search groups, deprovisioning).
	"google": {
		refusedToken:   "In the Google Admin console, Apps > Web and mobile apps > your app > Autoprovisioning: enter the directory's token as Access token.",
		refusedURL:     "In the Google Admin console, your app > Autoprovisioning: Endpoint URL must be the base URL on the page Directories.",
		refusedMissing: "In the Google Admin console, turn the app off for the person's group and on again, so that the person is created anew.",
		refusedTaken:   "In the Google Admin console, your app > Autoprovisioning > App attributes: map userName to the primary e-mail address, so that existing people are found.",
		refusedValue:   "In the Google Admin console, your app > Autoprovisioning > App attributes: correct what the named attribute is mapped to, or fill it in under Directory > Users.",
		refusedFormat:  "In the Google Admin console, your app > Autoprovisioning > App attributes: remove the mapping of the named attribute.",
		refusedPath:    "In the Google Admin console, your app > Autoprovisioning > App attributes: remove the mapping of the named attribute.",
	},
	// developers.onelogin.com/scim, "SCIM Provisioner with SAML"; configcat.com/docs/advanced/team-management/scim/identity-providers/onelogin
	// (Configuration > API Connection: SCIM Base URL, SCIM Bearer Token, SCIM JSON Template; Parameters; Rules; Provisioning).
	"onelogin": {
		refusedToken:   "In OneLogin, your app > Configuration > API Connection: enter the directory's token as SCIM Bearer Token, then Enable.",
		refusedURL:     "In OneLogin, your app > Configuration > API Connection: SCIM Base URL must be the base URL on the page Directories.",
		refusedMissing: "In OneLogin, your app > Users: open the person and choose Sync logins, or remove the app from the person and add it again.",
		refusedTaken:   "In OneLogin, your app > Parameters: scimusername decides the name. Give this person another value, or free the name here, then approve the failed task under Users > Provisioning.",
		refusedValue:   "In OneLogin, your app > Configuration > SCIM JSON Template (or Parameters): correct what the named attribute gets.",
		refusedMembers: "In OneLogin, add the app to the named people first; your app > Rules decides who is in which group.",
		refusedFormat:  "In OneLogin, your app > Configuration > SCIM JSON Template: take the named attribute or schema out; schemas should be urn:ietf:params:scim:schemas:core:2.0:User.",
		refusedPath:    "In OneLogin, your app > Configuration > SCIM JSON Template: take the named attribute out.",
	},
	// jumpcloud.com/support/provision-and-manage-users-and-groups-in-apps-using-custom-scim-identity-management-integration
	// (Identity Management: SCIM version, Base URL, Token Key, Test User Email, Test Connection, Activate).
	"jumpcloud": {
		refusedToken:   "In JumpCloud, SSO Applications > your application > Identity Management: enter the directory's token as Token Key, then Test Connection and Activate.",
		refusedURL:     "In JumpCloud, your application > Identity Management: SCIM Version is 2.0, and Base URL must be the base URL on the page Directories.",
		refusedMissing: "In JumpCloud, take the person's group off the application on the tab User Groups and put it back, so that the person is created anew.",
		refusedTaken:   "In JumpCloud, give the person another username or e-mail address, or free the name here. At the connection test, choose a Test User Email that nobody here has.",
		refusedValue:   "In JumpCloud, your application > Identity Management > Attribute Mapping: correct the named attribute, or the person's details.",
		refusedMembers: "In JumpCloud, bind the named people's group to the application on the tab User Groups, then save the group again.",
		refusedFormat:  "In JumpCloud, your application > Identity Management > Attribute Mapping: remove the named attribute.",
		refusedPath:    "In JumpCloud, your application > Identity Management > Attribute Mapping: remove the named attribute.",
	},
	// docs.pingidentity.com/r/en-us/pingone/p1_create_scim_connection (Integrations > Provisioning: SCIM base
	// URL, Users resource, OAuth access token, User filter expression) and
	// docs.pingidentity.com/integrations/scim/setup/pf_scim_connector_scim_connector_settings_reference.html
	// (PingFederate: SCIM URL, Access Token, Unique User Identifier, Filter Expression).
	"ping": {
		refusedToken:   "In PingOne, Integrations > Provisioning > your connection > Authentication: OAuth 2 Bearer Token with the directory's token as OAuth access token, Auth Type Header Bearer, then Test Connection. In PingFederate the field is Access Token.",
		refusedURL:     "In PingOne, your connection: SCIM base URL must be the base URL on the page Directories, Users Resource /Users. In PingFederate the field is SCIM URL.",
		refusedMissing: "In PingOne, open the rule under Integrations > Provisioning and sync again; in PingFederate, clear the person's sync status for the channel.",
		refusedTaken:   "In PingOne, your connection > Preferences: the User Filter Expression should be userName eq \"%s\", so that the existing person is found. In PingFederate: Unique User Identifier is userName.",
		refusedValue:   "In PingOne, Integrations > Provisioning > your rule > Attribute Mapping: correct the named attribute. In PingFederate: the channel's Attribute Mapping.",
		refusedMembers: "In PingOne, put the named people into the rule's User Filter first, then sync the group.",
		refusedFormat:  "In PingOne, your rule > Attribute Mapping: remove the named attribute. In PingFederate: remove its custom attribute from the channel.",
		refusedFilter:  "In PingOne, your connection > Preferences: User Filter Expression. In PingFederate: Filter Expression; userName eq ... and emails eq ... work.",
		refusedPath:    "In PingOne, your rule > Attribute Mapping: remove the named attribute.",
	},
	// docs.goauthentik.io, SCIM provider (Applications > Providers: URL, Token, property mappings,
	// sync status; backchannel provider of the application).
	"authentik": {
		refusedToken:   "In authentik, Applications > Providers > your SCIM provider > Edit: enter the directory's token as Token, then Run sync again.",
		refusedURL:     "In authentik, Applications > Providers > your SCIM provider > Edit: URL must be the base URL on the page Directories.",
		refusedMissing: "Nothing, at most once: authentik drops its link to the person on 404, and creates the person again with the next sync.",
		refusedTaken:   "In authentik, change the username of one of the two people, or free the name here; then Run sync again on the provider's page.",
		refusedValue:   "In authentik, Customization > Property Mappings: correct what the SCIM mapping of the provider gives to the named attribute.",
		refusedMembers: "In authentik, the provider's User filtering must let the named people through, so that they are here before their group.",
		refusedFormat:  "In authentik, Customization > Property Mappings: take the named attribute out of the provider's SCIM mapping.",
		refusedPath:    "In authentik, Customization > Property Mappings: take the named attribute out of the provider's SCIM mapping.",
	},
	// keycloak-scim (sh.libre.scim), its README: User federation > Scim provider.
	"keycloak": {
		refusedToken:   "In Keycloak, User federation > your Scim provider: Auth mode BEARER, and the directory's token as Auth password/token.",
		refusedURL:     "In Keycloak, User federation > your Scim provider: SCIM 2.0 endpoint must be the base URL on the page Directories.",
		refusedMissing: "In Keycloak, User federation > your Scim provider: run the sync again; it links people anew.",
		refusedTaken:   "In Keycloak, change the username of one of the two people, or free the name here; then run the Scim provider's sync again.",
		refusedValue:   "In Keycloak, Users: correct the named attribute of the person, then save the person again.",
		refusedMembers: "In Keycloak, User federation > your Scim provider: switch user propagation on and run the sync, so that people are here before their groups.",
	},
}
