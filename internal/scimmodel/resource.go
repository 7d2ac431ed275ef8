package scimmodel

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// resource is a user or a group.
type resource struct {
	k   *kind
	id  string
	doc map[string]any // with active and members, without id, meta and groups

	// As last seen: version, times; history are all versions that there were.
	tag, created, modified string
	history                []string
	told                   string // the version that an answer without a body told
	since                  drift
}

// drift is what became of a resource since it was last seen.
type drift int

const (
	still   drift = iota
	perhaps       // the standard does not say whether this is a change
	moved
)

// change is a request that changes one resource, alone or in a Bulk.
type change struct {
	method string
	k      *kind
	id     string
	match  string // If-Match
	body   map[string]any
	newID  string // of what a POST makes
}

func (m *Model) find(k *kind, id string) *resource {
	for _, r := range m.all {
		if r.k == k && r.id == id {
			return r
		}
	}
	return nil
}

// change makes a change, or says why not; then the state is what it was.
func (m *Model) change(c change) (*resource, []Fault) {
	before := m.Clone()
	r, faults := m.attempt(c)
	if len(faults) > 0 {
		*m = *before
	}
	return r, faults
}

func (m *Model) attempt(c change) (*resource, []Fault) {
	var faults []Fault
	read := m.reader(c.k, &faults)
	r := m.find(c.k, c.id)
	if c.method == http.MethodPost {
		r = &resource{k: c.k, id: c.newID}
		r.doc = m.whole(read, c.body, nil)
		m.all = append(m.all, r)
		m.sort()
		return r, append(faults, m.conflicts(r)...)
	}
	if r == nil {
		faults = append(faults, Fault{404, ""})
		r = &resource{k: c.k, doc: map[string]any{}}
		if c.method == http.MethodPut { // a wrong body may be noticed first
			m.whole(read, c.body, r)
		} else if c.method == http.MethodPatch {
			read.patch(r.doc, c.body)
		}
		return r, faults
	}
	// Whoever changed it since it was last seen made a version that nobody could name.
	if c.match != "" && !(matches(c.match, r.tag) && r.since != moved) && !matches(c.match, "") {
		faults = append(faults, Fault{412, ""}) // §3.14
	}
	old := clone(r.doc)
	switch c.method {
	case http.MethodPut:
		r.doc = m.whole(read, c.body, r)
	case http.MethodPatch:
		read.patch(r.doc, c.body)
	case http.MethodDelete:
		if len(faults) == 0 {
			m.remove(r)
		}
		return r, faults
	}
	faults = append(faults, m.conflicts(r)...)
	if now := r.touched(old); now > still {
		r.told, r.since = "", max(r.since, now)
	}
	return r, faults
}

// whole reads the body of a POST or PUT. Choice: active is true at first, and stays
// as it is when a PUT does not mention it.
func (m *Model) whole(read reader, body map[string]any, old *resource) map[string]any {
	body = clone(body)
	var list []any
	for name, v := range body {
		if read.k.name == "Group" && strings.EqualFold(name, "members") {
			list = union(nil, read.memberList(v))
			delete(body, name)
		}
	}
	doc := read.resource(body)
	if len(list) > 0 {
		doc["members"] = list
	}
	if read.k.name == "User" && doc["active"] == nil {
		doc["active"] = true
		if old != nil && old.doc["active"] != nil {
			doc["active"] = old.doc["active"]
		}
	}
	return doc
}

// touched compares with what was. Another order of values is no change that the
// standard speaks of.
func (r *resource) touched(old map[string]any) drift {
	switch {
	case canonical(old) == canonical(r.doc):
		return still
	case differ(old, r.doc, "") == nil && canonical(withoutMembers(old)) == canonical(withoutMembers(r.doc)):
		return still // members have no order to begin with
	case differ(old, r.doc, "") == nil:
		return perhaps
	}
	return moved
}

func withoutMembers(doc map[string]any) map[string]any {
	out := clone(doc)
	delete(out, "members")
	return out
}

// conflicts are duplicate names and unknown members. userName is unique without
// regard to case (RFC 7643 §4.1.1). Choice: externalId and a group's displayName
// are unique too.
func (m *Model) conflicts(r *resource) []Fault {
	var out []Fault
	for _, name := range []string{"userName", "displayName", "externalId"} {
		a := r.k.find("", name)
		if a == nil || name == "displayName" && r.k.name == "User" {
			continue
		}
		mine, _ := r.doc[name].(string)
		for _, other := range m.all {
			yours, _ := other.doc[name].(string)
			if other != r && other.k == r.k && mine != "" && fold(a, mine) == fold(a, yours) {
				out = append(out, Fault{409, "uniqueness"})
			}
		}
	}
	for _, id := range r.members() {
		if m.member(id) == nil || m.contains(id, r.id, 0) {
			out = append(out, Fault{400, "invalidValue"})
		}
	}
	return out
}

// member finds what can be in a group: "User" or "Group" (RFC 7643 §4.2).
func (m *Model) member(id string) *resource {
	if u := m.find(m.kinds[0], id); u != nil {
		return u
	}
	return m.find(m.kinds[1], id)
}

// contains tells whether a group is, or has in it, another one. Choice: groups do
// not contain one another.
func (m *Model) contains(id, other string, depth int) bool {
	g := m.find(m.kinds[1], id)
	if g == nil || depth > len(m.all) {
		return false
	}
	return id == other || slices.ContainsFunc(g.members(), func(in string) bool { return m.contains(in, other, depth+1) })
}

