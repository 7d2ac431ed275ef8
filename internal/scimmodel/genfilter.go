package scimmodel

import "strings"

// Filters, attributes to show and attributes to sort by.

// attribute is a name for a projection; loose ones may be unknown.
func (s *Source) attribute(endpoint string, loose bool) string {
	names := []string{"userName", "displayName", "name", "name.givenName", "NAME.FAMILYNAME", "emails", "emails.value", "active", "groups", "groups.value",
		"meta", "meta.version", "id", "externalId", "schemas", enterpriseURN, enterpriseURN + ":department", enterpriseURN + ":manager", "title", "addresses.country", "photos"}
	if endpoint == "Groups" {
		names = []string{"displayName", "members", "members.value", "members.display", "members.$ref", "meta", "meta.lastModified", "id", "externalId", groupURN + ":displayName"}
	}
	if loose && s.one(10) {
		return pick(s, "shoeSize", "name.shoeSize", "urn:example:x", "")
	}
	return pick(s, names...)
}

func (s *Source) sortable(endpoint string) string {
	if s.one(25) {
		return pick(s, "shoeSize", "password", "name")
	}
	if endpoint == "Groups" {
		return pick(s, "displayName", "externalId", "id", "meta.created", "meta.lastModified")
	}
	return pick(s, "userName", "externalId", "id", "displayName", "title", "name.familyName", "emails", "emails.type", "phoneNumbers.value", "active",
		"meta.created", "meta.lastModified", enterpriseURN+":department", enterpriseURN+":manager")
}

// quoted is a text in a filter.
func quoted(v any) string { return body(v) }

// filter is a filter of up to depth levels; endpoint "" is both.
func (s *Source) filter(endpoint string, depth int) string {
	if depth > 0 {
		switch s.rng.IntN(7) {
		case 0:
			return s.filter(endpoint, depth-1) + " and " + s.filter(endpoint, depth-1)
		case 1:
			return s.filter(endpoint, depth-1) + " or " + s.filter(endpoint, depth-1)
		case 2:
			return "not (" + s.filter(endpoint, depth-1) + ")"
		case 3:
			return "(" + s.filter(endpoint, depth-1) + ") AND (" + s.filter(endpoint, depth-1) + ")"
		}
	}
	if s.one(30) {
		return pick(s, `shoeSize eq "1"`, "userName", `userName is "x"`, `title gt`, "(title pr", `active gt true`, `name eq "x"`, `emails[shoeSize eq "x"]`, `password eq "x"`)
	}
	switch endpoint {
	case "Groups":
		return s.groupTerm()
	case "Users":
		return s.userTerm()
	}
	return pick(s, `id eq "`+s.ref("Users")+`"`, `externalId `+s.operator()+` "E1"`, `displayName `+s.operator()+" "+quoted(s.word()),
		`userName `+s.operator()+" "+quoted(s.name()), `meta.resourceType eq "User"`, "title pr", `title ne "a"`)
}

func (s *Source) operator() string {
	return pick(s, "eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ")
}

func (s *Source) userTerm() string {
	list := pick(s, lists...)
	switch s.rng.IntN(13) {
	case 0:
		return "userName " + s.operator() + " " + quoted(s.name())
	case 1:
		return pick(s, simpleNames...) + " " + s.operator() + " " + quoted(s.word())
	case 2:
		return "name." + pick(s, "givenName", "familyName") + " " + s.operator() + " " + quoted(s.word())
	case 3:
		return pick(s, "externalId", "externalid") + " " + s.operator() + " " + quoted(pick(s, "E1", "e1", "E2", "E"))
	case 4:
		return "id " + pick(s, "eq", "ne") + ` "` + s.ref("Users") + `"`
	case 5:
		return "active " + pick(s, "eq true", "eq false", "ne true", "pr", "eq TRUE")
	case 6:
		return pick(s, "title", "name", "emails", "emails.type", "groups", enterpriseURN+":manager", "name.givenName", "addresses", "photos.display") + " " + pick(s, "pr", "eq null", "ne null")
	case 7:
		return enterpriseURN + ":department " + s.operator() + " " + quoted(s.word())
	case 8:
		return enterpriseURN + ":" + pick(s, "manager", "manager.value") + ` eq "` + s.ref("Users") + `"`
	case 9:
		return pick(s, `groups.value eq "`+s.ref("Groups")+`"`, `groups eq "`+s.ref("Groups")+`"`, `groups[type eq "indirect"]`,
			`groups[value eq "`+s.ref("Groups")+`" and type eq "direct"]`)
	case 10:
		if s.one(4) {
			return pick(s, "emails.primary", "phoneNumbers.primary") + " " + pick(s, "eq true", "eq false", "ne true", "ne false")
		}
		return pick(s, "emails.value", "emails", "emails.type", "phoneNumbers.value", "ims.type") + " " + s.operator() + " " + quoted(pick(s, "a@x.example", "A@X.EXAMPLE", "x.example", "work"))
	}
	f := list + "[" + s.elementFilter(list, 1) + "]"
	if list != "addresses" && list != "x509Certificates" && s.one(3) {
		f += ".value " + pick(s, "eq", "sw", "co") + ` "` + pick(s, "a@x.example", "b", "x") + `"`
	}
	return f
}

// elementFilter is what stands inside brackets.
func (s *Source) elementFilter(list string, depth int) string {
	if depth > 0 && s.one(3) {
		return s.elementFilter(list, depth-1) + pick(s, " and ", " or ") + s.elementFilter(list, depth-1)
	}
	if s.one(12) {
		return "not (" + s.elementFilter(list, 0) + ")"
	}
	if list == "addresses" {
		return pick(s, `type eq "work"`, `type eq "Home"`, `country `+s.operator()+" "+quoted(s.word()), "locality pr")
	}
	value := `value eq "a@x.example"`
	if list == "x509Certificates" {
		value = `value eq "AQID"`
	}
	return pick(s, `type eq "work"`, `type eq "work"`, `type eq "HOME"`, `type ne "work"`, value, "primary eq true", "primary eq false", "primary ne true", "display pr", "type pr")
}

func (s *Source) groupTerm() string {
	switch s.rng.IntN(6) {
	case 0, 1:
		return "displayName " + s.operator() + " " + quoted(s.group()["displayName"])
	case 2:
		return "externalId " + s.operator() + " " + quoted(pick(s, "G1", "g1", "G"))
	case 3:
		return pick(s, `members eq "`, `members.value eq "`, `members.value ne "`) + s.ref("Users") + `"`
	case 4:
		return strings.Replace(`members[value eq "#"]`, "#", s.ref("Users"), 1)
	}
	return pick(s, `members[type eq "Group"]`, "members pr", "externalId pr", "not (members pr)", "members eq null", `meta.resourceType eq "group"`, "members.display pr")
}
