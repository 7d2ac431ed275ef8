package conform

import (
	"net/http"
	"strings"
)

// patchRuleProbes are the rules of PATCH that hold for every attribute.
func (r *runner) patchRuleProbes() []probe {
	user, ok := r.typed("User")
	if !ok {
		return nil
	}
	all := meets("okta", "entra")
	rule := func(id, title, source, severity string, breaks []string, run func(*check, resourceType)) probe {
		return probe{"patch.rule." + id, title, source, severity, breaks, func(c *check) { run(c, user) }}
	}
	return []probe{
		rule("nopath.replace", "replace without a path takes an object of attributes", "RFC 7644 §3.5.2.3", must, meets("okta", "entra", "google"), func(c *check, t resourceType) {
			path := at(t, c.create(t, nil))
			name := c.name("np")
			c.done(c.patch(path, operation("replace", "", object{"displayName": name, "active": false})))
			c.shows(c.read(path), object{"displayName": name, "active": false})
		}),
		rule("nopath.add", "add without a path takes an object of attributes", "RFC 7644 §3.5.2.1", must, all, func(c *check, t resourceType) {
			path := at(t, c.create(t, nil))
			name := c.name("np")
			c.done(c.patch(path, operation("add", "", object{"title": name, "name": object{"givenName": "Np"}})))
			c.shows(c.read(path), object{"title": name, "name": object{"givenName": "Np"}})
		}),
		rule("active", "active false and true, each seen by the next read", "RFC 7643 §4.1.1", must, meets("okta", "entra", "google", "onelogin", "jumpcloud", "ping"), patchActive),
		rule("externalid", "externalId can be replaced and is found by its new value", "RFC 7643 §3.1", must, meets("entra", "okta"), patchExternalID),
		rule("order", "operations are done in order", "RFC 7644 §3.5.2", must, all, func(c *check, t resourceType) {
			path := at(t, c.create(t, nil))
			c.done(c.patch(path, operation("add", "title", "one"), operation("remove", "title", nil), operation("add", "title", "three"), operation("replace", "nickName", "Nick")))
			c.shows(c.read(path), object{"title": "three", "nickName": "Nick"})
		}),
		rule("atomic", "when one operation cannot be done, none is", "RFC 7644 §3.5.2", must, all, patchAtomic),
		rule("atomic.target", "a filter in a path that matches nothing is 400 noTarget, and nothing changes", "RFC 7644 §3.5.2.3", must, nil, patchNoTarget),
		rule("primary", "a new primary element takes the mark from the old one", "RFC 7644 §3.5.2", must, meets("entra"), patchPrimary),
		rule("noop", "adding what is there already changes nothing", "RFC 7644 §3.5.2.1", should, all, patchNoop),
		rule("operation", "an unknown op is 400 and changes nothing", "RFC 7644 §3.5.2, §3.12", must, nil, patchBad(operation("rename", "title", "x"), "invalidSyntax", "invalidValue")),
		rule("remove.nopath", "remove without a path is 400 noTarget", "RFC 7644 §3.5.2.2", must, nil, patchBad(operation("remove", "", nil), "noTarget")),
		rule("path", "a path that cannot be read is 400 invalidPath", "RFC 7644 §3.5.2, §3.12", must, nil, patchBad(operation("replace", `emails[type eq`, "x"), "invalidPath", "invalidFilter")),
		rule("type", "a value of the wrong type is 400 invalidValue", "RFC 7644 §3.12", must, nil, patchBad(operation("replace", "name", "x"), "invalidValue", "invalidSyntax")),
		rule("id", "id cannot be changed", "RFC 7643 §3.1; RFC 7644 §3.5.2", must, nil, patchBad(operation("replace", "id", "x"), "mutability")),
		rule("schemas", "a body without the PatchOp schema is 400", "RFC 7644 §3.5.2", must, nil, func(c *check, t resourceType) {
			before := c.create(t, nil)
			c.refused(c.do("PATCH", at(t, before), object{"Operations": []any{operation("replace", "title", "x")}}), http.StatusBadRequest, "invalidSyntax", "invalidValue")
			c.same(at(t, before), before)
		}),
		rule("empty", "a body without operations is 400", "RFC 7644 §3.5.2", must, nil, func(c *check, t resourceType) {
			before := c.create(t, nil)
			c.refused(c.do("PATCH", at(t, before), object{"schemas": []any{patchURN}}), http.StatusBadRequest, "invalidSyntax", "invalidValue")
			c.same(at(t, before), before)
		}),
		rule("unknown", "PATCH of an unknown id is 404", "RFC 7644 §3.12", must, meets("okta", "entra"), func(c *check, t resourceType) {
			c.refused(c.patch(t.Endpoint+"/"+c.name("none"), operation("replace", "title", "x")), http.StatusNotFound)
		}),
		rule("conflict", "taking another's userName is 409 uniqueness and changes nothing", "RFC 7644 §3.12", must, all, func(c *check, t resourceType) {
			one, other := c.create(t, nil), c.create(t, nil)
			c.refused(c.patch(at(t, one), operation("replace", "userName", other["userName"])), http.StatusConflict, "uniqueness")
			c.same(at(t, one), one)
		}),
	}
}

