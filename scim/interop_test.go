package scim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The SCIM 2.0 interoperability profile (draft-zollner-scim-interop-profile), by its
// sections, against a directory in strict mode. docs/scim/profiles.md names these
// tests.

func strictly(t *testing.T, try func(t *testing.T, d *door)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		try(t, openDoor(t, db, NewDirectory{Vendor: "okta", Mode: "strict"}))
	})
}

// §4: the claim stands in ServiceProviderConfig in strict mode alone, and goes with
// any switch that the profile forbids.
func TestInteropClaim(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Mode: "strict"})
		for i, c := range []struct {
			mode, quirks string
			want         bool
		}{
			{"strict", `{}`, true},
			{"strict", `{"patchResponse":"204","requestsPerSecond":100,"groupDisplayNameUnique":false,"deleteMeans":"deactivate"}`, true},
			{"strict", `{"unknownAttributes":"ignore"}`, false},
			{"strict", `{"stringBooleans":true}`, false},
			{"strict", `{"strict":false}`, false},
			{"compat", `{}`, false},
			{"compat", `{"strict":true}`, false},
		} {
			one := d.another(NewDirectory{Name: fmt.Sprint(i), Mode: c.mode, Quirks: store.JSON(c.quirks)})
			got := one.must(200, "GET", "/ServiceProviderConfig", "").json[claim] == true
			declared := strings.Contains(one.must(200, "GET", "/Schemas/"+configURN, "").raw, claim)
			if got != c.want || declared != c.want {
				t.Errorf("%s %s: claimed %v, declared %v, want %v", c.mode, c.quirks, got, declared, c.want)
			}
		}
	})
}

// §5.1, §5.4: /Schemas has what /ResourceTypes names, id is name, and each type of a
// multi-valued attribute has canonical values.
func TestInteropDiscovery(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		for _, e := range d.must(200, "GET", "/ResourceTypes", "").json["Resources"].([]any) {
			r := e.(map[string]any)
			if r["id"] != r["name"] || r["id"] == "" {
				t.Errorf("resource type %v has the id %v", r["name"], r["id"])
			}
			urns := []string{r["schema"].(string)}
			for _, x := range r["schemaExtensions"].([]any) {
				urns = append(urns, x.(map[string]any)["schema"].(string))
			}
			for _, urn := range urns {
				for _, a := range d.must(200, "GET", "/Schemas/"+urn, "").json["attributes"].([]any) {
					a := a.(map[string]any)
					subs, _ := a["subAttributes"].([]any)
					for _, s := range subs {
						s := s.(map[string]any)
						if values, _ := s["canonicalValues"].([]any); a["multiValued"] == true && s["name"] == "type" && len(values) == 0 {
							t.Errorf("%v.type declares no values", a["name"])
						}
					}
				}
			}
		}
		if got := d.must(200, "GET", "/Schemas/"+userURN, "").raw; strings.Contains(got, `"password"`) {
			t.Error("/Schemas offers a password, which is refused")
		}
	})
}

// §5.2: filters compare as uniqueness does.
func TestInteropCaseSensitivity(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		id := d.user("JSmith", `"externalId":"ABC-123"`)
		count := func(filter string) any {
			return d.must(200, "GET", "/Users?filter="+strings.ReplaceAll(filter, " ", "+"), "").json["totalResults"]
		}
		if count(`userName eq "jsmith"`) != 1.0 || count(`externalId eq "ABC-123"`) != 1.0 || count(`externalId eq "abc-123"`) != 0.0 {
			t.Error("a filter compares userName or externalId with the wrong case")
		}
		if count(`id eq "`+id+`"`) != 1.0 || count(`id eq "`+strings.ToUpper(id)+`"`) != 0.0 {
			t.Error("a filter compares ids without case")
		}
		d.must(404, "GET", "/Users/"+strings.ToUpper(id), "")
		d.refused(409, "uniqueness", "userName", "POST", "/Users", userBody("jsmith"))
		d.refused(409, "uniqueness", "externalId", "POST", "/Users", userBody("other", `"externalId":"ABC-123"`))
		d.user("other", `"externalId":"abc-123"`)
	})
}

