package scim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// shownMembers is "User:id Group:id", sorted; each $ref must lead to the member.
func (d *door) shownMembers(group string) string {
	d.t.Helper()
	var out []string
	list, _ := d.must(200, "GET", "/Groups/"+group, "").json["members"].([]any)
	for _, e := range list {
		m := e.(map[string]any)
		kind, _ := m["type"].(string)
		if want := BaseURL(testURL, d.directory.ID) + "/" + kind + "s/" + fmt.Sprint(m["value"]); m["$ref"] != want {
			d.t.Errorf("the $ref of a member is %v, want %s", m["$ref"], want)
		}
		out = append(out, kind+":"+fmt.Sprint(m["value"]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// groupsShown is "direct:name indirect:name" of a user, sorted.
func (d *door) groupsShown(user string) string {
	d.t.Helper()
	got := groupTypes(d.must(200, "GET", "/Users/"+user, "").json)
	found, _ := d.get("/Users", "filter", `id eq "`+user+`"`).json["Resources"].([]any)
	if listed := groupTypes(found[0].(map[string]any)); listed != got {
		d.t.Errorf("alone the user is in %q, in a list in %q", got, listed)
	}
	return got
}

func groupTypes(user map[string]any) string {
	var out []string
	list, _ := user["groups"].([]any)
	for _, e := range list {
		g := e.(map[string]any)
		out = append(out, fmt.Sprint(g["type"])+":"+fmt.Sprint(g["display"]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestNestedGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		ann, ben := d.user("ann"), d.user("ben")
		web := d.group("Web", ann)
		at := func(id string) string { return "/Groups/" + id }
		made := d.must(201, "POST", "/Groups", groupBody("Eng", `"members":[{"value":"`+web+`","type":"Group"},{"value":"`+ben+`","type":"user"}]`))
		eng := made.str("id")
		if got := d.must(200, "GET", at(eng), ""); text(got.json) != text(made.json) || got.header.Get("ETag") != made.header.Get("ETag") {
			t.Errorf("GET after POST\n got %s\nwant %s", got.raw, made.raw)
		}
		want := func(group, members string) {
			t.Helper()
			if got := d.shownMembers(group); got != members {
				t.Errorf("the members are %q, want %q", got, members)
			}
		}
		patch := func(group, ops string) { t.Helper(); d.must(204, "PATCH", at(group), patchBody(ops)) }
		want(eng, "Group:"+web+" User:"+ben)
		all := d.group("All")
		userTag := d.must(200, "GET", "/Users/"+ann, "").header.Get("ETag")
		tag := d.must(200, "GET", at(all), "").header.Get("ETag")
		patch(all, `{"op":"add","path":"members","value":[{"$ref":null,"value":"`+eng+`"}]}`)
		if got := d.must(200, "GET", at(all), "").header.Get("ETag"); got == tag {
			t.Errorf("a new group leaves the version at %s", got)
		}
		tag = d.must(200, "GET", at(all), "").header.Get("ETag")
		patch(all, `{"op":"add","path":"members","value":[{"value":"`+eng+`"}]}`)
		if got := d.must(200, "GET", at(all), "").header.Get("ETag"); got != tag {
			t.Errorf("a group that is there already changed the version from %s to %s", tag, got)
		}
		if got := d.groupsShown(ann); got != "direct:Web indirect:All indirect:Eng" {
			t.Errorf("Ann is in %q", got)
		}
		if got := d.groupsShown(ben); got != "direct:Eng indirect:All" {
			t.Errorf("Ben is in %q", got)
		}
		if got := d.must(200, "GET", "/Users/"+ann, "").header.Get("ETag"); got != userTag {
			t.Errorf("the user's own version went from %s to %s", userTag, got)
		}
		if got := d.get("/Groups/"+eng, "attributes", "members.display"); !strings.Contains(got.raw, `"display":"Web"`) {
			t.Errorf("members.display: %s", got.raw)
		}
		// Each way to take groups out and put them in.
		patch(all, `{"op":"add","path":"members","value":[{"value":"`+ann+`"},{"value":"`+web+`"}]}`)
		want(all, inOrder("Group:"+eng, "Group:"+web, "User:"+ann))
		patch(all, `{"op":"remove","path":"members[type eq \"Group\"]"}`)
		want(all, "User:"+ann)
		patch(all, `{"op":"replace","path":"members","value":[{"value":"`+web+`"},{"value":"`+eng+`"},{"value":"`+ben+`"}]}`)
		want(all, inOrder("Group:"+eng, "Group:"+web, "User:"+ben))
		patch(all, `{"op":"remove","path":"members[value eq \"`+web+`\"]"}`)
		patch(all, `{"op":"remove","path":"members[type eq \"User\" and value eq \"`+eng+`\"]"}`) // it is none
		want(all, inOrder("Group:"+eng, "User:"+ben))
		patch(all, `{"op":"remove","path":"members","value":[{"value":"`+ben+`"},{"value":"`+eng+`"}]}`)
		want(all, "")
		patch(all, `{"op":"add","path":"members","value":[{"value":"`+web+`"},{"value":"`+ben+`"}]}`)
		patch(all, `{"op":"remove","path":"members[type eq \"User\"]"},{"op":"add","path":"members","value":[{"value":"`+eng+`"},{"value":"`+ann+`"}]},{"op":"remove","path":"members[value eq \"`+web+`\"]"}`)
		want(all, inOrder("Group:"+eng, "User:"+ann))
		d.must(200, "PUT", at(all), groupBody("All", `"members":[{"value":"`+web+`","type":"Group"}]`))
		want(all, "Group:"+web)
		d.must(200, "PUT", at(all), groupBody("All"))
		want(all, "")
		// A deleted group is in none.
		patch(all, `{"op":"add","path":"members","value":{"value":"`+eng+`"}}`)
		d.must(204, "DELETE", at(eng), "")
		want(all, "")
		if got := d.groupsShown(ann); got != "direct:Web" {
			t.Errorf("Ann is in %q", got)
		}
	})
}

// inOrder joins what shownMembers shows, in its order.
func inOrder(parts ...string) string {
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func TestNestingIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		ann, foreign := d.user("ann"), other.group("Foreign")
		c := d.group("C")
		b := d.group("B", c)
		a := d.group("A", b)
		add := func(value string) string { return patchBody(`{"op":"add","path":"members","value":[` + value + `]}`) }
		one := func(id string) string { return `{"value":"` + id + `"}` }
		for _, x := range []struct{ method, at, body, part string }{
			{"PATCH", c, add(one(a)), `"A" contains the group "C"`},
			{"PATCH", c, add(one(ann) + "," + one(b)), `"B" contains the group "C"`},
			{"PATCH", a, add(one(a)), `"A" cannot be a member of itself`},
			{"PUT", c, groupBody("C", `"members":[`+one(a)+`]`), `"A" contains the group "C"`},
			{"PATCH", c, patchBody(`{"op":"replace","path":"displayName","value":"Lost"},{"op":"replace","path":"members","value":[` + one(a) + `]}`), `"A" contains`},
			{"PATCH", a, add(one(foreign)), foreign},
			{"PATCH", a, add(`{"value":"` + ann + `","type":"Group"}`), "is a User, and not a Group"},
			{"PATCH", a, add(`{"value":"` + c + `","type":"User"}`), "is a Group, and not a User"},
			{"PATCH", a, add(`{"value":"` + ann + `","$ref":"../Groups/` + ann + `"}`), "is a User, and not a Group"},
			{"POST", "", groupBody("New", `"members":[{"value":"`+c+`","type":"User"}]`), "is a Group, and not a User"},
		} {
			at := "/Groups"
			if x.at != "" {
				at += "/" + x.at
			}
			d.refused(400, "invalidValue", x.part, x.method, at, x.body)
		}
		for group, want := range map[string]string{a: "Group:" + b, b: "Group:" + c, c: ""} {
			if got := d.shownMembers(group); got != want {
				t.Errorf("after refusals the members are %q, want %q", got, want)
			}
		}
		if got := d.get("/Groups", "filter", `displayName eq "New" or displayName eq "Lost"`); got.json["totalResults"] != 0.0 {
			t.Errorf("half of a refused request was done: %s", got.raw)
		}
	})
}

// Two requests that put two groups into each other at once: one is refused.
func TestCirclesAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		for round := range 6 {
			pair := []string{d.group(fmt.Sprintf("A%d", round)), d.group(fmt.Sprintf("B%d", round))}
			replies := atOnce(2, func(i int) reply {
				if (round+i)%3 == 0 {
					return d.do("PUT", "/Groups/"+pair[i], groupBody(fmt.Sprintf("%c%d", 'A'+i, round), `"members":`+memberJSON(pair[1-i])))
				}
				head := []string{}
				if round > 3 { // each holds its own group's row from the beginning
					head = append(head, "If-Match: *")
				}
				return d.do("PATCH", "/Groups/"+pair[i], patchBody(`{"op":"add","path":"members","value":`+memberJSON(pair[1-i])+`}`), head...)
			})
			done := 0
			for i, r := range replies {
				got := d.shownMembers(pair[i])
				if r.code < 300 {
					done++
				}
				if r.code < 300 && got != "Group:"+pair[1-i] || r.code >= 300 && (got != "" || r.code != 400 || r.str("scimType") != "invalidValue") {
					t.Errorf("round %d: %d %s and then %q", round, r.code, r.raw, got)
				}
			}
			if done != 1 {
				t.Errorf("round %d: %d of two requests that close a circle were done", round, done)
			}
		}
	})
}

func TestFiltersOnNestedGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		ann, ben := d.user("ann"), d.user("ben")
		d.user("eve")
		web := d.group("Web", ann)
		eng := d.group("Eng", web, ben)
		d.group("All", eng, ann)
		base := BaseURL(testURL, d.directory.ID)
		for _, c := range []struct{ path, filter, want string }{
			{"/Users", `groups.value eq "` + eng + `"`, "ann ben"},
			{"/Users", `groups eq "` + web + `"`, "ann"},
			{"/Users", `groups.display eq "ENG"`, "ann ben"},
			{"/Users", `groups[value eq "` + eng + `" and type eq "direct"]`, "ben"},
			{"/Users", `groups[value eq "` + eng + `" and type eq "Indirect"]`, "ann"},
			{"/Users", `groups[display eq "All" and type eq "indirect"]`, "ben"},
			{"/Users", `groups.type eq "indirect"`, "ann ben"},
			{"/Users", `groups.$ref eq "` + base + "/Groups/" + eng + `"`, "ann ben"},
			{"/Users", `not (groups.display eq "All")`, "eve"},
			{"/Users", `groups pr`, "ann ben"},
			{"/Groups", `members.value eq "` + web + `"`, "Eng"},
			{"/Groups", `members eq "` + ann + `"`, "Web All"},
			{"/Groups", `members[type eq "Group"]`, "Eng All"},
			{"/Groups", `members[type eq "user" and value eq "` + ann + `"]`, "Web All"},
			{"/Groups", `members[type eq "User" and value eq "` + web + `"]`, ""},
			{"/Groups", `members.$ref eq "` + base + "/Groups/" + web + `"`, "Eng"},
			{"/Groups", `members.$ref eq "` + base + "/Users/" + web + `"`, ""},
			{"/Groups", `members.display eq "eng"`, "All"},
			{"/Groups", `id eq "` + eng + `" and members eq "` + web + `"`, "Eng"},
			{"/Groups", `members[type ne "User"]`, "Eng All"},
		} {
			if got := d.names(d.get(c.path, "filter", c.filter)); strings.Join(got, " ") != c.want {
				t.Errorf("%s?filter=%s finds %v, want %s", c.path, c.filter, got, c.want)
			}
		}
	})
}