// patchBad demands that an operation is refused and leaves a user as it was.
func patchBad(op object, scimTypes ...string) func(*check, resourceType) {
	return func(c *check, t resourceType) {
		before := c.create(t, nil)
		c.refused(c.patch(at(t, before), op), http.StatusBadRequest, scimTypes...)
		c.same(at(t, before), before)
	}
}

func patchActive(c *check, t resourceType) {
	doc := c.create(t, object{"active": true})
	for _, on := range []bool{false, true, false} {
		c.done(c.patch(at(t, doc), operation("replace", "active", on)))
		c.equal(c.read(at(t, doc)), "/active", on)
	}
	name, _ := doc["userName"].(string)
	if found := c.found(t, `userName eq "`+name+`"`, ""); !c.decided && len(found) != 1 {
		c.fail("an inactive user is not found by userName any more")
	}
}

func patchExternalID(c *check, t resourceType) {
	doc := c.create(t, object{"externalId": c.name("Ext")})
	value := c.name("Ext")
	c.done(c.patch(at(t, doc), operation("replace", "externalId", value)))
	c.equal(c.read(at(t, doc)), "/externalId", value)
	found := c.found(t, `externalId eq "`+value+`"`, "")
	if !c.decided && (len(found) != 1 || pick(found[0], "/id") != doc["id"]) {
		c.fail(`externalId eq %q finds %d users, want the one`, value, len(found))
	}
}

func patchAtomic(c *check, t resourceType) {
	before := c.create(t, object{"title": "before"})
	for _, bad := range []object{operation("replace", "userName", nil), operation("replace", "name", "no object"), operation("remove", "userName", nil)} {
		a := c.patch(at(t, before), operation("replace", "title", "lost"), bad)
		c.refused(a, http.StatusBadRequest)
		c.same(at(t, before), before)
	}
}

func patchNoTarget(c *check, t resourceType) {
	before := c.create(t, object{"title": "before"})
	a := c.patch(at(t, before), operation("replace", "title", "lost"), operation("replace", `emails[value ew "@nowhere.example"].display`, "x"))
	c.refused(a, http.StatusBadRequest, "noTarget")
	c.same(at(t, before), before)
}

func patchPrimary(c *check, t resourceType) {
	mail := func(kind string, primary bool) object {
		return object{"value": kind + "." + c.word + "@example.com", "type": kind, "primary": primary}
	}
	doc := c.create(t, object{"emails": []any{mail("work", true)}})
	c.done(c.patch(at(t, doc), operation("add", "emails", []any{mail("home", true)})))
	got := c.read(at(t, doc))
	if want := []any{mail("work", false), mail("home", true)}; !c.decided && !agree(got.doc["emails"], want) {
		c.fail("%s: emails is %s, want %s", got.what, show(got.doc["emails"]), show(want))
	}
}

func patchNoop(c *check, t resourceType) {
	doc := c.create(t, object{"emails": []any{object{"value": "x." + c.word + "@example.com", "type": "work"}}})
	before := c.read(at(t, doc))
	c.done(c.patch(at(t, doc), operation("add", "emails", []any{object{"value": "x." + c.word + "@example.com", "type": "work"}})))
	after := c.read(at(t, doc))
	if !c.decided && !(agree(after.doc, before.doc) && agree(before.doc, after.doc)) {
		c.fail("adding an e-mail address that is there changed the user from %s to %s", show(before.doc), show(after.doc))
	}
}

