package conform

import "slices"

// Groups in groups, as tiny has them.

// member completes an element of members by its type, and refuses what is not there.
func (s *tiny) member(m object, bad oops) {
	id, _ := m["value"].(string)
	kind := ""
	for endpoint, name := range map[string]string{"Users": "User", "Groups": "Group"} {
		if rec := s.find(endpoint, id); rec != nil && !rec.gone {
			kind = name
		}
	}
	if kind == "" && !s.is("members-unknown") || m["type"] != nil && m["type"] != kind && !s.is("type-ignored") {
		panic(bad)
	}
	if m["type"] = kind; s.is("nested-user") {
		m["type"] = "User"
	}
}

// inside are the ids of all that a group's members lead to.
func (s *tiny) inside(doc object) (ids []string) {
	for _, m := range list(doc["members"]) {
		id, _ := pick(m, "/value").(string)
		ids = append(ids, id)
		if rec := s.find("Groups", id); rec != nil && !rec.gone {
			ids = append(ids, s.inside(rec.doc)...)
		}
	}
	return ids
}

// circle refuses a group that would contain itself.
func (s *tiny) circle(id string, doc object) {
	if s.is("circle-of-one") {
		for _, m := range list(doc["members"]) {
			if pick(m, "/value") == id {
				return
			}
		}
	}
	if slices.Contains(s.inside(doc), id) {
		panic(oops{400, "invalidValue"})
	}
}

func (s *tiny) groupsOf(user string) []any {
	groups := []any{}
	for _, g := range s.records["Groups"] {
		switch {
		case g.gone:
		case contains(list(g.doc["members"]), object{"value": user}):
			groups = append(groups, object{"value": g.id, "type": "direct"})
		case slices.Contains(s.inside(g.doc), user) && !s.is("indirect-missing"):
			groups = append(groups, object{"value": g.id, "type": "indirect"})
		}
	}
	return groups
}