func (r *resource) members() []string {
	var ids []string
	list, _ := r.doc["members"].([]any)
	for _, e := range list {
		ids = append(ids, e.(map[string]any)["value"].(string))
	}
	return ids
}

// remove deletes (§3.6); choice: what is deleted is in no group any more.
func (m *Model) remove(r *resource) {
	m.all = slices.DeleteFunc(m.all, func(o *resource) bool { return o == r })
	for _, g := range m.all {
		if at := slices.Index(g.members(), r.id); at >= 0 {
			list := g.doc["members"].([]any)
			if list = slices.Delete(slices.Clone(list), at, at+1); len(list) > 0 {
				g.doc["members"] = list
			} else {
				delete(g.doc, "members")
			}
			g.told, g.since = "", moved
		}
	}
}

func (m *Model) sort() {
	slices.SortStableFunc(m.all, func(a, b *resource) int { return strings.Compare(a.id, b.id) })
}

func (m *Model) location(r *resource) string { return m.base + r.k.endpoint() + "/" + r.id }

// full is a resource with all that can be read of it.
func (m *Model) full(r *resource) map[string]any {
	doc := clone(r.doc)
	schemas := []any{r.k.urn}
	for _, urn := range r.k.extensions { // §3.3: those of the attributes that are there
		if doc[urn] != nil {
			schemas = append(schemas, urn)
		}
	}
	meta := map[string]any{"resourceType": r.k.name, "location": m.location(r),
		"created": known(r.created), "lastModified": known(r.modified), "version": known(r.tag)}
	if r.since != still || m.coarse && r.k.name == "Group" {
		meta["lastModified"], meta["version"] = unknown{}, unknown{}
	}
	doc["schemas"], doc["id"], doc["meta"] = schemas, r.id, meta
	if r.k.name == "Group" {
		m.showMembers(doc, r)
		return doc
	}
	in := []any{}
	for _, g := range m.all { // RFC 7643 §4.1.2: direct, or by another group in it
		form := map[string]any{"value": g.id, "$ref": m.location(g), "display": g.doc["displayName"], "type": "direct"}
		if slices.Contains(g.members(), r.id) {
			in = append(in, form)
		} else if m.holds(g, r.id) {
			form["type"] = "indirect"
			in = append(in, form)
		}
	}
	doc["groups"] = in // choice: an empty list is shown, and none of it changes the user's version
	return doc
}

// holds tells whether a user belongs to a group, in whatever way.
func (m *Model) holds(g *resource, user string) bool {
	return slices.ContainsFunc(g.members(), func(id string) bool {
		in := m.find(m.kinds[1], id)
		return id == user || in != nil && m.holds(in, user)
	})
}

// showMembers completes the members. Choice: display is displayName, else the
// user's name, else userName.
func (m *Model) showMembers(doc map[string]any, r *resource) {
	list := []any{}
	for _, id := range r.members() {
		member := map[string]any{"value": id}
		if in := m.member(id); in != nil {
			member["type"], member["$ref"], member["display"] = in.k.name, m.location(in), nameOf(in.doc)
		}
		list = append(list, member)
	}
	doc["members"] = list
}

func nameOf(doc map[string]any) any {
	name, _ := doc["name"].(map[string]any)
	part := func(key string) string { s, _ := name[key].(string); return s }
	full := strings.TrimSpace(part("givenName") + " " + part("familyName"))
	switch {
	case doc["displayName"] != nil && doc["displayName"] != "":
		return doc["displayName"]
	case part("givenName")+part("familyName") == "" && part("formatted") != "":
		return part("formatted")
	case full != "":
		return full
	}
	return doc["userName"]
}

func known(s string) any {
	if s == "" {
		return unknown{}
	}
	return s
}

// observe holds the server to its versions and times: they change when the
// resource does, and a version never comes back.
func (m *Model) observe(r *resource, shown map[string]any) error {
	meta, _ := shown["meta"].(map[string]any)
	word := func(name string) string { s, _ := meta[name].(string); return s }
	tag, modified, created := word("version"), word("lastModified"), word("created")
	if tag == "" || modified == "" || created == "" {
		return nil
	}
	// A deletion of a member that meets another change of the group may count twice.
	loose := m.coarse && r.k.name == "Group"
	switch fresh := r.tag == ""; {
	case loose:
	case r.told != "" && tag != r.told:
		return fmt.Errorf("%s is at version %s, and the change was answered with %s", r.id, tag, r.told)
	case !fresh && r.since == moved && slices.Contains(r.history, tag):
		return fmt.Errorf("%s has changed and is at version %s, which it was before", r.id, tag)
	case !fresh && r.since == moved && !later(r.modified, modified) && !(m.coarse && modified == r.modified):
		return fmt.Errorf("%s has changed, and lastModified went from %s to %s", r.id, r.modified, modified)
	case !fresh && r.since == still && (tag != r.tag || modified != r.modified):
		return fmt.Errorf("%s has not changed, and went from %s (%s) to %s (%s)", r.id, r.tag, r.modified, tag, modified)
	}
	if !slices.Contains(r.history, tag) {
		r.history = append(r.history, tag)
	}
	r.tag, r.modified, r.created, r.since, r.told = tag, modified, created, still, ""
	return nil
}

func later(before, after string) bool {
	a, err1 := time.Parse(time.RFC3339Nano, before)
	b, err2 := time.Parse(time.RFC3339Nano, after)
	return err1 == nil && err2 == nil && b.After(a)
}
