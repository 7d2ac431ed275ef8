package scimmodel

import (
	"strings"
)

// The values that Source puts into requests.

func (s *Source) word() any {
	return pick[any](s, "a", "A", "b", "Chef", "chef de cuisine", "50%", "x_y", "é", "É", `say "hi" \ bye`, "日本", "z")
}

func (s *Source) name() any {
	return pick[any](s, "ann", "Ann", "bob", "BOB", "cyd", "dan@example.com", "Dan@Example.com", "Éva", "éva", "fay", "gus", "hal", "ida", "joe")
}

// maybe is a value, null, or something that does not fit.
func (s *Source) maybe(v any) any {
	switch {
	case s.one(25):
		return nil
	case s.one(25) && !s.strict:
		return ""
	case s.one(60):
		return pick[any](s, 5, true, []any{[]any{}}, map[string]any{"x": map[string]any{}})
	}
	return v
}

var simpleNames = []string{"displayName", "nickName", "title", "userType", "locale", "timezone", "preferredLanguage"}

func (s *Source) user() map[string]any {
	m := map[string]any{"schemas": []any{userURN}, "userName": s.name()}
	if s.one(3) {
		m["externalId"] = s.maybe(pick[any](s, "E1", "e1", "E2", "E3"))
	}
	if s.one(3) {
		m["active"] = s.truth()
	}
	for _, name := range simpleNames {
		if s.one(4) {
			m[name] = s.maybe(s.word())
		}
	}
	if s.one(2) {
		m["name"] = s.maybe(s.fields("givenName", "familyName", "formatted"))
	}
	for _, list := range lists {
		if s.one(4) {
			m[list] = s.elementsOf(list)
		}
	}
	if s.one(3) {
		m[enterpriseURN] = s.enterprise()
		if s.one(2) {
			m["schemas"] = []any{userURN, enterpriseURN}
		}
	}
	s.spoil(m, "userName")
	return m
}

// spoil adds what is ignored, or wrong.
func (s *Source) spoil(m map[string]any, required string) {
	switch s.rng.IntN(60) {
	case 0:
		m["shoeSize"] = "42"
	case 1:
		m["password"] = "secret"
	case 2:
		m["id"], m["meta"], m["groups"] = "mine", map[string]any{"version": "x"}, []any{map[string]any{"value": "x"}}
	case 3:
		delete(m, required)
	case 4:
		delete(m, "schemas")
	case 5:
		m["schemas"] = append(m["schemas"].([]any), "urn:example:other")
	case 6:
		m["schemas"] = []any{}
	}
}

func (s *Source) truth() any {
	if !s.strict && s.one(5) {
		return pick[any](s, "True", "false", "yes")
	}
	return pick[any](s, true, false)
}

func (s *Source) fields(names ...string) map[string]any {
	m := map[string]any{}
	for _, name := range names {
		if s.one(2) {
			m[name] = s.maybe(s.word())
		}
	}
	if s.one(20) {
		m["unheardOf"] = "x"
	}
	return m
}

func (s *Source) enterprise() map[string]any {
	m := s.fields("department", "costCenter", "division")
	if s.one(3) {
		m["manager"] = s.manager()
	}
	return m
}

func (s *Source) manager() any {
	m := map[string]any{"value": s.ref("Users")}
	if s.one(4) {
		m["displayName"] = "nobody asked" // read-only
	}
	if s.one(5) {
		m["$ref"] = "../Users/x"
	}
	return m
}

// emails come often, so that requests meet.
var lists = []string{"emails", "emails", "emails", "emails", "phoneNumbers", "ims", "photos", "addresses", "x509Certificates"}

func (s *Source) element(list string) map[string]any {
	if list == "addresses" {
		m := s.fields("locality", "country")
		m["type"] = pick(s, "work", "home")
		return m
	}
	m := map[string]any{"value": pick(s, "a@x.example", "b@x.example", "A@x.example", "c@y.example")}
	if list == "x509Certificates" {
		m["value"] = pick(s, "AQID", "BAUG", "AQID", "BAUG", "AQID", "AQID", "***")
	}
	if !s.one(3) {
		m["type"] = pick(s, "work", "home", "other")
	}
	if s.one(2) {
		m["primary"] = pick[any](s, true, true, false)
	}
	if s.one(6) {
		m["display"] = s.word()
	}
	return m
}

