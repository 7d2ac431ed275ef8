package conform

import (
	"net/http"
	"strings"
)

// filterCase is one filter over the fixtures and whom it has to find. In the text
// P is the prefix of their names, W the run's word.
type filterCase struct {
	id, filter, want string
	source, severity string
	breaks           []string
}

const (
	operators = "RFC 7644 §3.4.2.2, table 3"
	logic     = "RFC 7644 §3.4.2.2, table 4"
	groupings = "RFC 7644 §3.4.2.2, table 5"
	grammar   = "RFC 7644 §3.4.2.2, figure 1"
)

// filterCases find users. a has title, work and home mail; b is inactive, has no
// title and a work mail; c has a title and no mail; d and e have a title.
var filterCases = []filterCase{
	{"eq", `userName eq "Pa"`, "a", operators, must, meets("okta", "entra", "google", "onelogin", "jumpcloud", "ping", "rippling")},
	{"eq.value-case", `userName eq "PA"`, "a", "RFC 7643 §4.1.1 (caseExact false); Okta SPEC test", must, meets("okta", "entra")},
	{"eq.name-case", `USERNAME Eq "Pa"`, "a", "RFC 7644 §3.4.2.2 (names and operators in any case)", must, meets("entra")},
	{"eq.urn", `urn:ietf:params:scim:schemas:core:2.0:User:userName eq "Pa"`, "a", "RFC 7644 §3.10", must, nil},
	{"eq.escape", `displayName eq "Carla \"C\" W"`, "c", grammar, must, nil},
	{"eq.escape-u", `userName eq "P\u0061"`, "a", grammar, should, nil},
	{"ne", `userName sw "P" and userName ne "Pa"`, "bcde", operators, must, nil},
	{"ne.missing", `userName sw "P" and title ne "Sailor W"`, "abde", operators, should, nil},
	{"ne.multi", `userName sw "P" and emails pr and emails.type ne "work"`, "a", "RFC 7644 §3.4.2.2 (any of the values matches)", must, nil},
	{"co", `userName co "W-fix-a"`, "a", operators, must, nil},
	{"sw", `userName sw "P"`, "abcde", operators, must, nil},
	{"ew", `userName ew "W-fix-b"`, "b", operators, must, nil},
	{"pr", `userName sw "P" and title pr`, "acde", operators, must, nil},
	{"pr.multi", `userName sw "P" and emails pr`, "ab", operators, must, nil},
	{"gt", `userName sw "P" and userName gt "Pc"`, "de", operators, must, nil},
	{"ge", `userName sw "P" and userName ge "Pc"`, "cde", operators, must, nil},
	{"lt", `userName sw "P" and userName lt "Pc"`, "ab", operators, must, nil},
	{"le", `userName sw "P" and userName le "Pc"`, "abc", operators, must, nil},
	{"date", `userName sw "P" and meta.lastModified ge "2001-01-01T00:00:00Z"`, "abcde", operators, must, meets("sailpoint")},
	{"date.later", `userName sw "P" and meta.created gt "2999-01-01T00:00:00Z"`, "", operators, must, nil},
	{"id", `id eq "IDa"`, "a", "RFC 7643 §3.1", must, meets("entra")},
	{"externalid", `externalId eq "Ext-W-A"`, "a", "RFC 7643 §3.1", must, meets("entra", "onelogin", "rippling")},
	{"externalid.case", `externalId eq "ext-W-a"`, "", "RFC 7643 §3.1 (caseExact true)", must, nil},
	{"boolean", `userName sw "P" and active eq false`, "b", operators, must, nil},
	{"null", `userName sw "P" and title eq null`, "b", grammar + "; RFC 7643 §2.5", should, nil},
	{"and", `userName sw "P" and active eq true and title co "il"`, "c", logic, must, meets("entra")},
	{"or", `userName eq "Pa" or userName eq "Pc"`, "ac", logic, must, nil},
	{"precedence", `userName eq "Pa" or userName eq "Pb" and userName eq "Pc"`, "a", groupings, must, nil},
	{"group", `(userName eq "Pa" or userName eq "Pb") and title pr`, "a", groupings, must, nil},
	{"not", `userName sw "P" and not (title pr)`, "b", logic, must, nil},
	{"not.group", `userName sw "P" and not (userName eq "Pa" or active eq false)`, "cde", logic, must, nil},
	{"sub", `name.familyName co "Byron-W"`, "a", "RFC 7644 §3.4.2.2, figure 2", must, nil},
	{"multi.sub", `emails.value eq "a.home.W@example.com"`, "a", "RFC 7644 §3.4.2.2, figure 2", must, meets("entra", "ping")},
	{"multi", `emails co "home.W@example.com"`, "a", "RFC 7644 §3.4.2.2, figure 2", must, meets("ping")},
	{"valuepath", `userName sw "P" and emails[type eq "home"]`, "a", groupings, must, meets("entra")},
	{"valuepath.and", `emails[type eq "work" and value eq "b.work.W@example.com"]`, "b", groupings, must, meets("entra")},
	{"valuepath.same", `emails[type eq "home" and value eq "a.work.W@example.com"]`, "", groupings, must, nil},
	{"valuepath.or", `userName sw "P" and emails[type eq "home" or value co "b.work"]`, "ab", groupings + "; erratum 4690", must, nil},
	{"valuepath.sub", `emails[type eq "work"].value eq "b.work.W@example.com"`, "b", "Microsoft: matching attribute of Entra ID", vendor, meets("entra")},
	{"valuepath.primary", `userName sw "P" and emails[type eq "home" and primary eq false]`, "a", "RFC 7643 §2.4 (primary is false where it is missing)", must, nil},
	{"extension", `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Engines W"`, "a", "RFC 7644 §3.10", must, meets("entra")},
}