// §5.3: names that no schema has are refused in every request.
func TestInteropUnknownNames(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		id, g := d.user("jane"), d.group("Staff")
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/Users", userBody("x", `"shoeSize":9`)},
			{"POST", "/Users", userBody("x", `"name":{"petName":"J"}`)},
			{"POST", "/Users", userBody("x", `"urn:acme:1.0:User":{"badge":"7"}`)},
			{"POST", "/Users", `{"schemas":["` + userURN + `","urn:acme:1.0:User"],"userName":"x"}`},
			{"PUT", "/Users/" + id, userBody("jane", `"shoeSize":9`)},
			{"PATCH", "/Users/" + id, patchBody(`{"op":"add","path":"shoeSize","value":9}`)},
			{"PATCH", "/Users/" + id, patchBody(`{"op":"add","path":"name","value":{"petName":"J"}}`)},
			{"POST", "/Groups", groupBody("X", `"colour":"red"`)},
			{"PATCH", "/Groups/" + g, patchBody(`{"op":"add","path":"colour","value":"red"}`)},
		} {
			d.refused(400, "invalidSyntax", "", c.method, c.path, c.body)
		}
		if n := d.must(200, "GET", "/Users", "").json["totalResults"]; n != 1.0 {
			t.Errorf("%v users are there, want 1", n)
		}
	})
}

// §6.1, §6.2: one endpoint for each type, resources by id alone, JSON as
// application/scim+json.
func TestInteropEndpoints(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		id, g := d.user("jane"), d.group("Staff")
		d.must(404, "GET", "/Users/jane", "")
		d.must(404, "GET", "/Users/"+g, "")
		d.must(404, "GET", "/Groups/"+id, "")
		for _, got := range []reply{d.must(200, "GET", "/Users/"+id, ""), d.must(200, "GET", "/Groups", ""), d.must(404, "GET", "/Users/jane", ""), d.must(400, "POST", "/Users", "{}")} {
			if kind := got.header.Get("Content-Type"); kind != "application/scim+json" {
				t.Errorf("Content-Type %q", kind)
			}
		}
		d.must(415, "POST", "/Users", userBody("x"), "Content-Type: text/plain")
	})
}

// §6.3: eq and and; an attribute that no schema has is invalidFilter.
func TestInteropFilters(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		d.user("jane", `"title":"Boss"`, `"emails":[{"value":"j@x.example","type":"work"}]`)
		d.user("joe", `"title":"Boss"`)
		for filter, want := range map[string]float64{
			`userName eq "jane"`:                     1,
			`title eq "boss" and userName eq "joe"`:  1,
			`title eq "boss"`:                        2,
			`title eq "boss" and userName eq "else"`: 0,
		} {
			if got := d.must(200, "GET", "/Users?filter="+strings.ReplaceAll(filter, " ", "+"), ""); got.json["totalResults"] != want {
				t.Errorf("%s finds %v, want %v", filter, got.json["totalResults"], want)
			}
		}
		d.refused(400, "invalidFilter", "shoeSize", "GET", "/Users?filter=shoeSize+eq+9", "")
		d.refused(400, "invalidFilter", "userName", "GET", "/Groups?filter=userName+eq+%22x%22", "")
		d.refused(400, "invalidFilter", "", "GET", "/Users?filter=userName+eq+jane", "")
	})
}

// §6.4: at least 100 when nothing is said, 100 when asked for, at most the announced.
func TestInteropPages(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		ops := make([]string, 120)
		for i := range ops {
			ops[i] = fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":%s}`, i, userBody(fmt.Sprintf("u%03d", i)))
		}
		d.must(200, "POST", "/Bulk", `{"schemas":["`+bulkRequestURN+`"],"Operations":[`+strings.Join(ops, ",")+`]}`)
		for query, want := range map[string]int{"": 100, "?count=100": 100, "?count=5000": 120, "?startIndex=101": 20, "?cursor=&count=100": 100} {
			got := d.must(200, "GET", "/Users"+query, "")
			if n := len(got.json["Resources"].([]any)); n != want {
				t.Errorf("%q has %d users, want %d", query, n, want)
			}
		}
		if config := d.must(200, "GET", "/ServiceProviderConfig", "").raw; !strings.Contains(config, `"maxResults":1000`) {
			t.Errorf("no bound of pages is announced: %s", config)
		}
	})
}