func (s *Source) elementsOf(list string) any {
	out := []any{}
	for range pick(s, 0, 1, 1, 2, 2, 3) {
		out = append(out, s.element(list))
	}
	switch {
	case s.one(20) && !s.strict:
		return s.element(list) // one for a list
	case s.one(30):
		return s.maybe(nil)
	}
	return out
}

func (s *Source) group() map[string]any {
	m := map[string]any{"schemas": []any{groupURN}, "displayName": pick(s, "Sales", "sales", "Labs", "Ops", "Board", "Éclat", "éclat", "Zoo", "Web")}
	if s.one(3) {
		m["externalId"] = pick(s, "G1", "g1", "G2")
	}
	if s.one(2) {
		m["members"] = s.members()
	}
	if s.one(30) { // by itself: of a member that is named twice the last type counts
		m["members"] = []any{map[string]any{"value": s.ref("Users"), "type": "Group"}}
	}
	s.spoil(m, "displayName")
	return m
}

func (s *Source) members() []any {
	out := []any{}
	for range s.rng.IntN(4) {
		kind := pick(s, "Users", "Users", "Users", "Users", "Groups")
		m := map[string]any{"value": s.ref(kind)}
		if s.one(5) {
			m["type"] = strings.TrimSuffix(kind, "s")
		}
		out = append(out, m)
	}
	return out
}

// patch is a PATCH body of one to three operations.
func (s *Source) patch(endpoint string) map[string]any {
	var ops []any
	for range 1 + s.rng.IntN(3) {
		if endpoint == "Users" {
			ops = append(ops, s.userOp())
		} else {
			ops = append(ops, s.groupOp())
		}
	}
	if endpoint == "Groups" && s.one(4) { // the document and the members in one request
		ops = []any{operation("replace", "externalId", pick[any](s, "G3", "G4", "G5", "G6")), operation("remove", `members[value eq "`+s.ref("Users")+`"]`, nil)}
	}
	m := map[string]any{"schemas": []any{patchURN}, "Operations": ops}
	switch s.rng.IntN(80) {
	case 0:
		delete(m, "schemas")
	case 1:
		m["Operations"] = []any{}
	case 2:
		ops[0].(map[string]any)["op"] = "move"
	case 3, 4:
		if endpoint == "Groups" { // by itself, for the same reason as in groupOp
			m["Operations"] = []any{operation("remove", pick(s, `members[type eq "Group"]`, `members[type eq "User"]`), nil)}
		}
	}
	return m
}

func (s *Source) verb() string { return pick(s, "add", "replace", "remove", "Add", "Replace") }

func operation(op, path string, value any) map[string]any {
	m := map[string]any{"op": op, "path": path}
	if strings.ToLower(op) != "remove" {
		m["value"] = value
	}
	return m
}

func (s *Source) userOp() any {
	list := pick(s, lists...)
	switch s.rng.IntN(18) {
	case 0, 1:
		return operation(s.verb(), pick(s, simpleNames...), s.maybe(s.word()))
	case 2:
		return operation(s.verb(), pick(s, "name.givenName", "NAME.familyName", userURN+":name.formatted"), s.maybe(s.word()))
	case 3:
		return operation(s.verb(), "name", s.maybe(s.fields("givenName", "familyName")))
	case 4:
		return operation(s.verb(), enterpriseURN+":"+pick(s, "department", "costCenter", "division"), s.maybe(s.word()))
	case 5:
		return operation(s.verb(), enterpriseURN+":"+pick(s, "manager", "manager.value"), s.ref("Users"))
	case 6:
		return operation(s.verb(), enterpriseURN, s.enterprise())
	case 7, 8:
		return operation(s.verb(), list, s.elementsOf(list))
	case 9, 10, 15, 16:
		return s.filtered(list)
	case 17:
		return operation("add", "emails", []any{s.element("emails")})
	case 11, 12:
		return s.pathless()
	case 13:
		return operation(s.verb(), "active", s.truth())
	}
	return s.oddOp()
}