// filterErrors are filters that have to be refused with 400 invalidFilter.
var filterErrors = []filterCase{
	{"unknown", `nosuchattribute eq "x"`, "", "draft-zollner-scim-interop-profile §filtering; RFC 7644 §3.12", must, meets("entra", "okta")},
	{"unknown.sub", `name.nosuch eq "x"`, "", "draft-zollner-scim-interop-profile §filtering; RFC 7644 §3.12", must, nil},
	{"operator", `userName xx "x"`, "", "RFC 7644 §3.4.2.2, §3.12", must, nil},
	{"dangling", `userName eq`, "", grammar + "; §3.12", must, nil},
	{"dangling.and", `userName eq "x" and`, "", grammar + "; §3.12", must, nil},
	{"parenthesis", `(userName eq "x"`, "", grammar + "; §3.12", must, nil},
	{"bracket", `emails[type eq "work"`, "", grammar + "; §3.12", must, nil},
	{"quote", `userName eq "x`, "", grammar + "; §3.12", must, nil},
	{"order.boolean", `active gt true`, "", "RFC 7644 §3.4.2.2 (ordering of booleans fails)", must, nil},
	{"trailing", `userName eq "x" "y"`, "", grammar + "; §3.12", must, nil},
}

// filterProbes are about GET /Users?filter and, in short, groups.
func (r *runner) filterProbes() []probe {
	user, ok := r.typed("User")
	if !ok {
		return nil
	}
	var all []probe
	for _, f := range filterCases {
		all = append(all, probe{"filter." + f.id, "finds the right users: " + f.filter, f.source, f.severity, f.breaks, func(c *check) { filterFinds(c, user, f) }})
	}
	for _, f := range filterErrors {
		all = append(all, probe{"filter.error." + f.id, "is refused with 400 invalidFilter: " + f.filter, f.source, f.severity, f.breaks, func(c *check) {
			c.refused(c.do("GET", "/Users?filter="+escape(f.filter), nil), http.StatusBadRequest, "invalidFilter")
		}})
	}
	group, ok := r.typed("Group")
	if !ok {
		return all
	}
	return append(all,
		probe{"filter.group.name", "finds a group by displayName", operators, must, meets("okta", "entra", "ping"), func(c *check) {
			filterFinds(c, group, filterCase{filter: `displayName eq "Pa"`, want: "a"})
		}},
		probe{"filter.group.name-case", "finds a group by displayName in other case", "RFC 7643 §4.2; Entra SCIM Validator", must, meets("entra"), func(c *check) {
			filterFinds(c, group, filterCase{filter: `displayName eq "PA"`, want: "a"})
		}},
		probe{"filter.group.member", "finds groups by a member's id", "RFC 7644 §3.4.2.2; IPSIE AL2", must, meets("entra"), func(c *check) { filterMember(c, user, group) }},
		probe{"filter.group.unknown", "an unknown attribute of groups is 400 invalidFilter", "RFC 7644 §3.12", must, nil, func(c *check) {
			c.refused(c.do("GET", "/Groups?filter="+escape(`userName eq "x"`), nil), http.StatusBadRequest, "invalidFilter")
		}})
}

func filterFinds(c *check, t resourceType, f filterCase) {
	fixtures := c.some(t)
	if len(fixtures) == 0 {
		c.fail("the resources to look for could not be made")
		return
	}
	text := f.filter
	if strings.HasPrefix(text, enterpriseURN) && fixtures[0][enterpriseURN] == nil {
		c.unsupported("User has no Enterprise extension in /ResourceTypes")
		return
	}
	id, _ := fixtures[0]["id"].(string)
	text = strings.NewReplacer(`"P`, `"`+c.prefix(), "W-", c.word+"-", "-W", "-"+c.word, ".W@", "."+c.word+"@", ` W"`, " "+c.word+`"`, "IDa", id).Replace(text)
	if f.id == "eq.value-case" || f.id == "" && strings.Contains(f.filter, `"PA"`) {
		text = strings.Replace(text, c.prefix(), strings.ToUpper(c.prefix()), 1)
	}
	if got := c.lettersOf(t, c.found(t, text, "&count=100")); !c.decided && got != f.want {
		c.fail("%s finds %q, want %q", text, got, f.want)
	}
}

func filterMember(c *check, user, group resourceType) {
	member, _ := c.create(user, nil)["id"].(string)
	g := c.create(group, object{"members": []any{object{"value": member}}})
	for _, text := range []string{`members.value eq "` + member + `"`, `members[value eq "` + member + `"]`} {
		found := c.found(group, text, "")
		if !c.decided && (len(found) != 1 || pick(found[0], "/id") != g["id"]) {
			c.fail("%s finds %d groups, want the one", text, len(found))
		}
	}
}
