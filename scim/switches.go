package scim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// Switch is one of the Quirks as people see and set it.
type Switch struct {
	Name    string
	Values  []string // what it can be; nil: a number
	Meaning string
	Source  string
}

var yesNo = []string{"false", "true"}

const (
	entraPage   = "learn.microsoft.com, application-provisioning-config-problem-scim-compatibility"
	interopPage = "draft-zollner-scim-interop-profile-02"
)

// switches are all of them, in the order of their weight for an admin. A test
// compares them with Quirks.
var switches = []Switch{
	{"strict", yesNo, "Refuse what the interoperability profile forbids: PATCH without a path, an array left out around a single value, replacing a whole element.", interopPage},
	{"stringBooleans", yesNo, "Read \"True\" and \"false\" as booleans.", entraPage},
	{"managerAsString", yesNo, "Read a bare id, a list of one, or \"\" (clear) as the manager.", entraPage + "; AzureAD/SCIMReferenceCode"},
	{"rolesAsJSON", yesNo, "Read a role whose value is a JSON object in a string as its value and display.", "Entra ID's AppRoleAssignmentsComplex; learn.microsoft.com, customize-application-attributes; AzureAD/SCIMReferenceCode"},
	{"removeWithValueArray", yesNo, "Let \"remove members\" name its members in value.", entraPage + "; JumpCloud and authentik too"},
	{"createOnMissingFilterTarget", yesNo, "Make the element that emails[type eq \"work\"].value asks for when there is none.", "Entra ID's attribute mappings; RFC 7644 §3.5.2.3 has noTarget"},
	{"unquotedFilterValues", yesNo, "Read a filter value without quotes: externalId eq jyoung.", "learn.microsoft.com, use-scim-to-provision-users-and-groups; PingFederate"},
	{"unknownAttributes", []string{ignoreIt, rejectIt, storeIt}, "What happens to attributes that /Schemas does not have: left out, refused, or kept as they are and returned.", interopPage + " §5.3 (reject); RFC 7644 §3.3 leaves it open"},
	{"unknownSchemas", []string{ignoreIt, rejectIt}, "What happens to names in \"schemas\" that are no schema of the resource.", "OneLogin's template; " + interopPage + " §5.3 (reject)"},
	{"membersReplaceIsAdd", yesNo, "Take \"replace members\" for add. For clients that mean it so; everybody else's removals would be lost.", "snipe-it #19096, PostHog #47336"},
	{"patchResponse", []string{answerAuto, answerWith, answerEmpty}, "The answer to PATCH: auto is 200 with the user and 204 for groups. Where the request names attributes, it is always 200 with them.", "RFC 7644 §3.5.2 allows both; Entra ID prefers 204 for groups"},
	{"deleteMeans", []string{deleteDeletes, deleteDeactivates}, "What DELETE of a user does. Deactivate keeps the person visible to the directory, and the name taken.", interopPage + " §6.6 (delete)"},
	{"ignoreUnknownMembers", yesNo, "Leave unknown member ids out instead of refusing the request. Hides lost memberships.", "keycloak-scim #107"},
	{"passwordHandling", []string{ignoreIt, rejectIt, storeIt}, "What happens to a password that is sent: left out, refused, or made the person's password for signing in here.", "Okta sends one in every POST; OpenID IPSIE AL2 forbids the attribute"},
	{"groupDisplayNameUnique", yesNo, "Refuse a second group of the same name.", "Entra ID finds groups by it; OpenID IPSIE AL2 (should)"},
	{"oauthOnly", yesNo, "Refuse the tokens that people make: only an OAuth client's access tokens open the directory.", "OpenID IPSIE AL §4.1"},
	{"requestsPerSecond", nil, "Requests a second that the directory may send to each replica; 0 is the server's number.", "OpenID IPSIE: at least 25"},
}

// Switches are all of them.
func Switches() []Switch { return slices.Clone(switches) }

// values are the switches as text, by name.
func (q Quirks) values() map[string]string {
	raw, err := json.Marshal(q)
	if err != nil { // booleans, texts and a number
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil
	}
	out := make(map[string]string, len(fields))
	for name, v := range fields {
		switch v := v.(type) {
		case bool:
			out[name] = strconv.FormatBool(v)
		case float64:
			out[name] = strconv.Itoa(int(v))
		case string:
			out[name] = v
		}
	}
	return out
}

// parse reads a value as it stands in a directory's own switches.
func (s Switch) parse(text string) (any, error) {
	switch {
	case s.Values == nil:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fault.Invalid.On("quirks", "%s is %.64q; it is a number.", s.Name, text)
		}
		return n, nil
	case !slices.Contains(s.Values, text):
		return nil, fault.Invalid.On("quirks", "%s is %.64q; it can be %s.", s.Name, text, strings.Join(s.Values, ", "))
	case slices.Equal(s.Values, yesNo):
		return text == "true", nil
	}
	return text, nil
}

func switchNamed(name string) (Switch, bool) {
	at := slices.IndexFunc(switches, func(s Switch) bool { return strings.EqualFold(s.Name, name) })
	if at < 0 {
		return Switch{}, false
	}
	return switches[at], true
}