// §6.5: the restricted PATCH.
func TestInteropPatch(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		id := d.user("jane", `"name":{"givenName":"J","familyName":"Doe"}`, `"emails":[{"value":"a@x.example","type":"work"},{"value":"b@x.example","type":"home"},{"value":"c@x.example","type":"home"}]`)
		at := "/Users/" + id
		for _, c := range []struct{ scimType, op string }{
			{"invalidSyntax", `{"op":"replace","value":{"title":"x"}}`},
			{"invalidSyntax", `{"op":"add","path":"","value":{"title":"x"}}`},
			{"invalidSyntax", `{"op":"move","path":"title","value":"x"}`},
			{"invalidPath", `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"z@x.example"}}`},
			{"invalidPath", `{"op":"add","path":"emails[type eq \"work\"]","value":{"display":"z"}}`},
			{"invalidFilter", `{"op":"replace","path":"emails[type eq \"home\"].value","value":"z@x.example"}`},
			{"noTarget", `{"op":"replace","path":"emails[type eq \"other\"].value","value":"z@x.example"}`},
			{"invalidValue", `{"op":"replace","path":"emails","value":{"value":"z@x.example"}}`},
			{"invalidValue", `{"op":"replace","path":"active","value":"False"}`},
		} {
			d.refused(400, c.scimType, "", "PATCH", at, patchBody(c.op))
		}
		for _, c := range []struct{ ops, want string }{
			{`{"op":"add","path":"title","value":"A"}`, `"title":"A"`},
			{`{"op":"replace","path":"title","value":"B"},{"op":"replace","path":"userName","value":"jane2"}`, `"title":"B"`},
			{`{"op":"add","path":"name","value":{"givenName":"K"}}`, `"name":{"familyName":"Doe","givenName":"K"}`},
			{`{"op":"replace","path":"name","value":{"givenName":"L"}}`, `"name":{"givenName":"L"}`},
			{`{"op":"replace","path":"name.familyName","value":"Roe"}`, `"name":{"familyName":"Roe","givenName":"L"}`},
			{`{"op":"replace","path":"emails[type eq \"work\"].value","value":"w@x.example"}`, `{"type":"work","value":"w@x.example"}`},
			{`{"op":"replace","path":"emails","value":[{"value":"n@x.example","type":"work"}]}`, `"emails":[{"type":"work","value":"n@x.example"}]`},
			{`{"op":"add","path":"emails","value":[{"value":"o@x.example","type":"home"}]}`, `"emails":[{"type":"work","value":"n@x.example"},{"type":"home","value":"o@x.example"}]`},
		} {
			if got := text(d.must(200, "PATCH", at, patchBody(c.ops)).json); !strings.Contains(got, c.want) {
				t.Errorf("PATCH %s\n got %s\nwant %s", c.ops, got, c.want)
			}
		}
	})
}

// §6.6: PATCH never deletes, DELETE does, and the names are free.
func TestInteropLifecycle(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Mode: "strict", Quirks: store.JSON(`{"deleteMeans":"deactivate"}`)})
		id, g := d.user("jane", `"externalId":"E"`), d.group("Staff")
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"active","value":false}`))
		if got := d.must(200, "GET", "/Users/"+id, ""); got.json["active"] != false {
			t.Errorf("deactivated: %s", got.raw)
		}
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"active","value":true}`))
		for _, path := range []string{"/Users/" + id, "/Groups/" + g} {
			d.must(204, "DELETE", path, "")
			for _, method := range []string{"GET", "DELETE"} {
				d.must(404, method, path, "")
			}
			d.must(404, "PATCH", path, patchBody(`{"op":"replace","path":"externalId","value":"F"}`))
		}
		d.must(404, "PUT", "/Users/"+id, userBody("jane"))
		if got := d.must(200, "GET", "/Users", ""); got.json["totalResults"] != 0.0 {
			t.Errorf("the deleted user is listed: %s", got.raw)
		}
		if again := d.user("JANE", `"externalId":"E"`); again == id {
			t.Error("the new user has the old id")
		}
		d.group("Staff")
	})
}

// §6.9: conflicts are 409 uniqueness, by POST and by PATCH.
func TestInteropConflicts(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		d.user("jane")
		d.group("Staff")
		other, g := d.user("joe"), d.group("Others")
		d.refused(409, "uniqueness", "userName", "POST", "/Users", userBody("Jane"))
		d.refused(409, "uniqueness", "userName", "PATCH", "/Users/"+other, patchBody(`{"op":"replace","path":"userName","value":"Jane"}`))
		d.refused(409, "uniqueness", "displayName", "POST", "/Groups", groupBody("staff"))
		d.refused(409, "uniqueness", "displayName", "PATCH", "/Groups/"+g, patchBody(`{"op":"replace","path":"displayName","value":"STAFF"}`))
	})
}
