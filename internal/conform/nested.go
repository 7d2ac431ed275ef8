package conform

import (
	"net/http"
	"strings"
)

// nestedProbes are about groups in groups. RFC 7643 §4.2 leaves them to the server,
// so they are asked of one whose schema says that members may be groups.
func nestedProbes() []probe {
	on := func(f func(c *check, group resourceType, inner, outer object, who string)) func(*check) {
		return func(c *check) {
			group, ok := c.typed("Group")
			user, ok2 := c.typed("User")
			if !ok || !ok2 || !c.says(group, "members", "Group") {
				c.unsupported("the schema of Group does not say that groups are members")
				return
			}
			who, _ := c.create(user, nil)["id"].(string)
			inner := c.create(group, object{"members": people(who)})
			id, _ := inner["id"].(string)
			outer := c.create(group, object{"members": []any{object{"value": id, "type": "Group"}}})
			if !c.decided {
				f(c, group, inner, outer, who)
			}
		}
	}
	return []probe{
		{"members.nested", "a group is a member of a group, by POST and PATCH, and is shown as a Group", "RFC 7643 §4.2", must, meets("entra"), on(nestedLife)},
		{"members.nested.filter", "a nested group is found as a member", "RFC 7644 §3.4.2.2", must, nil, on(func(c *check, t resourceType, inner, outer object, _ string) {
			id, _ := inner["id"].(string)
			if found := c.found(t, `members.value eq "`+id+`"`, ""); !c.decided && !(len(found) == 1 && agree(found[0], object{"id": outer["id"]})) {
				c.fail("the filter members.value eq with the id of a nested group finds %d groups, want the one that it is in", len(found))
			}
		})},
		{"members.nested.indirect", "a user's groups show the outer group as indirect, the inner as direct", "RFC 7643 §4.1.2", must, nil, on(nestedIndirect)},
		{"members.nested.deleted", "a deleted group is no member any more", "RFC 7644 §3.6", must, nil, on(func(c *check, t resourceType, inner, outer object, _ string) {
			c.status(c.do("DELETE", at(t, inner), nil), http.StatusNoContent)
			c.members(t, outer)
		})},
		{"members.nested.type", "a type that is not what the member is, is refused", "RFC 7643 §4.2; RFC 7644 §3.12", should, nil, on(func(c *check, t resourceType, _, outer object, who string) {
			before := c.read(at(t, outer)).doc
			c.refused(c.patch(at(t, outer), operation("add", "members", []any{object{"value": who, "type": "Group"}})), http.StatusBadRequest)
			c.same(at(t, outer), before)
		})},
		{"members.nested.circle", "groups that would contain themselves are refused, and nothing changes", "RFC 7643 §4.2; RFC 7644 §3.12", should, nil, on(nestedCircle)},
	}
}

// says tells whether the type of an attribute's elements can be this one, by its schema.
func (c *check) says(t resourceType, attr, kind string) bool {
	for _, a := range c.schemas[t.Schema].Attributes {
		if sub, ok := a.sub("type"); ok && strings.EqualFold(a.Name, attr) {
			for _, v := range sub.CanonicalValues {
				if strings.EqualFold(v, kind) {
					return true
				}
			}
		}
	}
	return false
}

func nestedLife(c *check, t resourceType, inner, outer object, who string) {
	id, _ := inner["id"].(string)
	want := []any{object{"value": id, "type": "Group"}}
	if got := c.read(at(t, outer)); !c.decided && !agree(got.doc["members"], want) {
		c.fail("%s: members is %s, want the group %s with type Group", got.what, show(got.doc["members"]), id)
	}
	c.done(c.patch(at(t, outer), operation("add", "members", people(who))))
	c.members(t, outer, id, who)
	c.done(c.patch(at(t, outer), operation("remove", memberPath(id), nil)))
	c.members(t, outer, who)
	c.done(c.patch(at(t, outer), operation("add", "members", people(id))))
	c.members(t, outer, id, who)
	c.done(c.patch(at(t, outer), operation("replace", "members", people(id))))
	c.members(t, outer, id)
}

func nestedIndirect(c *check, t resourceType, inner, outer object, who string) {
	user, _ := c.typed("User")
	if !c.says(user, "groups", "indirect") {
		c.unsupported("the schema of User does not say that groups are shown as indirect")
		return
	}
	path := at(user, object{"id": who})
	a := c.read(path)
	want := []any{object{"value": inner["id"], "type": "direct"}, object{"value": outer["id"], "type": "indirect"}}
	if !c.decided && !agree(a.doc["groups"], want) {
		c.fail("%s: groups is %s, want %s", a.what, show(a.doc["groups"]), show(want))
	}
	id, _ := inner["id"].(string)
	c.done(c.patch(at(t, outer), operation("remove", memberPath(id), nil)))
	a = c.read(path)
	if !c.decided && !agree(a.doc["groups"], want[:1]) {
		c.fail("%s: after the inner group left the outer one, groups is %s, want %s", a.what, show(a.doc["groups"]), show(want[:1]))
	}
}

// nestedCircle looks at a circle of one, two and three.
func nestedCircle(c *check, t resourceType, inner, outer object, _ string) {
	id, _ := outer["id"].(string)
	top := c.create(t, object{"members": people(id)})
	topID, _ := top["id"].(string)
	for _, pair := range []struct {
		into object
		id   string
	}{{outer, id}, {inner, id}, {inner, topID}} {
		before := c.read(at(t, pair.into)).doc
		a := c.patch(at(t, pair.into), operation("add", "members", people(pair.id)))
		if a.status == http.StatusConflict {
			c.errorForm(a)
		} else {
			c.refused(a, http.StatusBadRequest)
		}
		c.same(at(t, pair.into), before)
	}
}
