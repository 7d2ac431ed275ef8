package scim

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestGroupLife(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		a, b, c := d.user("a"), d.user("b"), d.user("c")
		made := d.must(201, "POST", "/Groups", groupBody("Sales", `"externalId":"g1"`, `"members":`+memberJSON(a)))
		id := made.str("id")
		at := "/Groups/" + id
		if made.header.Get("Location") != BaseURL(testURL, d.directory.ID)+at || made.header.Get("ETag") == "" {
			t.Errorf("created: %v %s", made.header, made.raw)
		}
		if got := d.must(200, "GET", at, ""); text(got.json) != text(made.json) || got.header.Get("ETag") != made.header.Get("ETag") {
			t.Errorf("GET after POST\n got %s\nwant %s", got.raw, made.raw)
		}
		d.refused(409, "uniqueness", "displayName", "POST", "/Groups", groupBody("SALES"))
		d.refused(409, "uniqueness", "externalId", "POST", "/Groups", groupBody("Other", `"externalId":"g1"`))
		d.refused(400, "invalidValue", "displayName", "POST", "/Groups", `{"schemas":["`+groupURN+`"]}`)
		d.refused(400, "invalidSyntax", "under the name", "POST", "/Groups", groupBody("Other", `"`+groupURN+`:members":`+memberJSON(a)))
		d.refused(400, "invalidValue", "nobody", "POST", "/Groups", groupBody("Other", `"members":[{"value":"nobody"}]`))

		want := func(what string, ids ...string) {
			t.Helper()
			if got := slices.Sorted(maps.Keys(d.memberIDs(id))); !slices.Equal(got, slices.Sorted(slices.Values(ids))) {
				t.Errorf("%s: members %v, want %v", what, got, ids)
			}
		}
		patch := func(ops string) reply { t.Helper(); return d.must(204, "PATCH", at, patchBody(ops)) }
		want("created", a)
		before := d.must(200, "GET", at, "").header.Get("ETag")
		patch(`{"op":"add","path":"members","value":` + memberJSON(a) + `}`)
		patch(`{"op":"remove","path":"members[value eq \"` + b + `\"]"}`)
		patch(`{"op":"replace","path":"members","value":` + memberJSON(a) + `}`)
		patch(`{"op":"replace","path":"displayName","value":"Sales"}`)
		if got := d.must(200, "GET", at, "").header.Get("ETag"); got != before {
			t.Errorf("what is so already changed the version from %s to %s", before, got)
		}
		tag := patch(`{"op":"add","path":"members","value":` + memberJSON(b, c) + `},{"op":"remove","path":"members[value eq \"` + a + `\"]"}`).header.Get("ETag")
		want("add and remove", b, c)
		if got := d.must(200, "GET", at, "").header.Get("ETag"); got != tag || got == before {
			t.Errorf("ETag: the PATCH said %s, GET says %s, before it was %s", tag, got, before)
		}
		patch(`{"op":"replace","value":{"id":"` + id + `","displayName":"Marketing"}}`)
		want("renamed", b, c) // langwatch #7131
		d.refused(400, "invalidValue", strings.Repeat("0", 32), "PATCH", at, patchBody(`{"op":"replace","path":"displayName","value":"Lost"},{"op":"replace","path":"members","value":`+memberJSON(a, strings.Repeat("0", 32))+`}`))
		want("refused", b, c) // keycloak-scim #107
		if got := d.must(200, "GET", at, ""); got.str("displayName") != "Marketing" {
			t.Errorf("half of a refused PATCH was done: %s", got.raw)
		}
		patch(`{"op":"replace","path":"members","value":[]}`)
		want("emptied")
		d.must(200, "PUT", at, groupBody("Marketing", `"members":`+memberJSON(a, b)))
		want("PUT", a, b)
		if got := d.must(200, "GET", "/Users/"+a, ""); !strings.Contains(text(got.json["groups"]), id) {
			t.Errorf("the user's groups: %s", got.raw)
		}
		d.must(204, "DELETE", "/Users/"+a, "")
		want("a member was deleted", b)
		d.must(200, "PUT", at, groupBody("Marketing"))
		want("PUT without members")
		d.must(204, "DELETE", at, "")
		d.refused(404, "", "not found", "GET", at, "")
		d.refused(404, "", "not found", "DELETE", at, "")
		d.must(201, "POST", "/Groups", groupBody("Marketing"))
	})
}