// A list shows the members of each group, in any order of the groups.
func TestListsOfNestedGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		ann, ben := d.user("ann"), d.user("ben")
		e := d.group("E", ann)
		b := d.group("B", ben, ann)
		c := d.group("C", e, b)
		f := d.group("F")
		a := d.group("A", c, ann, f)
		want := map[string]string{}
		for _, id := range []string{a, b, c, e, f} {
			want[id] = d.shownMembers(id)
		}
		for _, order := range []string{"", "ascending", "descending"} {
			params := []string{}
			if order != "" {
				params = []string{"sortBy", "displayName", "sortOrder", order}
			}
			list := d.get("/Groups", params...)
			resources, _ := list.json["Resources"].([]any)
			if len(resources) != 5 {
				t.Errorf("in the order %q: %d %s", order, list.code, list.raw)
			}
			for _, r := range resources {
				g := r.(map[string]any)
				var got []string
				members, _ := g["members"].([]any)
				for _, m := range members {
					m := m.(map[string]any)
					got = append(got, fmt.Sprintf("%v:%v", m["type"], m["value"]))
				}
				if id := g["id"].(string); inOrder(got...) != want[id] {
					t.Errorf("in the order %q the members of %v are %v, want %s", order, g["displayName"], got, want[id])
				}
			}
		}
	})
}

func TestBulkOfNestedGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		member := func(refs ...string) string {
			for i, r := range refs {
				refs[i] = "bulkId:" + r
			}
			return `"members":` + memberJSON(refs...)
		}
		id := func(name string) string {
			t.Helper()
			found, _ := d.get("/Groups", "filter", `displayName eq "`+name+`"`).json["Resources"].([]any)
			if len(found) != 1 {
				t.Fatalf("there are %d groups %s", len(found), name)
			}
			return found[0].(map[string]any)["id"].(string)
		}
		// Forward, backward, and by PATCH.
		d.bulk(bulkBody(
			bulkPost("/Groups", "a", groupBody("A", member("b", "u"))),
			bulkPost("/Groups", "b", groupBody("B")),
			bulkPost("/Groups", "c", groupBody("C", `"members":[{"type":"Group","value":"bulkId:b","$ref":"/Groups/bulkId:b"}]`)),
			`{"method":"PATCH","path":"/Groups/bulkId:b","data":`+patchBody(`{"op":"add","path":"members","value":[{"value":"bulkId:d"}]}`)+`}`,
			bulkPost("/Groups", "d", groupBody("D")),
			bulkPost("/Users", "u", userBody("ursula")),
		), "201", "201", "201", "204", "201", "201")
		if got := d.shownMembers(id("A")); !strings.HasPrefix(got, "Group:"+id("B")+" User:") {
			t.Errorf("A has %q", got)
		}
		if got := d.shownMembers(id("C")) + " " + d.shownMembers(id("B")); got != "Group:"+id("B")+" Group:"+id("D") {
			t.Errorf("C and B have %q", got)
		}
		// The item that closes a circle is refused, the others stay.
		out := d.bulk(bulkBody(
			`{"method":"PATCH","path":"/Groups/`+id("D")+`","data":`+patchBody(`{"op":"add","path":"members","value":[{"value":"bulkId:e"}]}`)+`}`,
			bulkPost("/Groups", "e", groupBody("E", `"members":`+memberJSON(id("A")))),
		), "400", "201")
		out[0].is(t, "invalidValue", `"E" contains the group "D" already`)
		// Of three in a circle nothing is kept; so it is with one in itself.
		out = d.bulk(bulkBody(
			bulkPost("/Groups", "x", groupBody("X", member("y"))),
			bulkPost("/Groups", "y", groupBody("Y", member("z"))),
			bulkPost("/Groups", "z", groupBody("Z", member("x"))),
			bulkPost("/Groups", "self", groupBody("Self", member("self"))),
		), "409", "409", "400", "400")
		out[2].is(t, "invalidValue", `"X" contains the group "Z" already`)
		out[3].is(t, "invalidValue", `"Self" cannot be a member of itself`)
		if got := d.get("/Groups", "filter", `displayName eq "X" or displayName eq "Y" or displayName eq "Z" or displayName eq "Self"`); got.json["totalResults"] != 0.0 {
			t.Errorf("half of a circle was kept: %s", got.raw)
		}
		// A circle that goes by a person is none of groups.
		d.bulk(bulkBody(
			bulkPost("/Groups", "p", groupBody("P", member("q"))),
			bulkPost("/Groups", "q", groupBody("Q", member("v"))),
			bulkPost("/Users", "v", userBody("vera", `"nickName":"bulkId:p"`)),
		), "201", "201", "201")
		if got := d.shownMembers(id("P")); got != "Group:"+id("Q") {
			t.Errorf("P has %q", got)
		}
	})
}

func TestStrictMemberTypes(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{Mode: "strict"})
	ann := d.user("ann")
	d.refused(400, "invalidValue", "User or Group", "POST", "/Groups", groupBody("A", `"members":[{"value":"`+ann+`","type":"Robot"}]`))
	if got := d.do("GET", "/Schemas/"+groupURN, ""); got.code != http.StatusOK || !strings.Contains(got.raw, `["User","Group"]`) {
		t.Errorf("the schema does not say that members are users and groups: %s", got.raw)
	}
}

// The log names the groups that came and went, and says what to do about a circle.
func TestNestingInTheLog(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Vendor: "entra"})
		ann, web := d.user("ann"), d.group("Web")
		all := d.group("All", web)
		for _, c := range []struct {
			group, ops    string
			status        int
			refusal, want string
		}{
			{all, `{"op":"add","path":"members","value":` + memberJSON(ann) + `}`, 204, "", "+ann"},
			{all, `{"op":"remove","path":"members","value":` + memberJSON(web) + `}`, 204, "", "-Web"},
			{all, `{"op":"add","path":"members","value":` + memberJSON(web) + `}`, 204, "", "+Web"},
			{web, `{"op":"add","path":"members","value":` + memberJSON(all) + `}`, 400, refusedNesting, ""},
			{web, `{"op":"add","path":"members","value":` + memberJSON(web) + `}`, 400, refusedNesting, ""},
			{web, `{"op":"add","path":"members","value":` + memberJSON(strings.Repeat("0", 32)) + `}`, 400, refusedMembers, ""},
		} {
			d.must(c.status, "PATCH", "/Groups/"+c.group, patchBody(c.ops))
			row := d.last()
			var lines []logLine
			if err := d.db.Read(t.Context(), d.admin, func(tx *store.Tx) (err error) {
				lines, err = logLines(tx, []logRow{row}, "entra", "")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, done := range lines[0].Done {
				for _, change := range done.Changes {
					if change.Before != "" {
						got += "-" + change.Before
					}
					if change.After != "" {
						got += "+" + change.After
					}
				}
			}
			if row.Refusal != c.refusal || got != c.want || (lines[0].Remedy == "") != (c.refusal == "") {
				t.Errorf("%s: refusal %q, changes %q, remedy %q; want %q, %q", c.ops, row.Refusal, got, lines[0].Remedy, c.refusal, c.want)
			}
		}
	})
}