// memberProbes are about the members of groups.
func memberProbes() []probe {
	on := func(f func(c *check, group resourceType, ids []string)) func(*check) {
		return func(c *check) {
			group, ok := c.typed("Group")
			user, ok2 := c.typed("User")
			if !ok || !ok2 {
				c.unsupported("there are no resource types User and Group")
				return
			}
			var ids []string
			for _, f := range c.some(user) {
				ids = append(ids, f["id"].(string))
			}
			if len(ids) < len(letters) {
				c.fail("the members could not be made")
				return
			}
			f(c, group, ids)
		}
	}
	all := meets("okta", "entra", "onelogin", "jumpcloud")
	return []probe{
		{"members.create", "a group is made with its members", "RFC 7644 §3.3; RFC 7643 §4.2", must, meets("okta"), on(func(c *check, t resourceType, ids []string) {
			g := c.create(t, object{"members": people(ids[0], ids[1])})
			c.members(t, g, ids[0], ids[1])
		})},
		{"members.patch", "add, add again, remove by filter, replace and remove all members", "RFC 7644 §3.5.2.1 to §3.5.2.3", must, all, on(memberWalk)},
		{"members.both", "members removed and added in one request", "RFC 7644 §3.5.2; Okta group push", must, meets("okta", "entra"), on(func(c *check, t resourceType, ids []string) {
			g := c.create(t, object{"members": people(ids[0], ids[1])})
			c.done(c.patch(at(t, g), operation("remove", memberPath(ids[0]), nil), operation("add", "members", people(ids[2], ids[3]))))
			c.members(t, g, ids[1], ids[2], ids[3])
		})},
		{"members.keep", "changing another attribute keeps the members", "RFC 7644 §3.5.2.3", must, all, on(func(c *check, t resourceType, ids []string) {
			g := c.create(t, object{"members": people(ids...)})
			c.done(c.patch(at(t, g), operation("replace", "displayName", c.name("renamed"))))
			c.members(t, g, ids...)
		})},
		{"members.put", "PUT replaces the members", "RFC 7644 §3.5.1", must, meets("okta", "ping"), on(func(c *check, t resourceType, ids []string) {
			g := c.create(t, object{"members": people(ids[0], ids[1])})
			doc := c.least(t)
			doc["members"] = people(ids[2])
			c.status(c.do("PUT", at(t, g), doc), http.StatusOK)
			c.members(t, g, ids[2])
		})},
		{"members.unknown", "a member who does not exist is refused, and the others stay", "RFC 7644 §3.12; §3.5.2", should, nil, on(func(c *check, t resourceType, ids []string) {
			g := c.create(t, object{"members": people(ids[0])})
			for _, op := range []string{"add", "replace"} {
				if a := c.patch(at(t, g), operation(op, "members", people(ids[1], c.name("nobody")))); a.status == http.StatusNotFound {
					c.errorForm(a)
				} else {
					c.refused(a, http.StatusBadRequest)
				}
				c.members(t, g, ids[0])
			}
		})},
		{"members.user", "a user's groups say the group, and not any more after the removal", "RFC 7643 §4.1.2", must, nil, on(memberSeen)},
		{"members.deleted", "a deleted user is no member any more", "RFC 7644 §3.6", must, meets("entra", "jumpcloud"), on(func(c *check, t resourceType, ids []string) {
			user, _ := c.typed("User")
			gone := c.create(user, nil)
			id, _ := gone["id"].(string)
			g := c.create(t, object{"members": people(ids[0], id)})
			c.status(c.do("DELETE", at(user, gone), nil), http.StatusNoContent)
			c.members(t, g, ids[0])
		})},
	}
}

func people(ids ...string) []any {
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = object{"value": id}
	}
	return all
}

func memberPath(id string) string { return `members[value eq "` + id + `"]` }

// members demands that a group has these members and no others.
func (c *check) members(t resourceType, g object, ids ...string) {
	a := c.read(at(t, g))
	if got := a.doc["members"]; !c.decided && !(agree(got, people(ids...)) || len(ids) == 0 && empty(got)) {
		c.fail("%s: members is %s, want %s", a.what, show(got), strings.Join(ids, ", "))
	}
}

func memberWalk(c *check, t resourceType, ids []string) {
	g := c.create(t, nil)
	path := at(t, g)
	for _, step := range []struct {
		op   object
		want []string
	}{
		{operation("add", "members", people(ids[0])), ids[:1]},
		{operation("add", "members", people(ids[1], ids[2])), ids[:3]},
		{operation("add", "members", people(ids[1])), ids[:3]},
		{operation("remove", memberPath(ids[0]), nil), ids[1:3]},
		{operation("replace", "members", people(ids[3], ids[4])), ids[3:]},
		{operation("replace", "members", []any{}), nil},
		{operation("add", "members", people(ids...)), ids},
		{operation("remove", "members", nil), nil},
	} {
		c.done(c.patch(path, step.op))
		c.members(t, g, step.want...)
	}
}

func memberSeen(c *check, t resourceType, _ []string) {
	user, _ := c.typed("User")
	who := c.create(user, nil)
	id, _ := who["id"].(string)
	g := c.create(t, object{"members": people(id)})
	seen := func() bool { return contains(list(c.read(at(user, who)).doc["groups"]), object{"value": g["id"]}) }
	if there := seen(); !c.decided && !there {
		c.fail("the user's groups do not say the group")
	}
	c.done(c.patch(at(t, g), operation("remove", memberPath(id), nil)))
	if there := seen(); !c.decided && there {
		c.fail("the user's groups still say the group")
	}
}