func TestGroupPreconditions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		a := d.user("a")
		at := "/Groups/" + d.group("Sales")
		first := d.must(200, "GET", at, "").header.Get("ETag")
		d.must(304, "GET", at, "", "If-None-Match: "+first)
		add := patchBody(`{"op":"add","path":"members","value":` + memberJSON(a) + `}`)
		second := d.must(204, "PATCH", at, add, "If-Match: "+first).header.Get("ETag")
		if second == first {
			t.Errorf("a new member leaves the version at %s", first)
		}
		for _, c := range []struct{ method, body string }{{"PATCH", add}, {"PUT", groupBody("x")}, {"DELETE", ""}} {
			d.refused(412, "", "has changed", c.method, at, c.body, "If-Match: "+first)
		}
		d.must(200, "GET", at, "", "If-None-Match: "+first)
		d.must(204, "DELETE", at, "", "If-Match: "+second)
	})
}

func TestGroupSwitches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(`{"ignoreUnknownMembers":true,"groupDisplayNameUnique":false,"membersReplaceIsAdd":true}`)})
		a, b := d.user("a"), d.user("b")
		inner := d.group("Inner", b)
		outer := d.group("Outer", "nobody", inner, strings.Repeat("0", 32))
		if got := d.shownMembers(outer); got != "Group:"+inner {
			t.Errorf("members %s, want the inner group", got)
		}
		id := d.group("Sales", a, "nobody", strings.Repeat("0", 32))
		d.group("Sales")
		d.must(204, "PATCH", "/Groups/"+id, patchBody(`{"op":"replace","path":"members","value":`+memberJSON(b, "nobody")+`}`))
		if got := d.memberIDs(id); len(got) != 2 || !got[a] || !got[b] {
			t.Errorf("members %v, want a and b", got)
		}
		d.must(204, "PATCH", "/Groups/"+id, patchBody(`{"op":"replace","path":"members","value":[]}`))
		if got := d.memberIDs(id); len(got) != 0 {
			t.Errorf("members %v, want none", got)
		}
	})
}

func TestGroupProjection(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	id := d.group("Sales", d.user("a"))
	got := d.must(200, "GET", "/Groups/"+id+"?excludedAttributes=members", "")
	if _, there := got.json["members"]; there || got.str("displayName") != "Sales" {
		t.Errorf("excludedAttributes=members: %s", got.raw)
	}
	got = d.must(200, "GET", "/Groups/"+id+"?attributes=members", "")
	if got.json["displayName"] != nil || !strings.Contains(got.raw, "members") {
		t.Errorf("attributes=members: %s", got.raw)
	}
}

// RFC 7644 §3.5.2: "The server MUST return a 200 OK if the "attributes" parameter is
// specified in the request."
func TestPatchAnswersWithTheAttributesAskedFor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first := openDoor(t, db, NewDirectory{})
		for i, quirks := range []string{`{}`, `{"patchResponse":"204"}`, `{"patchResponse":"200"}`} {
			d := first.another(NewDirectory{Name: itoa(i), Quirks: store.JSON(quirks)})
			jane, group := d.user("jane"+itoa(i)), d.group("Sales")
			add := patchBody(`{"op":"add","path":"members","value":` + memberJSON(jane) + `}`)
			for range 2 { // the second changes nothing
				got := d.must(200, "PATCH", "/Groups/"+group+"?attributes=members.value", add)
				if asJSON(got.json["members"]) != `[{"value":"`+jane+`"}]` || got.json["displayName"] != nil {
					t.Errorf("%s: %s", quirks, got.raw)
				}
			}
			got := d.must(200, "PATCH", "/Groups/"+group+"?attributes=displayName", patchBody(`{"op":"replace","path":"displayName","value":"Buying"}`))
			if got.str("displayName") != "Buying" || got.json["members"] != nil {
				t.Errorf("%s: %s", quirks, got.raw)
			}
			got = d.must(200, "PATCH", "/Users/"+jane+"?attributes=active,groups", patchBody(`{"op":"replace","path":"active","value":false}`))
			if got.json["active"] != false || !strings.Contains(text(got.json["groups"]), "Buying") || got.json["userName"] != nil {
				t.Errorf("%s: %s", quirks, got.raw)
			}
		}
	})
}
