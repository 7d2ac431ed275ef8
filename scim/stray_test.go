package scim

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const storesStrays = `{"unknownAttributes":"store"}`

// shown is a user's attributes without what every user has.
func (d *door) shown(path string) string {
	d.t.Helper()
	doc := d.must(200, "GET", path, "").json
	for _, name := range []string{"schemas", "id", "meta", "active", "groups", "members", "userName", "displayName"} {
		delete(doc, name)
	}
	return text(doc)
}

func TestStrayAttributesAreKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(storesStrays)})
		const acme, ent = "urn:acme:1.0:User", enterpriseURN
		for i, c := range []struct{ name, post, want string }{
			{"every kind of value", `"shoeSize":9,"vip":true,"tags":["a","b"],"pet":{"name":"Rex","age":3.5},"note":""`,
				`{"note":"","pet":{"age":3.5,"name":"Rex"},"shoeSize":9,"tags":["a","b"],"vip":true}`},
			{"a URN that is no schema", `"` + acme + `":{"badge":"7"}`, `{"` + acme + `":{"badge":"7"}}`},
			{"the same, flat", `"` + acme + `:badge":"7"`, `{"` + acme + `":{"badge":"7"}}`},
			{"in a declared extension", `"` + ent + `":{"badge":"7","department":"IT"}`, `{"` + ent + `":{"badge":"7","department":"IT"}}`},
			{"in a declared complex attribute", `"name":{"petName":"Jo","givenName":"J"}`, `{"name":{"givenName":"J","petName":"Jo"}}`},
			{"in an element of a list", `"emails":[{"value":"j@x.example","verified":true}]`, `{"emails":[{"value":"j@x.example","verified":true}]}`},
			{"nothing is no value", `"shoeSize":null,"tags":[],"pet":{"name":null}`, `{"pet":{"name":null}}`},
			{"declared names are never stray", `"TITLE":"Boss","Emails":{"value":"j@x.example"},"nickname":"J"`, `{"emails":[{"value":"j@x.example"}],"nickName":"J","title":"Boss"}`},
		} {
			id := d.user(fmt.Sprintf("post%d", i), c.post)
			if got := d.shown("/Users/" + id); got != c.want {
				t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.post, got, c.want)
			}
			d.must(200, "PUT", "/Users/"+id, userBody(fmt.Sprintf("post%d", i)))
			if got := d.shown("/Users/" + id); got != "{}" {
				t.Errorf("%s: a PUT without them leaves %s", c.name, got)
			}
		}
		id := d.user("jane", `"shoeSize":9,"tags":["a"],"pet":{"name":"Rex"},"`+acme+`":{"badge":"7"},"emails":[{"value":"j@x.example","type":"work"}]`)
		for _, c := range []struct{ ops, want string }{
			{`{"op":"replace","path":"SHOESIZE","value":10},{"op":"add","path":"hat","value":"L"}`, `"hat":"L"|"shoeSize":10`},
			{`{"op":"add","path":"tags","value":["a","b"]},{"op":"add","path":"pet","value":{"Name":"Rox","age":2}}`, `"tags":["a","b"]|"pet":{"age":2,"name":"Rox"}`},
			{`{"op":"replace","path":"pet.age","value":3},{"op":"remove","path":"pet.name"}`, `"pet":{"age":3}`},
			{`{"op":"replace","path":"` + acme + `:badge","value":"8"},{"op":"add","path":"` + strings.ToUpper(acme) + `:desk","value":"D1"}`, `"` + acme + `":{"badge":"8","desk":"D1"}`},
			{`{"op":"replace","value":{"hat":"M","` + acme + `:badge":"9","name.petName":"Jo","urn:other:1.0:User":{"x":1}}}`, `"hat":"M"|"badge":"9"|"name":{"petName":"Jo"}|"urn:other:1.0:User":{"x":1}`},
			{`{"op":"remove","path":"urn:other:1.0:User"},{"op":"remove","path":"hat"},{"op":"remove","path":"nothing.there"}`, `"badge":"9"`},
			{`{"op":"replace","path":"pet","value":null},{"op":"remove","path":"` + acme + `:badge"},{"op":"remove","path":"` + acme + `:desk"},{"op":"remove","path":"name.petName"}`, `{"emails":[{"type":"work","value":"j@x.example"}],"shoeSize":10,"tags":["a","b"]}`},
		} {
			d.must(200, "PATCH", "/Users/"+id, patchBody(c.ops))
			got := d.shown("/Users/" + id)
			for part := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(got, part) {
					t.Errorf("PATCH %s\n got %s\nwant %s", c.ops, got, part)
				}
			}
		}
		before := d.must(200, "GET", "/Users/"+id, "")
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"add","path":"tags","value":["b"]},{"op":"replace","path":"shoeSize","value":10},{"op":"remove","path":"hat"}`))
		if after := d.must(200, "GET", "/Users/"+id, ""); after.header.Get("ETag") != before.header.Get("ETag") {
			t.Error("a PATCH to what is there changed the version")
		}
		for query, want := range map[string]string{
			"?attributes=tags,emails": `{"emails":[{"type":"work","value":"j@x.example"}],"tags":["a","b"]}`, "?excludedAttributes=TAGS": `{"emails":[{"type":"work","value":"j@x.example"}],"shoeSize":10}`,
			"?excludedAttributes=emails": `{"shoeSize":10,"tags":["a","b"]}`, "?attributes=title": `{}`,
		} {
			if got := d.shown("/Users/" + id + query); got != want {
				t.Errorf("%s\n got %s\nwant %s", query, got, want)
			}
		}
		d.refused(400, "invalidFilter", "shoeSize", "GET", "/Users?filter=shoeSize+eq+9", "")
		if got := d.must(200, "GET", "/Schemas", ""); strings.Contains(got.raw, "shoeSize") {
			t.Error("/Schemas has a stray attribute")
		}
		g := d.must(201, "POST", "/Groups", groupBody("Staff", `"colour":"red","members":`+memberJSON(id))).str("id")
		d.must(204, "PATCH", "/Groups/"+g, patchBody(`{"op":"replace","path":"colour","value":"blue"}`))
		if got := d.shown("/Groups/" + g); got != `{"colour":"blue"}` || !d.memberIDs(g)[id] {
			t.Errorf("the group has %s and %v", got, d.memberIDs(g))
		}
	})
}

func TestStrayAttributesHaveBounds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(storesStrays)})
		many := func(n int) string {
			parts := make([]string, n)
			for i := range parts {
				parts[i] = fmt.Sprintf(`"stray%d":%d`, i, i)
			}
			return strings.Join(parts, ",")
		}
		id := d.user("jane", `"shoeSize":9,"emails":[{"value":"j@x.example","type":"work"}],"userType":"x"`)
		d.user("full", many(maxStrays), `"nickName":"`+strings.Repeat("x", maxStrayBytes)+`"`) // declared ones do not count
		want := d.shown("/Users/" + id)
		for _, c := range []struct{ scimType, body string }{
			{"invalidValue", many(maxStrays + 1)},
			{"invalidValue", `"long":"` + strings.Repeat("x", maxStrayBytes) + `"`},
			{"invalidValue", `"deep":` + strings.Repeat("[", maxStrayDepth+1) + strings.Repeat("]", maxStrayDepth+1)},
			{"invalidValue", `"big":1e999999`},
			{"invalidSyntax", `"two words":1`},
			{"invalidSyntax", `"":1`},
			{"invalidSyntax", `"a..b":1`},
			{"invalidSyntax", `"apiToken":"x"`},
			{"invalidSyntax", `"card":{"secret":"x"}`},
			{"invalidSyntax", `"card":{"` + enterpriseURN + `":{}}`},
			{"invalidPath", `"meta.mood":"x"`},
			{"invalidPath", `"userName.mood":"x"`},
		} {
			if got := d.do("PUT", "/Users/"+id, userBody("jane", c.body)); got.code != 400 || got.str("scimType") != c.scimType {
				t.Errorf("PUT %.200s: %d %s, want 400 %s", c.body, got.code, got.raw, c.scimType)
			}
		}
		for _, c := range []struct{ scimType, op string }{
			{"invalidPath", `{"op":"replace","path":"emails.verified","value":true}`},
			{"invalidPath", `{"op":"replace","path":"emails[type eq \"work\"].verified","value":true}`},
			{"invalidPath", `{"op":"replace","path":"tags[value eq \"a\"]","value":"b"}`},
			{"invalidPath", `{"op":"replace","path":"shoeSize.left","value":8}`},
			{"invalidPath", `{"op":"add","path":"photos.mood","value":8}`},
			{"invalidPath", `{"op":"add","path":"meta.mood","value":8}`},
			{"invalidSyntax", `{"op":"remove","path":"shoeSize","value":[9]}`},
			{"invalidSyntax", `{"op":"replace","value":{"two words":1}}`},
			{"invalidValue", `{"op":"add","path":"long","value":"` + strings.Repeat("x", maxStrayBytes) + `"}`},
		} {
			if got := d.do("PATCH", "/Users/"+id, patchBody(c.op)); got.code != 400 || got.str("scimType") != c.scimType {
				t.Errorf("PATCH %.200s: %d %s, want 400 %s", c.op, got.code, got.raw, c.scimType)
			}
		}
		if got := d.shown("/Users/" + id); got != want {
			t.Errorf("refused requests changed %s into %s", want, got)
		}
	})
}

// A schema that is defined later does not find itself shadowed: what fits it is its
// attribute from then on, and what does not goes with the next change.
func TestStrayAttributesGiveWayToASchema(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(storesStrays)})
		id := d.user("jane", `"`+ownURN+`":{"badge":7,"costCenter":"Z1","colour":"red"}`)
		d.define(`{"id":"` + ownURN + `","name":"Acme","attributes":[{"name":"costCenter"},{"name":"badge"}]}`)
		clock.Pass(settingsFor + time.Second)
		got := d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"title","value":"Boss"}`))
		if want := `{"colour":"red","costCenter":"Z1"}`; text(got.own()) != want || got.json["title"] != "Boss" {
			t.Errorf("after the schema: %s, want %s", got.raw, want)
		}
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"add","path":"`+ownURN+`:badge","value":"B7"}`))
		if got := d.must(200, "GET", "/Users?filter="+url.QueryEscape(ownURN+`:badge eq "b7"`), ""); got.json["totalResults"] != 1.0 {
			t.Errorf("the schema's attribute is not found: %s", got.raw)
		}
	})
}