// filtered has a path with a value filter.
func (s *Source) filtered(list string) any {
	if list == "emails" && s.one(4) {
		return map[string]any{"op": "remove", "path": list, "value": pick(s, []any{}, []any{map[string]any{"value": ""}}, []any{s.element(list)})}
	}
	path := list + "[" + s.elementFilter(list, 1) + "]"
	if s.one(4) {
		return operation(pick(s, "remove", "add", "replace"), path, s.element(list))
	}
	sub := pick(s, "value", "type", "display", "primary", "primary")
	if list == "addresses" {
		sub = pick(s, "locality", "country")
	}
	value := s.element(list)[sub]
	if value == nil {
		value = s.word()
	}
	if sub == "primary" {
		value = s.truth()
	}
	return operation(s.verb(), path+"."+sub, value)
}

// pathless has its paths in the value.
func (s *Source) pathless() any {
	m := map[string]any{}
	for range 1 + s.rng.IntN(3) {
		switch s.rng.IntN(6) {
		case 0:
			m[pick(s, simpleNames...)] = s.maybe(s.word())
		case 1:
			m["name"] = s.fields("givenName", "familyName")
		case 2:
			list := pick(s, lists...)
			m[list] = s.elementsOf(list)
		case 3:
			m[enterpriseURN] = s.enterprise()
		case 4:
			m["active"] = s.truth()
		default:
			m[pick(s, "userName", "nickName")] = s.name()
		}
	}
	return map[string]any{"op": pick(s, "add", "replace"), "value": m}
}

// oddOp is about what cannot be changed, or does not exist.
func (s *Source) oddOp() any {
	switch s.rng.IntN(9) {
	case 0:
		return operation("replace", pick(s, "id", "meta.created", "groups", "groups.value"), "x")
	case 1:
		return operation("remove", pick(s, "userName", "active", "externalId"), nil)
	case 2:
		return map[string]any{"op": "remove"}
	case 3:
		return operation("add", pick(s, "shoeSize", "name.shoeSize", "emails.shoeSize"), "x")
	case 4:
		return operation("add", pick(s, "title[", "emails[type eq]", "emails[shoeSize eq 1]", ".", "emails[type eq \"x\"]x"), "x")
	case 5:
		return operation(s.verb(), "userName", s.name())
	case 6:
		return operation(s.verb(), "externalId", pick[any](s, "E1", "E2", "E9"))
	case 7:
		return operation("replace", "password", "secret")
	}
	return map[string]any{"op": "replace", "path": "title"}
}

func (s *Source) groupOp() any {
	switch s.rng.IntN(12) {
	case 0:
		return operation("replace", "displayName", s.group()["displayName"])
	case 1:
		return operation(s.verb(), "externalId", pick[any](s, "G1", "G2", "G7"))
	case 2:
		return operation("replace", "members", s.members())
	case 3:
		return operation("remove", "members", nil)
	case 4, 5, 6:
		path := `members[value eq "` + s.ref("Users") + `"]`
		if s.one(4) {
			path = `members[value eq "` + s.ref("Users") + `" or value eq "` + s.ref("Users") + `"]`
		}
		return operation("remove", path, nil)
	case 7:
		return map[string]any{"op": pick(s, "add", "replace"), "value": map[string]any{"displayName": s.group()["displayName"], "members": s.members()}}
	case 8:
		m := operation("remove", "members", nil)
		list := s.members()
		for _, e := range list { // the type of who was added just before may be unknown
			delete(e.(map[string]any), "type")
		}
		m["value"] = list
		return m
	case 9:
		return operation(pick(s, "add", "replace"), pick(s, "members.value", `members[value eq "x"]`, "displayName.x", "id"), "x")
	}
	return operation("add", "members", s.members())
}
